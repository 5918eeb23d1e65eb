# SPDX-License-Identifier: BSD-2-Clause
"""TLS towards clients: what is carried, how it begins and how it ends."""
import hashlib
import os
import socket
import ssl
import subprocess
import threading

import pytest

from http1 import OK, connect, see
from lab import TIMEOUT_S, wait_until

GET = "GET / HTTP/1.1\r\nHost: example.org\r\n\r\n"
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.mark.parametrize("version", VERSIONS)
def test_requests_over_one_connection(tls_proxy, ca, version):
    seen = []
    proxy = tls_proxy(see(seen))
    with proxy.open(ca.context(version)) as client:
        for _ in range(5):
            assert client.ask(GET).body == b"hi"
    assert [m.get("X-Forwarded-Proto") for m in seen] == ["https"] * 5
    assert proxy.scripts[0].connections == 1
    assert (proxy.counter("tls_handshakes"), proxy.counter("tls_failures")) == (1, 0)


@pytest.mark.parametrize("addr", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_curl(tls_proxy, ca, addr, version):
    proxy = tls_proxy(addr=addr)
    host = f"[{addr}]" if ":" in addr else addr
    url = f"https://example.org:{proxy.port}/"
    done = subprocess.run(
        ["curl", "-sS", "--http1.1", "--cacert", ca.pem, f"--tlsv{version}", "--tls-max", version,
         "--connect-to", f"::{host}:{proxy.port}", "-w", "%{num_connects} %{http_version}\n",
         url, url], capture_output=True, check=False, timeout=TIMEOUT_S)
    assert done.stdout == b"hi1 1.1\nhi0 1.1\n", done


@pytest.mark.parametrize("offered, chosen", [
    (None, None), (["http/1.1"], "http/1.1"), (["h3", "http/1.1"], "http/1.1")])
def test_the_protocol_is_negotiated(tls_proxy, ca, offered, chosen):
    with tls_proxy().open(ca.context(alpn=offered)) as client:
        assert client.sock.selected_alpn_protocol() == chosen
        assert client.ask(GET).status == 200


def test_a_client_of_another_protocol_is_refused(tls_proxy, ca):
    proxy = tls_proxy()
    with pytest.raises(ssl.SSLError, match="no application protocol"):
        proxy.open(ca.context(alpn=["imap"]))
    assert proxy.counter("tls_failures") == 1


def echo(peer):
    """Answers each request with its own body, in chunks."""
    while True:
        body = peer.message().body
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for at in range(0, len(body), 50000):
            part = body[at:at + 50000]
            peer.send(b"%x\r\n%s\r\n" % (len(part), part))
        peer.send("0\r\n\r\n")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("size", [1, 16383, 16384, 16385, 100000, 5000000])
def test_bodies_of_all_sizes(tls_proxy, ca, version, size):
    body = os.urandom(size)
    proxy = tls_proxy(echo)
    with proxy.open(ca.context(version)) as client:
        for _ in range(2):
            head = f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n".encode()
            # A thread, as the answer begins only when the request is whole.
            assert hashlib.sha256(client.ask(head + body).body).digest() == hashlib.sha256(
                body).digest()


def test_many_requests_in_one_record(tls_proxy):
    with tls_proxy().open() as client:
        client.send(GET * 100)
        for _ in range(100):
            assert client.message().body == b"hi"


def test_a_body_waits_for_a_slow_backend(tls_proxy):
    """What was decrypted and has no room is not forgotten when the socket has nothing more."""
    go_on, got = threading.Event(), []

    def serve(peer):
        head = peer.head()
        assert go_on.wait(TIMEOUT_S)
        got.append(peer.exactly(int(head.get("Content-Length"))))
        peer.send(OK)
    proxy = tls_proxy(serve)
    body = os.urandom(48 << 20)
    with proxy.open() as client:
        sender = threading.Thread(target=client.send, args=(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body),))
        sender.start()
        sender.join(0.5)
        assert sender.is_alive()  # back-pressure reached it
        go_on.set()
        assert client.message().status == 200
        sender.join()
    assert got == [body]


def test_a_slow_client_stops_the_backend(tls_proxy):
    size, sent = 64 << 20, []

    def serve(peer):
        peer.message()
        peer.send(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n")
        for _ in range(size >> 20):
            peer.send(bytes(1 << 20))
            sent.append(1)
    proxy = tls_proxy(serve)
    with proxy.open() as client:
        client.send(GET)
        client.head()
        stuck = []

        def is_stuck():
            stuck.append(len(sent))
            return len(stuck) > 20 and len(set(stuck[-20:])) == 1
        wait_until(is_stuck)
        assert len(sent) < 32
        assert not any(client.exactly(size))


class Drip:
    """A TLS client that sends what it has in pieces of n bytes."""

    def __init__(self, port, context, n):
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="example.org")
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.n = n

    def push(self):
        data = self.outgoing.read()
        for at in range(0, len(data), self.n):
            self.sock.sendall(data[at:at + self.n])

    def do(self, what, *args):
        while True:
            try:
                result = what(*args)
                self.push()
                return result
            except ssl.SSLWantReadError:
                self.push()
                data = self.sock.recv(65536)
                assert data
                self.incoming.write(data)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("n", [1, 7])
def test_records_in_pieces(tls_proxy, ca, version, n):
    client = Drip(tls_proxy().port, ca.context(version), n)
    client.do(client.tls.do_handshake)
    for _ in range(3):
        client.do(client.tls.write, GET.encode())
        assert client.do(client.tls.read, 1000).endswith(b"\r\n\r\nhi")
    client.sock.close()


# ---- how it ends ----

def test_the_end_is_said(tls_proxy):
    with tls_proxy().open() as client:
        reply = client.ask(GET.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"))
        assert reply.body == b"hi"
        assert client.to_end() == b""  # an end without a word would be an ssl.SSLError


def test_an_idle_connection_ends_with_a_word(tls_proxy):
    with tls_proxy(timeouts={"idle": "100ms"}).open() as client:
        assert client.ask(GET).status == 200
        assert client.to_end() == b""


def test_a_refused_request_is_answered_and_the_end_said(tls_proxy):
    with tls_proxy().open() as client:
        client.send("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        assert client.message().status == 400
        assert client.to_end() == b""


def test_a_body_that_was_cut_is_not_ended(tls_proxy):
    """HTTP/1.0 clients get bodies to the end of the connection: only TLS can say it was not all."""
    def serve(peer):
        peer.message()
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
    with tls_proxy(serve).open() as client:
        client.send("GET / HTTP/1.0\r\n\r\n")
        assert client.head().status == 200
        with pytest.raises(ssl.SSLError, match="EOF"):
            client.to_end()
        assert bytes(client.buffer) == b"hello"


def test_a_whole_body_to_the_end_of_the_connection(tls_proxy):
    def serve(peer):
        peer.message()
        peer.send("HTTP/1.1 200 OK\r\n\r\nhello")
    with tls_proxy(serve).open() as client:
        client.send("GET / HTTP/1.0\r\n\r\n")
        assert client.head().status == 200
        assert client.to_end() == b"hello"


@pytest.mark.parametrize("how", ["cut", "said", "reset"])
def test_a_client_that_leaves_amid_its_body(tls_proxy, how):
    def serve(peer):
        peer.head()
        with pytest.raises((EOFError, ConnectionResetError)):
            peer.exactly(1000)
    proxy = tls_proxy(serve)
    client = proxy.open()
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nhalf")
    wait_until(lambda: proxy.scripts[0].peers)
    if how == "said":
        client.sock.setblocking(False)
        with pytest.raises(OSError):  # nobody answers: the proxy closes, or has not yet
            client.sock.unwrap()
    elif how == "reset":
        client.reset()
    client.close()
    proxy.wait_counter("aborted", 1)


# ---- what is no TLS, or too slow ----

def test_a_handshake_has_its_time(tls_proxy, ca):
    proxy = tls_proxy(timeouts={"tls_handshake": "200ms"})
    with connect(proxy.port) as silent:
        assert silent.is_closed()
    with connect(proxy.port) as half:
        half.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        assert half.is_closed()
    assert proxy.counter("tls_failures") == 2
    with proxy.open(ca.context()) as client:
        assert client.ask(GET).status == 200


def test_handshakes_are_limited(tls_proxy, ca):
    """Those under way, not connections; and not for good."""
    proxy = tls_proxy(limits={"tls_handshakes": 3}, timeouts={"tls_handshake": "60s"})
    with proxy.open(ca.context()) as before:
        halves = [connect(proxy.port) for _ in range(3)]
        halves[0].send(b"\x16\x03\x01\x02\x00\x01")
        proxy.wait_counter("open_tls_handshakes", 3)
        for i in range(2):
            with pytest.raises(OSError):
                proxy.open(ca.context())
            proxy.wait_counter("tls_refused", i + 1)
        assert before.ask(GET).status == 200
        halves.pop().close()
        proxy.wait_counter("open_tls_handshakes", 2)
        with proxy.open(ca.context()) as client:
            assert client.ask(GET).status == 200
        page = proxy.daemon.ctl("service", "show", "web").stdout
        assert "2 under way, 2 refused over the limit of 3 a worker" in page
    for half in halves:
        half.close()
    proxy.wait_counter("open_tls_handshakes", 0)
    assert proxy.counter("tls_failures") == 3


def test_any_number_of_handshakes(tls_proxy, ca):
    proxy = tls_proxy(limits={"tls_handshakes": 0})
    halves = [connect(proxy.port) for _ in range(50)]
    proxy.wait_counter("open_tls_handshakes", 50)
    with proxy.open(ca.context()) as client:
        assert client.ask(GET).status == 200
    for half in halves:
        half.close()


@pytest.mark.parametrize("garbage", [
    GET.encode(), b"\x16\x03\x01\xff\xff" + bytes(100), b"\x80\x2e\x01\x00\x02", bytes(1000)])
def test_what_is_no_tls_is_refused(tls_proxy, garbage):
    proxy = tls_proxy()
    with connect(proxy.port) as client:
        client.send(garbage)
        client.shutdown()
        try:
            assert b"HTTP" not in client.to_end()
        except ConnectionResetError:
            pass
    proxy.wait_counter("tls_failures", 1)
    assert proxy.counter("requests") == 0


def test_a_broken_record_ends_the_connection(tls_proxy):
    proxy = tls_proxy()
    client = proxy.open()
    assert client.ask(GET).status == 200
    raw = socket.socket(fileno=os.dup(client.sock.fileno()))
    raw.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
    with pytest.raises(ssl.SSLError, match="BAD_RECORD_MAC"):
        client.to_end()
    raw.close()
    client.close()
    proxy.wait_counter("closed", 1)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_old_versions_are_refused(tls_proxy, ca):
    proxy = tls_proxy()
    context = ca.context(ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        proxy.open(context)


def test_no_renegotiation(tls_proxy, ca):
    proxy = tls_proxy()
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{proxy.port}", "-tls1_2", "-CAfile", ca.pem,
         "-legacy_renegotiation"], input=b"R\n", capture_output=True, check=False,
        timeout=TIMEOUT_S)
    assert b"no renegotiation" in done.stderr


def test_stopping_ends_idle_connections_with_a_word(tls_proxy):
    proxy = tls_proxy()
    with proxy.open() as client:
        assert client.ask(GET).status == 200
        proxy.daemon.proc.terminate()
        assert client.to_end() == b""
    assert proxy.daemon.wait_exit() == 0


def test_plain_and_tls_change_places(tls_proxy, ca):
    """A connection stays what it began as; new ones are what the service is now."""
    proxy = tls_proxy()
    web = proxy.config["services"]["web"]
    plain = {**proxy.config, "services": {"web": {k: v for k, v in web.items() if k != "tls"}}}
    with proxy.open() as client:
        assert client.ask(GET).status == 200
        proxy.daemon.reload(plain)
        assert client.to_end() == b""
    with connect(proxy.port) as client:
        assert client.ask(GET).status == 200
        proxy.daemon.reload(proxy.config)
        assert client.is_closed()
    with proxy.open(ca.context()) as client:
        assert client.ask(GET).status == 200
