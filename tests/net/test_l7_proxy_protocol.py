# SPDX-License-Identifier: BSD-2-Clause
"""PROXY headers: from clients that may speak for others, and to backends."""
import socket
import ssl
import struct
import subprocess

import pytest

import tls
from certs import TlsScript
from http1 import OK, Peer
from lab import TIMEOUT_S, wait_until

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V1 = b"PROXY TCP4 192.0.2.7 203.0.113.9 4711 443\r\n"
V1_IPV6 = b"PROXY TCP6 2001:db8::7 2001:db8::9 4711 443\r\n"
TRUSTED = {"from": ["127.0.0.0/8", "::1"]}
OTHERS = {"from": "192.0.2.0/24"}
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def v2(body=b"", command=0x21, family=0x11):
    return SIGNATURE + struct.pack(">BBH", command, family, len(body)) + body


def tlv(kind, value):
    return struct.pack(">BH", kind, len(value)) + value


ENDS = socket.inet_aton("192.0.2.7") + socket.inet_aton("203.0.113.9") + struct.pack(">HH", 4711,
                                                                                  443)


class Header:
    """What a backend is told: read from the front of a connection."""

    def __init__(self, peer):
        self.tlvs = {}
        if peer.exactly(6) == b"PROXY ":
            words = peer.until(b"\r\n").decode().split()
            self.kind, self.source, self.destination = words[0], (words[1], int(words[3])), (
                words[2], int(words[4]))
            return
        assert peer.exactly(6) == SIGNATURE[6:]
        command, family, size = struct.unpack(">BBH", peer.exactly(4))
        assert command == 0x21
        self.kind, width = {0x11: ("TCP4", 4), 0x21: ("TCP6", 16)}[family]
        body = peer.exactly(size)
        ports = struct.unpack_from(">HH", body, 2 * width)
        af = socket.AF_INET if width == 4 else socket.AF_INET6
        self.source = (socket.inet_ntop(af, body[:width]), ports[0])
        self.destination = (socket.inet_ntop(af, body[width:2 * width]), ports[1])
        rest = body[2 * width + 4:]
        while rest:
            kind, size = struct.unpack_from(">BH", rest)
            self.tlvs[kind] = rest[3:3 + size]
            rest = rest[3 + size:]


def recorder(headers):
    """Notes the header, then says the rest back."""
    def serve(peer):
        headers.append(Header(peer))
        while peer.buffer or peer.fill():
            peer.send(peer.take(len(peer.buffer)))
        peer.shutdown()
    return serve


def plain(peer):
    while peer.fill():
        peer.send(peer.take(len(peer.buffer)))
    peer.shutdown()


def through(proxy, data):
    with proxy.connect() as client:
        client.send(data)
        client.shutdown()
        return client.to_end()


# ---- to backends

@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("addr, kind", [("127.0.0.1", "TCP4"), ("::1", "TCP6")])
def test_a_backend_is_told_of_the_client(http_proxy, version, addr, kind):
    headers = []
    proxy = http_proxy(recorder(headers), addr=addr, mode="tcp",
                       pool={"proxy_protocol": version})
    with proxy.connect() as client:
        client.send("hello")
        assert client.exactly(5) == b"hello"
        assert headers[0].kind == kind
        assert headers[0].source == client.sock.getsockname()[:2]
        assert headers[0].destination == (addr, proxy.port)
        assert not headers[0].tlvs


def test_a_backend_is_told_before_the_client_has_spoken(http_proxy):
    def serve(peer):
        headers.append(Header(peer))
        peer.send("hi")
        peer.to_end()
    headers = []
    proxy = http_proxy(serve, mode="tcp", pool={"proxy_protocol": "v2"})
    with proxy.connect() as client:
        assert client.exactly(2) == b"hi"


@pytest.mark.parametrize("alpn, told", [(["h2"], b"h2"), (["h2", "http/1.1"], None), (None, None)])
def test_a_backend_is_told_what_tls_asks_for(http_proxy, alpn, told):
    headers = []
    proxy = http_proxy(recorder(headers), mode="tls", pool={"proxy_protocol": "v2"})
    hello = tls.hello("www.example.com", alpn)
    assert through(proxy, hello) == hello
    assert headers[0].tlvs.get(2) == b"www.example.com"
    assert headers[0].tlvs.get(1) == told


def test_http_backends_are_told_and_serve_one_client_each(http_proxy):
    headers = []

    def serve(peer):
        headers.append(Header(peer))
        while True:
            peer.message()
            peer.send(OK)
    proxy = http_proxy(serve, pool={"proxy_protocol": "v1"})
    ends = []
    for _ in range(2):
        with proxy.connect() as client:
            for _ in range(2):
                assert client.ask(GET).status == 200
                ends.append(client.sock.getsockname())
    assert [h.source for h in headers] == ends
    assert proxy.counter("retries") == 0
    shown = proxy.daemon.ctl_json("status")["proxy"]
    assert shown["idle_backend_connections"] == 0


def test_kept_connections_are_not_used_once_headers_are_asked_for(http_proxy):
    first = []

    def serve(peer):
        while True:
            peer.fill()
            first.append(bytes(peer.buffer[:5]))
            peer.take(len(peer.buffer))
            peer.send(OK)
    proxy = http_proxy(serve)
    assert proxy.ask(GET).status == 200
    proxy.config["pools"]["web"]["proxy_protocol"] = "v1"
    proxy.daemon.reload(proxy.config)
    assert proxy.ask(GET).status == 200
    assert first[0] == b"GET /" and first[1] == b"PROXY"


@pytest.mark.parametrize("version, expected", [
    ("off", b"GET "), ("v1", b"PROXY UNKNOWN\r\nGET "),
    ("v2", v2(command=0x20, family=0) + b"GET ")])
def test_health_checks_speak_for_nobody(http_proxy, version, expected):
    heard = []

    def serve(peer):
        heard.append(peer.exactly(len(expected)))
        peer.send(OK)
    proxy = http_proxy(serve, pool={"proxy_protocol": version, "health": {
        "http": {"path": "/"}, "every": "100ms", "rise": 1}})
    wait_until(lambda: proxy.daemon.ctl_json("backend", "list")["backends"][0]["state"] == "up" and
               heard)
    assert heard[0] == expected


# ---- to backends, ahead of TLS

class OneByOne(Peer):
    """Reads no further than it is asked to."""

    def fill(self):
        self.buffer += self.sock.recv(1)
        return bool(self.buffer)


class HeaderThenTls(TlsScript):
    """A backend that reads a header in the clear, by read(peer), then speaks TLS."""

    def __init__(self, pair, read, **kw):
        self.read, self.headers = read, []
        super().__init__(pair, **kw)

    def _run(self, peer):
        try:
            self.headers.append(self.read(OneByOne(peer.sock)))
        except Exception as exc:  # pylint: disable=broad-except
            self.errors.append(exc)
            raise
        super()._run(peer)


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("addr, kind", [("127.0.0.1", "TCP4"), ("::1", "TCP6")])
def test_a_backend_is_told_ahead_of_tls(http_proxy, ca, version, addr, kind):
    script = HeaderThenTls(ca.issue("backend.test"), Header)
    proxy = http_proxy(backends=[script], addr=addr, pool={
        "proxy_protocol": version, "tls": {"ca": ca.pem, "name": "backend.test"}})
    ends = []
    for _ in range(2):
        with proxy.connect() as client:
            ends.append(client.sock.getsockname()[:2])
            for _ in range(2):
                assert client.ask(GET).body == b"hi"
    assert [h.kind for h in script.headers] == [kind] * 4
    assert [h.source for h in script.headers] == [ends[0]] * 2 + [ends[1]] * 2
    assert {h.destination for h in script.headers} == {(addr, proxy.port)}
    assert script.names == ["backend.test"] * 4
    assert not script.errors and not script.refused


@pytest.mark.parametrize("version, expected", [
    ("v1", b"PROXY UNKNOWN\r\n"), ("v2", v2(command=0x20, family=0))])
@pytest.mark.parametrize("kind", ["http", "tcp"])
def test_health_checks_say_it_ahead_of_tls(http_proxy, ca, version, expected, kind):
    script = HeaderThenTls(ca.issue("backend.test"), lambda peer: peer.exactly(len(expected)))
    proxy = http_proxy(backends=[script], pool={
        "proxy_protocol": version, "tls": {"ca": ca.pem, "name": "backend.test"},
        "health": {kind: {}, "every": "200ms", "timeout": "200ms", "rise": 1}})
    wait_until(lambda: proxy.daemon.ctl_json("health")["backends"][0]["state"] == "up")
    assert script.headers[0] == expected
    assert not script.refused


# ---- from clients

@pytest.mark.parametrize("header, source, destination", [
    (V1, ("192.0.2.7", 4711), ("203.0.113.9", 443)),
    (V1_IPV6, ("2001:db8::7", 4711), ("2001:db8::9", 443)),
    (v2(ENDS), ("192.0.2.7", 4711), ("203.0.113.9", 443)),
    (v2(ENDS + tlv(0x20, b"x" * 3000)), ("192.0.2.7", 4711), ("203.0.113.9", 443)),
])
@pytest.mark.parametrize("mode", ["tcp", "tls"])
def test_a_trusted_client_speaks_for_another(http_proxy, mode, header, source, destination):
    headers = []
    proxy = http_proxy(recorder(headers), mode=mode, proxy_protocol=TRUSTED,
                       pool={"proxy_protocol": "v2"})
    data = tls.hello("a.test")
    assert through(proxy, header + data) == data
    assert (headers[0].source, headers[0].destination) == (source, destination)


def test_a_long_header_and_a_long_hello(http_proxy):
    """Together more than a buffer holds, each within its bound."""
    headers = []
    proxy = http_proxy(recorder(headers), mode="tls", proxy_protocol=TRUSTED,
                       pool={"proxy_protocol": "v1"})
    hello = tls.hello("a.test", [f"{i:0250}" for i in range(40)])
    assert 10000 < len(hello) < 12000
    assert through(proxy, v2(ENDS + tlv(0x20, b"x" * 8000)) + hello) == hello
    assert proxy.counter("hello_invalid") == 0


def test_a_header_in_pieces(http_proxy):
    headers = []
    proxy = http_proxy(recorder(headers), mode="tcp", proxy_protocol=TRUSTED,
                       pool={"proxy_protocol": "v1"})
    for header in (V1, v2(ENDS + tlv(4, b"pad"))):
        with proxy.connect() as client:
            before = proxy.counter("bytes_in")
            for i in range(len(header)):
                client.send(header[i:i + 1])
                if i % 10 == 0:
                    wait_until(lambda n=before + i + 1: proxy.counter("bytes_in") == n)
            client.send("hello")
            assert client.exactly(5) == b"hello"
    assert [h.source for h in headers] == [("192.0.2.7", 4711)] * 2


def test_what_is_known_is_handed_on(http_proxy):
    headers = []
    proxy = http_proxy(recorder(headers), mode="tcp", proxy_protocol=TRUSTED,
                       pool={"proxy_protocol": "v2"})
    told = {1: b"h2", 2: b"www.example.com", 5: b"\0unique"}
    through(proxy, v2(ENDS + b"".join(tlv(k, v) for k, v in told.items()) + tlv(0xee, b"other")))
    assert headers[0].tlvs == told


@pytest.mark.parametrize("header", [v2(command=0x20, family=0), v2(ENDS, command=0x20),
                                    b"PROXY UNKNOWN\r\n", v2(bytes(216), family=0x31)],
                         ids=["local", "local-with-ends", "unknown", "unix"])
def test_a_proxy_that_speaks_for_itself(http_proxy, header):
    headers = []
    proxy = http_proxy(recorder(headers), mode="tcp", proxy_protocol=TRUSTED,
                       pool={"proxy_protocol": "v1"})
    with proxy.connect() as client:
        client.send(header + b"hi")
        assert client.exactly(2) == b"hi"
        assert headers[0].source == client.sock.getsockname()


def test_http_requests_are_those_of_the_client_that_is_spoken_for(http_proxy):
    seen = []

    def serve(peer):
        while True:
            seen.append(peer.message().get("X-Forwarded-For"))
            peer.send(OK)
    proxy = http_proxy(serve, proxy_protocol=TRUSTED)
    for header in (V1, v2(ENDS)):
        with proxy.connect() as client:
            client.send(header + GET + GET)
            assert [client.message().status for _ in range(2)] == [200, 200]
            assert client.ask(GET).status == 200
    assert seen == ["192.0.2.7"] * 6


@pytest.mark.parametrize("data", [
    b"hello", GET, V1.replace(b"4711", b"04711"), V1.replace(b"\r\n", b"\n"),
    b"PROXY UNKNOWN" + b" " * 120, v2(ENDS, command=0x22), v2(ENDS, family=0x12),
    v2(ENDS + b"\4\0\1"), v2(ENDS + tlv(3, b"\0\0\0\0")), SIGNATURE + b"\x21\x11\xff\xff",
], ids=range(10))
@pytest.mark.parametrize("mode", ["tcp", "http"])
def test_a_bad_header_ends_the_connection(http_proxy, mode, data):
    proxy = http_proxy(plain, mode=mode, proxy_protocol=TRUSTED)
    with proxy.connect() as client:
        client.send(data)
        assert client.is_closed()
    shown = proxy.daemon.ctl_json("service", "show", "web")["proxy_protocol"]
    assert shown["invalid"] == 1
    assert proxy.scripts[0].connections == 0


def test_a_late_header_ends_the_connection(http_proxy):
    proxy = http_proxy(plain, mode="tcp", proxy_protocol={**TRUSTED, "timeout": "300ms"})
    with proxy.connect() as silent, proxy.connect() as slow:
        slow.send(V1[:20])
        assert silent.is_closed() and slow.is_closed()
    assert proxy.daemon.ctl_json("service", "show", "web")["proxy_protocol"]["timeouts"] == 2


def test_nobody_else_may_connect_where_a_header_is_required(http_proxy):
    proxy = http_proxy(plain, mode="tcp", proxy_protocol=OTHERS)
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        with proxy.connect() as client:
            client.send(V1)
            client.fill()
    assert proxy.daemon.ctl_json("service", "show", "web")["proxy_protocol"]["untrusted"] == 1
    assert proxy.scripts[0].connections == 0


def test_nobody_elses_header_is_believed(http_proxy):
    headers = []
    proxy = http_proxy(recorder(headers), mode="tcp", pool={"proxy_protocol": "v1"},
                       proxy_protocol={**OTHERS, "header": "optional"})
    with proxy.connect() as client:
        client.send(V1)
        assert client.exactly(len(V1)) == V1
        assert headers[0].source == client.sock.getsockname()
    http = http_proxy(plain, proxy_protocol={**OTHERS, "header": "optional"})
    assert http.ask(V1 + GET).status == 400


def test_an_optional_header(http_proxy):
    headers = []
    proxy = http_proxy(recorder(headers), mode="tcp", pool={"proxy_protocol": "v1"},
                       proxy_protocol={**TRUSTED, "header": "optional"})
    for data in (b"hello", b"PROPFIND /", b"\r\n\r\nhi"):
        assert through(proxy, data) == data
        assert headers.pop().source[0] == "127.0.0.1"
        assert through(proxy, V1 + data) == data
        assert headers.pop().source == ("192.0.2.7", 4711)
    with proxy.connect() as client:
        client.send(V1.replace(b"443", b"x"))
        assert client.is_closed()


def test_who_is_trusted_changes_with_a_reload(http_proxy):
    headers = []
    proxy = http_proxy(recorder(headers), mode="tcp", pool={"proxy_protocol": "v1"},
                       proxy_protocol=TRUSTED)
    with proxy.connect() as early:
        early.send(V1)
        early.send("one")
        assert early.exactly(3) == b"one"
        del proxy.config["services"]["web"]["proxy_protocol"]
        proxy.daemon.reload(proxy.config)
        early.send("two")
        assert early.exactly(3) == b"two"
    assert through(proxy, V1) == V1
    assert [h.source[0] for h in headers] == ["192.0.2.7", "127.0.0.1"]


# ---- other programs

class Haproxy:
    def __init__(self, lab, port, text):
        path = lab.path("haproxy.cfg")
        with open(path, "w", encoding="ascii") as f:
            f.write("defaults\n  timeout connect 5s\n  timeout client 20s\n  timeout server 20s\n"
                    + text)
        self.proc = lab.popen(["haproxy", "-db", "-f", path], stdin=subprocess.DEVNULL)
        wait_until(lambda: answers(port))


def answers(port):
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def test_haproxy_is_told(http_proxy, lab, free_port):
    port = free_port()
    Haproxy(lab, port, f"""
frontend f
  mode http
  bind 127.0.0.1:{port} accept-proxy
  http-request return status 200 content-type text/plain lf-string \
"%[src] %[src_port] %[dst] %[dst_port] %[fc_pp_authority] %[fc_pp_unique_id]"
""")
    for version in ("v1", "v2"):
        for mode in ("tcp", "http"):
            proxy = http_proxy(backends=[f"127.0.0.1:{port}"], mode=mode, proxy_protocol=TRUSTED,
                               pool={"proxy_protocol": version})
            with proxy.connect() as client:
                client.send(v2(ENDS + tlv(2, b"a.test") + tlv(5, b"id-1")))
                told = client.ask(GET).body.decode().split()
            assert told == ["192.0.2.7", "4711", "203.0.113.9", "443",
                            *(["a.test", "id-1"] if version == "v2" else [])]


@pytest.mark.parametrize("options", [
    "send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id"])
def test_haproxy_tells(http_proxy, lab, free_port, options):
    headers = []
    proxy = http_proxy(recorder(headers), mode="tcp", proxy_protocol=TRUSTED,
                       pool={"proxy_protocol": "v2"})
    port = free_port()
    Haproxy(lab, port, f"""
listen l
  mode tcp
  bind 127.0.0.1:{port}
  unique-id-format id-%ci
  server s 127.0.0.1:{proxy.port} {options}
""")
    with socket.create_connection(("127.0.0.1", port), 10) as sock:
        sock.sendall(b"hello")
        assert sock.recv(5) == b"hello"
        # Another one was there before, to see that haproxy listens.
        told, = [header for header in headers if header.source == sock.getsockname()]
    assert told.destination == ("127.0.0.1", port)
    assert told.tlvs == ({5: b"id-127.0.0.1"} if "unique-id" in options else {})
    assert proxy.daemon.ctl_json("service", "show", "web")["proxy_protocol"]["invalid"] == 0


def test_nginx_is_told(http_proxy, lab, free_port):
    port, path = free_port(), lab.path("nginx.conf")
    with open(path, "w", encoding="ascii") as f:
        f.write(f"""
daemon off; master_process off; pid {lab.path("nginx.pid")}; error_log stderr;
events {{}}
http {{
  access_log off;
  server {{
    listen 127.0.0.1:{port} proxy_protocol;
    location / {{
      return 200 "$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_addr";
    }}
  }}
}}
""")
    lab.popen(["nginx", "-c", path], stdin=subprocess.DEVNULL)
    wait_until(lambda: answers(port))
    for version in ("v1", "v2"):
        proxy = http_proxy(backends=[f"127.0.0.1:{port}"], proxy_protocol=TRUSTED,
                           pool={"proxy_protocol": version})
        with proxy.connect() as client:
            client.send(V1_IPV6)
            assert client.ask(GET).body == b"2001:db8::7 4711 2001:db8::9"


def test_curl_speaks_for_itself(http_proxy):
    seen = []

    def serve(peer):
        seen.append(peer.message().get("X-Forwarded-For"))
        peer.send(OK)
    proxy = http_proxy(serve, proxy_protocol=TRUSTED)
    done = subprocess.run(["curl", "-sS", "--haproxy-protocol", f"http://127.0.0.1:{proxy.port}/"],
                          capture_output=True, timeout=TIMEOUT_S, check=False)
    assert (done.stdout, seen) == (b"hi", ["127.0.0.1"])


@pytest.mark.parametrize("cut", [0, 10, len(V1), len(V1) + 20],
                         ids=["at once", "in the header", "behind it", "in TLS"])
def test_tls_behind_the_header(tls_proxy, ca, cut):
    """The first bytes of TLS may have been read together with the header."""
    seen = []

    def serve(peer):
        message = peer.message()
        seen.append((message.get("X-Forwarded-For"), message.get("X-Forwarded-Proto")))
        peer.send(OK)
    proxy = tls_proxy(serve, proxy_protocol=TRUSTED)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    inside = ca.context().wrap_bio(incoming, outgoing, server_hostname="example.org")
    with pytest.raises(ssl.SSLWantReadError):
        inside.do_handshake()
    first = V1 + outgoing.read()
    with socket.create_connection((proxy.addr, proxy.port), timeout=TIMEOUT_S) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in (first[:cut], first[cut:]):
            sock.sendall(piece)

        def talk(step):
            while True:
                try:
                    return step()
                except ssl.SSLWantReadError:
                    sock.sendall(outgoing.read())
                    incoming.write(sock.recv(65536))
        talk(inside.do_handshake)
        inside.write(GET)
        sock.sendall(outgoing.read())
        assert talk(lambda: inside.read(65536)).startswith(b"HTTP/1.1 200")
    assert seen == [("192.0.2.7", "https")]
    assert proxy.counter("bytes_in") == len(V1) + len(GET)  # of TLS, what was in it
