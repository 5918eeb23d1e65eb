# SPDX-License-Identifier: BSD-2-Clause
"""Connections that stop being HTTP: WebSocket, other upgrades, CONNECT."""
import asyncio
import base64
import hashlib
import threading
import time

import pytest
import websockets

from http1 import OK
from lab import TIMEOUT_S, wait_until

GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
ASK = "GET /x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: {}\r\n\r\n"
SWITCH = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: {}\r\n\r\n"
CONNECT = "CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n"
SHORT = 0.3


def accept(key):
    guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    return base64.b64encode(hashlib.sha1((key + guid).encode()).digest()).decode()


def switching(serve, name="websocket", seen=None):
    """A backend that switches to the protocol, then does what serve says."""
    def run(peer):
        request = peer.head()
        if seen is not None:
            seen.append(request)
        head = SWITCH.format(name)
        if key := request.get("Sec-WebSocket-Key"):
            head = head[:-2] + f"Sec-WebSocket-Accept: {accept(key)}\r\n\r\n"
        peer.send(head)
        serve(peer)
    return run


def echo(peer):
    while True:
        if not peer.buffer and not peer.fill():
            return
        peer.send(peer.take(len(peer.buffer)))


def tunnel(proxy, name="websocket", **kw):
    client = proxy.connect(**kw)
    client.send(ASK.format(name))
    assert client.head().status == 101
    return client


class WebSocketServer:
    """python3-websockets in a thread: says back what it is told."""

    def __init__(self):
        self.ready, self.closed = threading.Event(), []
        threading.Thread(target=lambda: asyncio.run(self.main()), daemon=True).start()
        assert self.ready.wait(TIMEOUT_S)

    async def main(self):
        self.loop, self.stop = asyncio.get_running_loop(), asyncio.Event()
        async with websockets.serve(self.serve, "127.0.0.1", 0, max_size=None) as server:
            self.port = server.sockets[0].getsockname()[1]
            self.ready.set()
            await self.stop.wait()

    async def serve(self, ws):
        try:
            async for message in ws:
                await ws.send(message)
        except websockets.ConnectionClosed:
            pass
        self.closed.append(ws.close_code)

    def close(self):
        self.loop.call_soon_threadsafe(self.stop.set)


@pytest.fixture
def ws_server():
    server = WebSocketServer()
    yield server
    server.close()


def test_websockets_of_a_library_on_both_ends(http_proxy, ws_server):
    proxy = http_proxy(backends=[f"127.0.0.1:{ws_server.port}"])

    async def talk(i):
        async with websockets.connect(f"ws://127.0.0.1:{proxy.port}/chat/{i}", max_size=None,
                                      subprotocols=None) as ws:
            for size in (0, 1, 125, 126, 65535, 65536, 3_000_000):
                data = bytes((i + n) % 251 for n in range(size % 65537)) + b"z" * (size // 2)
                await ws.send(data)
                assert await ws.recv() == data
            await ws.send("text \u00e4")
            assert await ws.recv() == "text \u00e4"
            await (await ws.ping())
        assert ws.close_code == 1000

    async def all_of_them():
        await asyncio.gather(*(talk(i) for i in range(20)))
    asyncio.run(all_of_them())
    assert proxy.counter("tunnels") == proxy.counter("responses_1xx") == 20
    proxy.wait_counter("open_connections", 0)
    wait_until(lambda: ws_server.closed == [1000] * 20)
    wait_until(lambda: proxy.daemon.ctl_json("backend", "list")["backends"][0]["http"]
               ["active_requests"] == 0)
    done = proxy.daemon.ctl("service", "show", "web")
    assert "20 opened" in done.stdout and "tunnel 10m" in done.stdout, done


def test_what_is_asked_and_answered(http_proxy):
    seen = []
    proxy = http_proxy(switching(echo, seen=seen))
    with proxy.connect() as client:
        client.send("GET /x HTTP/1.1\r\nHost: a\r\n"
                    "Connection: keep-alive, Upgrade, X-Y\r\nX-Y: z\r\n"
                    "Upgrade: h2c, foo, WebSocket\r\nSec-WebSocket-Key: k\r\n\r\nat once")
        reply = client.head()
        assert reply.status == 101
        assert reply.fields == [("Sec-WebSocket-Accept", accept("k")), ("Connection", "Upgrade"),
                                ("Upgrade", "WebSocket")]
        assert client.exactly(7) == b"at once"
        client.send(GET)
        assert client.exactly(len(GET)) == GET.encode()
    assert seen[0].get("Connection") == "Upgrade"
    assert seen[0].get("Upgrade") == "WebSocket"
    assert seen[0].get("Sec-WebSocket-Key") == "k"
    assert seen[0].get("X-Y") is None


def test_a_protocol_of_its_own_speaks_first(http_proxy):
    proxy = http_proxy(switching(lambda peer: (peer.send("hello"), echo(peer)), "Foo/2"),
                       upgrades=["foo/2"])
    with tunnel(proxy, "FOO/2") as client:
        assert client.exactly(5) == b"hello"
        client.send("x")
        assert client.exactly(1) == b"x"


@pytest.mark.parametrize("upgrades,asked,passed", [
    ("none", "websocket", None), (["foo"], "websocket", None), ("any", "bar", "bar"),
    ("any", "h2c", None), (["foo", "websocket"], "h2c, websocket, foo", "websocket")])
def test_only_allowed_protocols_are_asked_for(http_proxy, upgrades, asked, passed):
    seen = []

    def serve(peer):
        while True:
            seen.append(peer.message())
            peer.send(OK)
    proxy = http_proxy(serve, upgrades=upgrades)
    with proxy.connect() as client:
        for _ in range(2):  # it stays HTTP
            assert client.ask(ASK.format(asked)).status == 200
    assert [request.get("Upgrade") for request in seen] == [passed] * 2


@pytest.mark.parametrize("answer", [
    SWITCH.format("foo"), SWITCH.format("websocket, foo"), SWITCH.format("h2c"),
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\r\n",
    "HTTP/1.0 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    SWITCH.format("websocket").replace("\r\n\r\n", "\r\nContent-Length: 3\r\n\r\n"),
    SWITCH.format("websocket\r\nUpgrade: websocket"),
])
def test_a_switch_to_something_else_is_an_error(http_proxy, answer):
    def serve(peer):
        peer.head()
        peer.send(answer + "HTTP/1.1 200 OK\r\n\r\n")
        peer.to_end()
    proxy = http_proxy(serve)
    with proxy.connect() as client:
        reply = client.ask(ASK.format("websocket"))
        assert (reply.status, reply.get("Upgrade")) == (502, None)


def test_a_refused_switch_leaves_http(http_proxy):
    """What a client sends behind the request as if it were a tunnel is the next request."""
    seen = []

    def serve(peer):
        while True:
            seen.append(peer.message().start)
            peer.send("HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\n"
                      "Content-Length: 0\r\n\r\n")
    proxy = http_proxy(serve)
    with proxy.connect() as client:
        client.send(ASK.format("websocket") + GET.replace("/ ", "/.//admin "))
        assert [client.message().status for _ in range(2)] == [426, 426]
    assert seen == ["GET /x HTTP/1.1", "GET /admin HTTP/1.1"]


def test_interim_responses_come_before_the_switch(http_proxy):
    def serve(peer):
        peer.head()
        peer.send("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + SWITCH.format("websocket"))
        echo(peer)
    proxy = http_proxy(serve)
    with proxy.connect() as client:
        client.send(ASK.format("websocket"))
        assert [client.head().status for _ in range(2)] == [103, 101]
        client.send("x")
        assert client.exactly(1) == b"x"


@pytest.mark.parametrize("first", ["client", "backend"])
def test_each_side_ends_its_direction(http_proxy, first):
    got = []

    def serve(peer):
        if first == "backend":
            peer.send("bye")
            peer.shutdown()
        got.append(peer.to_end())
        if first == "client":
            peer.send("bye")
    proxy = http_proxy(switching(serve))
    with tunnel(proxy) as client:
        if first == "backend":
            assert client.to_end() == b"bye"
        client.send("last words")
        client.shutdown()
        if first == "client":
            assert client.to_end() == b"bye"
        proxy.wait_counter("open_connections", 0)
    assert got == [b"last words"]


@pytest.mark.parametrize("who", ["client", "backend"])
def test_a_reset_ends_both_sides(http_proxy, who):
    ended = threading.Event()

    def serve(peer):
        if who == "backend":
            peer.exactly(1)
            peer.reset()
        else:
            try:
                peer.to_end()
            finally:
                ended.set()
    proxy = http_proxy(switching(serve))
    with tunnel(proxy) as client:
        client.send("x")
        if who == "backend":
            assert client.is_closed()
        else:
            client.reset()
            assert ended.wait(TIMEOUT_S)
    proxy.wait_counter("open_connections", 0)


@pytest.mark.parametrize("reader", ["client", "backend"])
def test_who_does_not_read_stops_the_other(http_proxy, reader):
    size, sent, go, got = 192 << 20, [0], threading.Event(), []

    def pour(peer):
        for _ in range(size >> 16):
            peer.send(b"x" * 65536)
            sent[0] += 65536
        peer.shutdown()

    def drink(peer):
        go.wait(TIMEOUT_S)
        got.append(hashlib.sha256(peer.to_end()).hexdigest())

    proxy = http_proxy(switching(pour if reader == "client" else drink))
    with tunnel(proxy, rcvbuf=65536 if reader == "client" else None) as client:
        before = proxy.memory()
        thread = threading.Thread(target=drink if reader == "client" else pour, args=(client,))
        thread.start()
        stuck = at_rest(lambda: sent[0])
        cpu = proxy.cpu_seconds()
        assert 0 < stuck < size // 2
        assert at_rest(lambda: sent[0]) == stuck
        assert proxy.cpu_seconds() - cpu < 0.2
        assert proxy.memory() - before < 2 << 20
        go.set()
        thread.join()
        wait_until(lambda: got, 60)  # hundreds of megabytes
    assert got == [hashlib.sha256(b"x" * size).hexdigest()]


def at_rest(value, rest=0.5):
    """The value, once it has not changed for so long."""
    seen, since = value(), time.monotonic()
    while time.monotonic() - since < rest:
        if value() != seen or not seen:
            seen, since = value(), time.monotonic()
        threading.Event().wait(0.02)
    return seen


def test_a_silent_tunnel_ends(http_proxy):
    proxy = http_proxy(switching(echo), timeouts={"tunnel": f"{int(SHORT * 1000)}ms",
                                                  "idle": "10ms", "response_body": "10ms"})
    with tunnel(proxy) as client:
        start = time.monotonic()
        while time.monotonic() - start < 3 * SHORT:  # it is not silent yet
            client.send("x")
            assert client.exactly(1) == b"x"
            threading.Event().wait(SHORT / 10)
        since = time.monotonic()
        assert client.is_closed()
        assert SHORT * 0.8 <= time.monotonic() - since < 10
    proxy.wait_counter("open_connections", 0)


def test_a_reload_leaves_tunnels_alone(http_proxy):
    proxy = http_proxy(switching(echo))
    with tunnel(proxy) as client:
        for i in range(3):
            proxy.config["services"]["web"]["upgrades"] = "none"
            proxy.config["services"]["web"]["limits"] = {"header_count": 50 + i}
            proxy.daemon.reload(proxy.config)
            client.send("x")
            assert client.exactly(1) == b"x"


def test_a_service_that_goes_gives_its_tunnels_time(http_proxy, free_port):
    proxy = http_proxy(switching(echo))
    config = {**proxy.config, "node": {"workers": 1, "drain_timeout": "1s"}, "services": {
        "other": {"listen": [f"127.0.0.1:{free_port()}/tcp"], "mode": "http", "pool": "web"}}}
    with tunnel(proxy) as client:
        proxy.daemon.reload(config)
        start = time.monotonic()
        client.send("x")
        assert client.exactly(1) == b"x"
        while time.monotonic() - start < 20:  # talking does not prolong it
            try:
                client.send("x")
                if not client.fill():
                    break
            except ConnectionError:
                break
        assert 0.5 < time.monotonic() - start < 10


def test_a_daemon_that_stops_gives_its_tunnels_time(http_proxy):
    proxy = http_proxy(switching(echo))
    proxy.config["node"]["drain_timeout"] = "1s"
    proxy.daemon.reload(proxy.config)
    with tunnel(proxy) as client:
        start = time.monotonic()
        assert proxy.daemon.terminate() == 0
        assert 0.5 < time.monotonic() - start < 10
        assert client.is_closed()


# ---- CONNECT

def test_connect_is_refused(http_proxy):
    proxy = http_proxy()
    with proxy.connect() as client:
        reply = client.ask(CONNECT)
        assert (reply.status, reply.get("Connection")) == (405, "close")
    assert proxy.scripts[0].connections == 0


def test_connect_where_it_is_allowed(http_proxy):
    seen = []

    def serve(peer):
        seen.append(peer.head())
        peer.send("HTTP/1.1 200 Connected\r\nContent-Length: 5\r\n\r\nhello")
        echo(peer)
    proxy = http_proxy(serve, connect="tunnel")
    with proxy.connect() as client:
        client.send(CONNECT + "first")
        reply = client.head()
        assert (reply.status, reply.fields) == (200, [])
        assert client.exactly(10) in (b"hellofirst", b"firsthello")
    assert seen[0].start == "CONNECT b:443 HTTP/1.1"
    assert seen[0].get("Host") == "b:443"
    for bad in ("CONNECT b HTTP/1.1\r\nHost: b\r\n\r\n", CONNECT.replace("Host: b", "Host: c"),
                CONNECT.replace("\r\n\r\n", "\r\nContent-Length: 1\r\n\r\n")):
        assert proxy.ask(bad).status == 400


def test_a_connect_that_the_backend_refuses(http_proxy):
    def serve(peer):
        while True:
            peer.message()
            peer.send("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno")
    proxy = http_proxy(serve, connect="tunnel")
    with proxy.connect() as client:
        for request in (CONNECT, GET):
            reply = client.ask(request)
            assert (reply.status, reply.body) == (403, b"no")
