# SPDX-License-Identifier: BSD-2-Clause
"""Records once the handshake is over: every cipher, large bodies, little memory, broken ones."""
import hashlib
import os
import socket
import ssl
import subprocess

import pytest

from http1 import OK, TIMEOUT_S
from test_l7_tls import GET, VERSIONS, echo
from test_l7_tls_resume import V12, V13, session_of

SUITES = [
    ("1.3", "TLS_AES_128_GCM_SHA256"), ("1.3", "TLS_AES_256_GCM_SHA384"),
    ("1.3", "TLS_CHACHA20_POLY1305_SHA256"),
    ("1.2", "ECDHE-ECDSA-AES128-GCM-SHA256"), ("1.2", "ECDHE-ECDSA-AES256-GCM-SHA384"),
    ("1.2", "ECDHE-ECDSA-CHACHA20-POLY1305")]


class ByHand:
    """A client whose records a test sends itself, once the handshake is done."""

    def __init__(self, proxy, context):
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="example.org")
        self.sock = socket.create_connection(("127.0.0.1", proxy.port), timeout=TIMEOUT_S)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self):
        self.do(self.tls.do_handshake)
        self.sock.sendall(self.outgoing.read())
        return self

    def __exit__(self, *exc):
        self.sock.close()

    def do(self, what, *args):
        """What it returns, after as many bytes of the peer as it needs for that."""
        while True:
            try:
                return what(*args)
            except ssl.SSLWantReadError:
                self.sock.sendall(self.outgoing.read())
                data = self.sock.recv(65536)
                assert data
                self.incoming.write(data)


@pytest.mark.parametrize("version, suite", SUITES)
@pytest.mark.parametrize("http", ["--http1.1", "--http2"])
def test_large_bodies_with_every_cipher(tls_proxy, ca, lab, version, suite, http):
    proxy = tls_proxy(echo, tls={"policy": "intermediate"})
    sent = os.urandom(3 << 20)
    path = lab.path("body")
    with open(path, "wb") as f:
        f.write(sent)
    which = ["--tls13-ciphers", suite] if version == "1.3" else ["--ciphers", suite]
    url = f"https://example.org:{proxy.port}/"
    done = subprocess.run(
        ["curl", "-sS", http, "--cacert", ca.pem, f"--tlsv{version}", "--tls-max", version, *which,
         "--connect-to", f"::127.0.0.1:{proxy.port}", "-H", "Expect:", "--data-binary", f"@{path}",
         url, url], capture_output=True, check=False, timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stderr
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(sent * 2).digest()
    assert proxy.counter("tls_handshakes") == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_an_idle_connection_takes_little_memory(tls_proxy, ca, version):
    proxy = tls_proxy(tls={"policy": "intermediate"})
    context, count = ca.context(version), 300

    def open_one():
        client = proxy.open(context)
        assert client.ask(GET).status == 200
        return client
    held = [open_one() for _ in range(50)]
    before = proxy.memory()
    held += [open_one() for _ in range(count)]
    each = (proxy.memory() - before) / count
    assert each < 6000, each
    for client in held:
        client.close()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("first", [1, 2, 3, len(GET)])
def test_the_first_data_of_a_connection(tls_proxy, ca, version, first):
    """Records are ours from then on: also those which are as short as an alert, byte by byte."""
    proxy = tls_proxy(tls={"policy": "intermediate"})
    with ByHand(proxy, ca.context(version)) as client:
        proxy.wait_counter("tls_handshakes", 1)
        for piece in (GET[:first], GET[first:], GET):
            if piece:
                client.tls.write(piece.encode())
            for byte in client.outgoing.read():
                client.sock.sendall(bytes([byte]))
        answers = b""
        while answers.count(b"HTTP/1.1 200") < 2:
            answers += client.do(client.tls.read, 1000)


# ---- what is no record, or none that may come ----

@pytest.mark.parametrize("version, record, alert", [
    (V13, b"\x17\x03\x03\x00\x20" + bytes(32), "BAD_RECORD_MAC"),
    (V12, b"\x17\x03\x03\x00\x20" + bytes(32), "BAD_RECORD_MAC"),
    (V13, b"\x17\x03\x03\x00\x10" + bytes(16), "BAD_RECORD_MAC"),
    (V13, b"\x17\x03\x03\x41\x01", "RECORD_OVERFLOW"),
    (V12, b"\x17\x03\x03\x40\x19", "RECORD_OVERFLOW"),
    (V13, b"\x14\x03\x03\x00\x01\x01", "UNEXPECTED_MESSAGE"),
    (V12, b"\x14\x03\x03\x00\x01\x01", "UNEXPECTED_MESSAGE"),
    (V13, b"\x15\x03\x03\x00\x02\x01\x00", "UNEXPECTED_MESSAGE"),
    (V13, b"\x16\x03\x01\x02\x00\x01", "UNEXPECTED_MESSAGE"),
    (V12, b"\x17\x03\x01\x00\x20" + bytes(32), "PROTOCOL_VERSION"),
    (V12, GET.encode(), "UNEXPECTED_MESSAGE"),
    (V13, GET.encode(), "UNEXPECTED_MESSAGE")])
def test_what_is_no_record(tls_proxy, ca, version, record, alert):
    proxy = tls_proxy(tls={"policy": "intermediate"})
    client = proxy.open(ca.context(version))
    assert client.ask(GET).status == 200
    with socket.socket(fileno=os.dup(client.sock.fileno())) as raw:
        raw.sendall(record)
    with pytest.raises(ssl.SSLError, match=alert):
        client.to_end()
    client.close()
    proxy.wait_counter("open_connections", 0)
    with proxy.open() as another:
        assert another.ask(GET).status == 200


def test_a_record_sent_twice(tls_proxy, ca):
    """Its number is not in it, but what seals it."""
    with ByHand(tls_proxy(), ca.context(V13)) as client:
        client.tls.write(GET.encode())
        client.sock.sendall(client.outgoing.read() * 2)
        with pytest.raises(ssl.SSLError, match="BAD_RECORD_MAC"):
            while client.do(client.tls.read, 1000):
                pass



def test_a_session_does_not_go_on_after_a_failure(tls_proxy, ca):
    """Of TLS 1.2 and without a ticket: nobody else could know of it."""
    proxy = tls_proxy(workers=4)
    context = ca.context(V12)
    context.options |= ssl.OP_NO_TICKET
    _, session = session_of(proxy, context)
    client = proxy.open(context, session=session)
    assert client.sock.session_reused
    with socket.socket(fileno=os.dup(client.sock.fileno())) as raw:
        raw.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
    with pytest.raises(ssl.SSLError, match="BAD_RECORD_MAC"):
        client.to_end()
    client.close()
    proxy.wait_counter("open_connections", 0)
    assert not session_of(proxy, context, session=session)[0]


@pytest.mark.parametrize("version", VERSIONS)
def test_many_requests_in_many_records(tls_proxy, ca, version):
    def serve(peer):
        while True:
            start = peer.message().start
            peer.send(OK.replace("hi", start.split(" ")[1][-2:]))
    proxy = tls_proxy(serve, tls={"policy": "intermediate"})
    with proxy.open(ca.context(version)) as client:
        for i in range(10, 60):
            client.send(GET.replace("/", f"/{i}", 1))
        assert [client.message().body for _ in range(50)] == \
            [str(i).encode() for i in range(10, 60)]
