# SPDX-License-Identifier: BSD-2-Clause
"""How connections and tunnels over TLS end: in order, broken off, with sockets that are full."""
import ctypes
import os
import socket
import ssl
import threading

import pytest

from http1 import Script, connect
from lab import TIMEOUT_S, wait_until
from test_l7_backends import backend_row
from test_l7_tls_backends import TlsScript
from test_l7_tunnels import ASK, at_rest, switching

SIDES = ["client", "backend", "both"]
FEW = {"rcvbuf": 8192, "mss": 536}  # bytes that the kernel holds for who does not read


def end(peer):
    """Nothing follows; over TLS, returns when the other side has said so, too."""
    if isinstance(peer.sock, ssl.SSLSocket):
        peer.sock.unwrap()
    peer.shutdown()


def listen(peer, into):
    """All that comes, and how that ends."""
    try:
        while peer.fill():
            pass
        how = "end"
    except (ssl.SSLError, ConnectionResetError):
        how = "cut"
    into.append((peer.take(len(peer.buffer)), how))


@pytest.fixture(name="front")
def make_front(http_proxy, ca):
    """front(serve, sides) -> Proxy with TLS on these sides; open(**kw), tunnel(**kw) -> Peer of a
    client. serve runs once it has switched to another protocol."""
    scripts = []

    def make(serve, sides, is_switching=True, **kw):
        serve = switching(serve) if is_switching else serve
        if sides == "client":
            script = Script(serve)
        else:
            script = TlsScript(ca.issue("backend.test"), serve)
            script.context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
            kw["pool"] = {"tls": {"ca": ca.pem, "name": "backend.test"}}
        if sides != "backend":
            kw["tls"] = {"certificates": [ca.issue("example.org")]}
        script.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, FEW["rcvbuf"])
        script.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, FEW["mss"])
        scripts.append(script)
        proxy = http_proxy(backends=[script], **kw)

        def begin(**more):
            peer = connect(proxy.port, **more)
            if sides != "backend":
                peer.sock = ca.context().wrap_socket(peer.sock, server_hostname="example.org",
                                                     suppress_ragged_eofs=False)
            return peer

        def begin_tunnel(**more):
            peer = begin(**more)
            peer.send(ASK.format("websocket"))
            assert peer.head().status == 101
            return peer
        proxy.open, proxy.tunnel = begin, begin_tunnel
        return proxy
    yield make
    for script in scripts:
        script.close()
    assert not [error for script in scripts for error in script.errors]


# ---- tunnels ----

@pytest.mark.parametrize("sides", SIDES)
@pytest.mark.parametrize("first", ["client", "backend"])
def test_the_end_of_each_side_is_said(front, sides, first):
    heard, ended = {}, threading.Event()

    def act(peer, who):
        heard[who] = []
        peer.send(f"{who} says\n")
        assert peer.until(b"\n")
        if who == first:
            end(peer)
        listen(peer, heard[who])
        if who != first:
            end(peer)

    def serve(peer):
        act(peer, "backend")
        ended.set()
    proxy = front(serve, sides)
    with proxy.tunnel() as client:
        act(client, "client")
        assert ended.wait(TIMEOUT_S)
        proxy.wait_counter("open_connections", 0)
    assert heard == {"client": [(b"", "end")], "backend": [(b"", "end")]}


@pytest.mark.parametrize("sides,breaker", [("client", "client"), ("both", "client"),
                                           ("both", "backend"), ("backend", "backend")])
def test_what_was_said_before_a_side_breaks_off_is_passed_on(front, sides, breaker):
    """Its bytes wait in the proxy, as the other side does not read, when it ends without a word."""
    heard, ready, broken, go_on = [], threading.Event(), threading.Event(), threading.Event()
    piece, pieces, before = os.urandom(16384), [], []

    def passed():
        """Bytes that came from the breaker, and that went on."""
        row = backend_row(proxy, "b1")
        return ((row["bytes_in"], proxy.counter("bytes_out")) if breaker == "backend" else
                (proxy.counter("bytes_in"), row["bytes_out"]))

    def speak(peer):
        came = gone = 0
        while came == gone:
            peer.send(piece)
            pieces.append(piece)
            wait_until(lambda: passed()[0] - before[0] == len(pieces) * len(piece))
            came, gone = (now - then for now, then in zip(passed(), before))
        peer.close()
        broken.set()

    def hear(peer):
        assert broken.wait(TIMEOUT_S) and go_on.wait(TIMEOUT_S)
        listen(peer, heard)

    def serve(peer):
        assert ready.wait(TIMEOUT_S)
        (speak if breaker == "backend" else hear)(peer)
    proxy = front(serve, sides)
    with proxy.tunnel(**FEW) as client:
        before += passed()
        ready.set()
        if breaker == "client":
            speak(client)
        assert broken.wait(TIMEOUT_S)
        cpu = proxy.cpu_seconds()
        at_rest(lambda: 1)
        assert proxy.cpu_seconds() - cpu < 0.2
        go_on.set()
        if breaker == "backend":
            hear(client)
        wait_until(lambda: heard)
        proxy.wait_counter("open_connections", 0)
    # A plain side can only see an end.
    assert heard == [(b"".join(pieces), "cut" if sides == "both" else "end")]


# ---- sockets that are full ----

def fill(proxy, ask):
    """How many bytes go to a client that does not read."""
    with ask(16 << 20):
        most = at_rest(lambda: proxy.counter("bytes_out"))
    proxy.wait_counter("open_connections", 0)
    return most


def end_in_order(proxy, ask, take, sizes):
    """Clients that begin to read when the proxy has written what it can."""
    clients = [(ask(size), size) for size in sizes]
    at_rest(lambda: proxy.counter("bytes_out"))
    cut = []
    for client, size in clients:
        with client:
            take(client, size)
            try:
                assert client.to_end() == b""
            except ssl.SSLError:
                cut.append(size)
    assert not cut, (len(cut), len(clients), cut)
    proxy.wait_counter("open_connections", 0)


@pytest.mark.parametrize("sides", ["client", "both"])
def test_the_end_of_a_tunnel_is_said_behind_a_full_socket(front, sides):
    def serve(peer):
        size = int(peer.until(b"\n"))
        peer.send(bytes(size))
        end(peer)
    proxy = front(serve, sides)

    def ask(size):
        client = proxy.tunnel(**FEW)
        client.send(f"{size}\n")
        return client
    most = fill(proxy, ask)
    end_in_order(proxy, ask, lambda c, size: c.exactly(size),
                 range(most - (96 << 10), most, 2048))


@pytest.mark.parametrize("path", ["close", "linger"])
def test_the_end_is_said_behind_a_full_socket(front, path):
    def serve(peer):
        while True:
            size = int(peer.message().start.split(" ")[1][1:])
            peer.send(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n")
            peer.send(bytes(size))

    proxy = front(serve, "client", is_switching=False)

    def ask(size):
        client = proxy.open(**FEW)
        client.send(f"GET /{size} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" +
                    ("more" if path == "linger" else ""))
        return client
    # The size that just fits, so that nothing fits behind it.
    most = fill(proxy, ask)
    sizes = range(most - (160 << 10), most, 4096)
    clients = [ask(size) for size in sizes]
    at_rest(lambda: proxy.counter("bytes_out"))
    limit = sizes[-backend_row(proxy, "b1")["active_requests"]]
    for client in clients:
        client.close()
    proxy.wait_counter("open_connections", 0)
    end_in_order(proxy, ask, lambda c, size: (c.head(), c.exactly(size)),
                 range(limit - 1536, limit, 6))


# ---- what is broken does not keep the proxy busy ----

def test_a_reset_with_bytes_left_to_write_is_noticed_once(front):
    """The backend resets while it takes none of the request, the client none of the response."""
    stuck, go_on = threading.Event(), threading.Event()

    def pour(peer):
        peer.sock.settimeout(1)
        try:
            while True:
                peer.send(bytes(65536))
        except TimeoutError:
            pass

    def serve(peer):
        peer.head()
        peer.send(f"HTTP/1.1 200 OK\r\nContent-Length: {1 << 30}\r\n\r\n")
        pour(peer)
        stuck.set()
        go_on.wait(TIMEOUT_S)
        peer.reset()
    proxy = front(serve, "backend", is_switching=False)
    with proxy.open() as client:
        client.send(f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {1 << 30}\r\n\r\n")
        pour(client)
        assert stuck.wait(TIMEOUT_S)
        go_on.set()
        cpu = proxy.cpu_seconds()
        at_rest(lambda: 1, 1)
        assert proxy.cpu_seconds() - cpu < 0.3
        client.sock.settimeout(TIMEOUT_S)
        try:
            client.to_end()
        except ConnectionResetError:
            pass
    proxy.wait_counter("open_connections", 0)


KEY_UPDATE_REQUESTED = 1
FLOOD_MAX = 150000


class Updater:
    """A client that changes its key, which Python's ssl has no words for: OpenSSL itself."""

    def __init__(self, proxy, **kw):
        self.lib = ctypes.CDLL("libssl.so.3")
        for name in ("TLS_client_method", "SSL_CTX_new", "SSL_new"):
            getattr(self.lib, name).restype = ctypes.c_void_p
        pointer = ctypes.c_void_p
        self.raw = connect(proxy.port, **kw).sock
        self.raw.setblocking(True)
        self.context = pointer(self.lib.SSL_CTX_new(pointer(self.lib.TLS_client_method())))
        self.tls = pointer(self.lib.SSL_new(self.context))
        assert self.lib.SSL_set_fd(self.tls, self.raw.fileno()) == 1
        assert self.lib.SSL_connect(self.tls) == 1

    def update(self, how=KEY_UPDATE_REQUESTED):
        return self.lib.SSL_key_update(self.tls, how) == 1 and \
            self.lib.SSL_do_handshake(self.tls) == 1

    def send(self, data):
        return self.lib.SSL_write(self.tls, data, len(data)) == len(data)

    def read(self):
        """What comes, or nothing at the end."""
        data = ctypes.create_string_buffer(16384)
        n = self.lib.SSL_read(self.tls, data, len(data))
        return data.raw[:max(0, n)]

    def close(self):
        self.raw.close()
        self.lib.SSL_free(self.tls)
        self.lib.SSL_CTX_free(self.context)


def test_key_updates_that_nobody_reads_the_answers_of(front):
    proxy = front(lambda peer: None, "client", is_switching=False,
                  timeouts={"request_header": "1h"})
    client = Updater(proxy, **FEW)
    sent = 0
    while sent < FLOOD_MAX and client.update():
        sent += 1
    assert 32 <= sent < FLOOD_MAX
    proxy.wait_counter("open_connections", 0)
    client.close()


def test_key_updates_among_a_body(front):
    """Of both kinds, and answers that are read at the end alone."""
    body = []

    def serve(peer):
        body.append(peer.message().body)
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
    proxy = front(serve, "client", is_switching=False)
    client = Updater(proxy)
    count = 2000
    assert client.send(f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {count}\r\n\r\n"
                       .encode())
    for i in range(count):
        assert client.update(i % 2) and client.send(b"x")
    answer = client.read()
    while b"\r\n\r\nhi" not in answer:
        more = client.read()
        assert more, answer
        answer += more
    assert body == [b"x" * count]
    assert client.update() and client.send(b"GET")
    client.close()
    proxy.wait_counter("open_connections", 0)
