# SPDX-License-Identifier: BSD-2-Clause
"""WebSocket and CONNECT as streams of HTTP/2 (RFC 8441), to HTTP/1 backends."""
import base64
import threading

import pytest

from h2peer import get, open_h2
from http1 import OK
from lab import wait_until
from test_l7_tunnels import accept

def ask(path="/x", protocol="websocket", **fields):
    return [(":method", "CONNECT"), (":protocol", protocol),
            *get(path, sec_websocket_version="13", **fields)[1:]]


def switch(request, protocol="websocket", answer=None):
    answer = answer or accept(request.get("Sec-WebSocket-Key", ""))
    return "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n" \
        f"Upgrade: {protocol}\r\nSec-WebSocket-Accept: {answer}\r\nX-A: b\r\n\r\n"


def echo(seen, protocol="websocket"):
    def serve(peer):
        seen.append(peer.head())
        peer.send(switch(seen[-1], protocol))
        while peer.buffer or peer.fill():
            peer.send(peer.take(len(peer.buffer)))
        seen.append("end")
    return serve


def test_websocket(http_proxy):
    seen = []
    proxy = http_proxy(echo(seen))
    with open_h2(proxy) as client:
        client.until(lambda: client.conn.remote_settings.enable_connect_protocol)
        streams = [client.start(ask(origin="http://a"), end=False) for _ in range(2)]
        replies = [client.replies[stream] for stream in streams]
        client.until(lambda: all(reply.fields for reply in replies))
        for reply in replies:
            assert (reply.status, reply.get("x-a")) == (200, "b")
            assert not {"upgrade", "connection", "sec-websocket-accept"} & dict(reply.fields).keys()
        request, other = seen
        assert request.start == "GET /x HTTP/1.1"
        assert (request.get("Connection"), request.get("Upgrade"), request.get("Host")) == \
            ("Upgrade", "websocket", "a")
        assert (request.get("Sec-WebSocket-Version"), request.get("Origin")) == ("13", "http://a")
        assert len(base64.b64decode(request.get("Sec-WebSocket-Key"))) == 16
        assert request.get("Sec-WebSocket-Key") != other.get("Sec-WebSocket-Key")
        for text in (b"hello", b"x" * 300000):
            client.send_body(streams[0], text, end=False)
            client.until(lambda: len(replies[0].body) == len(text))
            assert replies[0].body == text
            replies[0].body.clear()
        client.conn.end_stream(streams[0])
        client.flush()
        assert client.reply(streams[0]).error is None
        client.conn.reset_stream(streams[1], 8)
        client.flush()
        proxy.wait(lambda: seen.count("end") >= 1)
        wait_until(lambda: proxy.daemon.ctl_json("backend", "list")["backends"][0]["http"]
                   ["active_requests"] == 0)
    assert proxy.counter("tunnels") >= 2


def test_a_key_of_the_client_is_not_passed_on(http_proxy):
    seen = []
    proxy = http_proxy(echo(seen))
    with open_h2(proxy) as client:
        stream = client.start(ask(sec_websocket_key="forged"), end=False)
        client.until(lambda: client.replies[stream].fields)
        assert client.replies[stream].status == 200
        assert seen[0].get("Sec-WebSocket-Key") != "forged"


def test_each_side_ends_for_itself(http_proxy):
    def serve(peer):
        peer.send(switch(peer.head()))
        peer.send(b"bye")
        peer.shutdown()
        got.append(peer.to_end())
    got = []
    proxy = http_proxy(serve)
    with open_h2(proxy) as client:
        stream = client.start(ask(), end=False)
        reply = client.reply(stream)
        assert (reply.body, reply.ended, reply.error) == (b"bye", True, None)
        client.send_body(stream, b"still here")
        proxy.wait(lambda: got)
        assert got == [b"still here"]
        assert reply.error is None
        assert proxy.counter("open_connections") == 1


@pytest.mark.parametrize("name,answer,status", [
    ("no switch", OK, 502), ("refused", "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", 403),
    ("wrong answer", switch(None, answer="x" * 28), 502),
    ("no answer", switch(None, answer="x").replace("Sec-WebSocket-Accept: x\r\n", ""), 502),
    ("other protocol", "other", 502)])
def test_backends_that_do_not_switch(http_proxy, name, answer, status):
    def serve(peer):
        request = peer.head()
        peer.send(switch(request, "other") if answer == "other" else answer)
        peer.to_end()
    proxy = http_proxy(serve)
    with open_h2(proxy) as client:
        stream = client.start(ask(), end=False)
        reply = client.reply(stream)
        assert reply.status == status, name


@pytest.mark.parametrize("answer", ["x" * 28, "right"])
def test_the_answer_to_an_http1_client_is_checked(http_proxy, answer):
    def serve(peer):
        request = peer.head()
        peer.send(switch(request, answer=None if answer == "right" else answer))
        peer.to_end()
    proxy = http_proxy(serve)
    key = base64.b64encode(bytes(16)).decode()
    with proxy.connect() as client:
        client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                    f"Sec-WebSocket-Key: {key}\r\n\r\n")
        reply = client.head()
        assert reply.status == (101 if answer == "right" else 502)
        if answer == "right":
            assert reply.get("Sec-WebSocket-Accept") == accept(key)


def test_a_protocol_that_is_not_allowed(http_proxy):
    seen = []
    proxy = http_proxy(echo(seen))
    with open_h2(proxy) as client:
        assert client.reply(client.start(ask(protocol="other"), end=False)).status == 501
    assert not seen


def test_another_protocol(http_proxy):
    seen = []
    proxy = http_proxy(echo(seen, "other"), upgrades=["other"])
    with open_h2(proxy) as client:
        stream = client.start(ask(protocol="other"), end=False)
        client.send_body(stream, b"hello", end=False)
        client.until(lambda: client.replies[stream].body == b"hello")
        assert seen[0].get("Sec-WebSocket-Key") is None


def test_connect(http_proxy):
    def serve(peer):
        seen.append(peer.head())
        peer.send("HTTP/1.1 200 OK\r\n\r\n")
        peer.send(peer.exactly(5))
        seen.append(peer.to_end())
    seen = []
    proxy = http_proxy(serve, connect="tunnel")
    with open_h2(proxy) as client:
        stream = client.start([(":method", "CONNECT"), (":authority", "b:443")], end=False)
        client.send_body(stream, b"hello", end=False)
        client.until(lambda: client.replies[stream].body == b"hello")
        assert client.replies[stream].status == 200
        client.send_body(stream, b"end")
        assert client.reply(stream).error is None
        proxy.wait(lambda: len(seen) == 2)
    assert (seen[0].start, seen[1]) == ("CONNECT b:443 HTTP/1.1", b"end")


def test_a_tunnel_that_is_not_read(http_proxy):
    """It stops its backend, and nothing else."""
    sent, stop = [0], threading.Event()

    def serve(peer):
        request = peer.head()
        if "/x" not in request.start:
            peer.send(OK)
            return
        peer.send(switch(request))
        while not stop.is_set() and sent[0] < 64 << 20:
            peer.send(bytes(1 << 16))
            sent[0] += 1 << 16
    proxy = http_proxy(serve)
    with open_h2(proxy, hold=True) as client:
        stream = client.start(ask(), end=False)
        client.until(lambda: len(client.replies[stream].body) == 65535)
        for _ in range(20):
            client.conn.increment_flow_control_window(100)
            assert client.ask(get("/fast")).status == 200
        assert sent[0] < 16 << 20
        stop.set()
