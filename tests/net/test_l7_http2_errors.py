# SPDX-License-Identifier: BSD-2-Clause
"""Errors of HTTP/2 whose code and extent RFC 9113 asks for, and that methods have one reading."""
import struct
import threading

import hpack
import pytest

from h2peer import ACK, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PREFACE, RST_STREAM, \
    SETTINGS, WINDOW_UPDATE, RawH2, frame, get, open_h2, open_raw
from http1 import OK
from lab import TIMEOUT_S, wait_until
from test_l7_http2_tunnels import ask, switch

REQUEST = b"\x82\x86\x84\x01\x01a"
POST = b"\x83\x86\x84\x01\x01a"
CONNECT = [(":method", "CONNECT"), (":authority", "b:443")]


def serve_but_wait(peer):
    while True:
        if "/wait" in peer.message().start:
            peer.to_end()
        peer.send(OK)


def window(stream, size):
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", size))


def initial(size):
    return frame(SETTINGS, 0, 0, struct.pack(">HI", 4, size))


# ---- windows that settings make too large (6.9.2)

@pytest.mark.parametrize("frames, error", [
    (window(1, (1 << 31) - 1 - 65535) + initial(65536), "FLOW_CONTROL_ERROR"),
    (initial(1 << 20) + window(1, (1 << 31) - 1 - (1 << 20)) + initial((1 << 20) + 1),
     "FLOW_CONTROL_ERROR"),
    (initial(0) + window(1, 1 << 30) + initial(1 << 30), "FLOW_CONTROL_ERROR"),
    (window(1, (1 << 31) - 1 - 65535) + initial(65535), None),
    (initial(0) + window(1, (1 << 31) - 1) + initial(0), None),
    (initial((1 << 31) - 1) + initial(0) + initial((1 << 31) - 1), None),
])
def test_settings_that_overflow_a_window(http_proxy, frames, error):
    proxy = http_proxy(serve_but_wait)
    with open_raw(proxy) as raw:
        raw.headers(1, get("/wait"))
        raw.send(frames)
        raw.headers(3, get())
        if error:
            assert raw.until(GOAWAY).error == error
        else:
            got = raw.until(HEADERS, RST_STREAM, GOAWAY)
            assert (got.kind, got.stream) == (HEADERS, 3)


def test_what_was_sent_makes_room_in_a_window(http_proxy):
    """A window that was used is no longer as large as it was made."""
    def serve(peer):
        while True:
            peer.message()
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + bytes(50000))
            more.wait(TIMEOUT_S)
            peer.send(bytes(50000))
    more = threading.Event()
    proxy = http_proxy(serve)
    with open_raw(proxy) as raw:
        raw.headers(1, get())
        took = 0
        while took < 50000:
            took += len(raw.until(DATA).payload)
        # 15,535 are left, and those that come now.
        raw.send(window(1, (1 << 31) - 1 - 15535) + initial(65535) + frame(PING, 0, 0, bytes(8)))
        assert raw.until(PING, GOAWAY).kind == PING
        raw.send(initial(65536))
        assert raw.until(GOAWAY).error == "FLOW_CONTROL_ERROR"
        more.set()


# ---- DATA behind the end of a stream (6.1)

def test_data_of_a_stream_that_has_ended(http_proxy):
    proxy = http_proxy(serve_but_wait)
    with open_raw(proxy) as raw:
        raw.headers(1, get())
        raw.until(DATA)
        raw.send(frame(DATA, 0, 1, b"abc"))
        got = raw.until(RST_STREAM, GOAWAY)
        assert (got.kind, got.stream, got.error) == (RST_STREAM, 1, "STREAM_CLOSED")
        raw.headers(3, get())
        assert raw.until(HEADERS, GOAWAY).stream == 3


def test_data_of_a_stream_that_the_client_has_reset(http_proxy):
    proxy = http_proxy(serve_but_wait)
    with open_raw(proxy) as raw:
        raw.headers(1, get("/wait", method="POST"), END_HEADERS)
        raw.send(frame(RST_STREAM, 0, 1, struct.pack(">I", 8)) + frame(PING, 0, 0, bytes(8)))
        raw.until(PING)
        raw.send(frame(DATA, 0, 1, b"abc"))
        got = raw.until(RST_STREAM, GOAWAY)
        assert (got.kind, got.stream, got.error) == (RST_STREAM, 1, "STREAM_CLOSED")


def test_data_that_crosses_a_reset_is_ignored(http_proxy):
    """The client could not know yet."""
    proxy = http_proxy(serve_but_wait, limits={"body": 10})
    with open_raw(proxy) as raw:
        raw.send(frame(HEADERS, END_HEADERS, 1, POST) + frame(DATA, 0, 1, bytes(20)))
        assert raw.until(RST_STREAM).stream == 1
        raw.send(frame(DATA, 0, 1, bytes(20)) * 5)
        for _ in range(2):  # the answer to a ping overtakes others
            raw.send(frame(PING, 0, 0, bytes(8)))
            assert raw.until(PING, RST_STREAM, GOAWAY).kind == PING


def test_much_of_it_is_a_flood(http_proxy):
    proxy = http_proxy(serve_but_wait, limits={"control_frames": 10})
    with open_raw(proxy) as raw:
        raw.headers(1, get())
        raw.until(DATA)
        raw.send(frame(DATA, 0, 1, b"") * 200)
        assert raw.until(GOAWAY).error == "ENHANCE_YOUR_CALM"


# ---- the same of backends

class RawBackend(RawH2):
    """Frames by hand, on the other side."""

    def __init__(self, peer):  # pylint: disable=super-init-not-called
        self.peer, self.encoder, self.decoder = peer, hpack.Encoder(), hpack.Decoder()
        assert peer.exactly(len(PREFACE)) == PREFACE
        self.send(frame(SETTINGS) + frame(SETTINGS, ACK))

    def answer(self, stream):
        self.send(frame(HEADERS, END_HEADERS, stream, self.encoder.encode([(":status", "200")])) +
                  frame(DATA, END_STREAM, stream, b"hi") + frame(PING, 0, 0, bytes(8)))
        return self.until(PING)


def test_a_backend_that_sends_data_behind_the_end(http_proxy):
    seen = []

    def serve(peer):
        backend = RawBackend(peer)
        while True:
            stream = backend.until(HEADERS).stream
            backend.answer(stream)
            backend.send(frame(DATA, 0, stream, b"more"))
            got = backend.until(RST_STREAM, GOAWAY)
            seen.append((got.kind, got.stream == stream, got.error))
    proxy = http_proxy(serve, pool={"protocol": "http2"})
    with proxy.connect() as client:
        for i in range(3):
            assert client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").body == b"hi"
            wait_until(lambda i=i: len(seen) > i)
    assert seen == [(RST_STREAM, True, "STREAM_CLOSED")] * 3
    assert proxy.scripts[0].connections == 1


def test_a_backend_whose_settings_overflow_a_window(http_proxy):
    seen = []

    def serve(peer):
        backend = RawBackend(peer)
        stream = backend.until(HEADERS).stream
        backend.send(window(stream, (1 << 31) - 1 - 65535) + initial(65536))
        seen.append(backend.until(GOAWAY).error)
    proxy = http_proxy(serve, pool={"protocol": "http2"})
    assert proxy.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").status == 502
    wait_until(lambda: seen)
    assert seen == ["FLOW_CONTROL_ERROR"]


# ---- tunnels (8.5)

class Tunnel:
    """A backend of CONNECT or websocket that does then as it is told."""

    def __init__(self, then):
        self.then, self.outcome = then, None

    def __call__(self, peer):
        head = peer.head()
        peer.send(switch(head) if head.start.startswith("GET") else "HTTP/1.1 200 OK\r\n\r\n")
        try:
            self.outcome = self.then(peer)
        except ConnectionResetError:
            self.outcome = "reset"


def to_end(peer):
    peer.to_end()
    return "end"


def opened(client, fields):
    client.until(lambda: client.conn.remote_settings.enable_connect_protocol)
    stream = client.start(fields, end=False)
    client.until(lambda: client.replies[stream].fields)
    assert client.replies[stream].status == 200
    return stream


@pytest.mark.parametrize("fields", [CONNECT, ask()], ids=["CONNECT", "websocket"])
def test_a_backend_that_breaks_off(http_proxy, fields):
    go = threading.Event()

    def reset(peer):
        peer.exactly(4)
        peer.send(b"last")
        go.wait(TIMEOUT_S)
        peer.reset()
    proxy = http_proxy(Tunnel(reset), connect="tunnel")
    with open_h2(proxy) as client:
        stream = opened(client, fields)
        client.send_body(stream, b"ping", end=False)
        client.until(lambda: client.replies[stream].body == b"last")
        go.set()
        assert client.reply(stream).error == "CONNECT_ERROR"
        assert client.ask(get()) is not None


@pytest.mark.parametrize("fields", [CONNECT, ask()], ids=["CONNECT", "websocket"])
@pytest.mark.parametrize("how", ["stream", "connection", "end"])
def test_a_backend_sees_how_a_client_went(http_proxy, fields, how):
    tunnel = Tunnel(to_end)
    proxy = http_proxy(tunnel, connect="tunnel")
    with open_h2(proxy) as client:
        stream = opened(client, fields)
        if how == "stream":
            client.conn.reset_stream(stream, 8)
        elif how == "end":
            client.conn.end_stream(stream)
        else:
            client.peer.reset()
        if how != "connection":
            client.flush()
        wait_until(lambda: tunnel.outcome)
    assert tunnel.outcome == ("end" if how == "end" else "reset")


# ---- methods

@pytest.mark.parametrize("method, status", [
    ("GET", 200), ("HEAD", 200), ("PATCH", 200), ("PURGE", 200), ("M-SEARCH", 200),
    ("PROPFIND", 200), ("get", 501), ("GETT", 501), ("DESCRIBE", 501),
    ("HELLO", 501), ("X!#$%&'*+-.^_`|~1", 501)])
def test_methods_of_both_versions(http_proxy, method, status):
    proxy = http_proxy(serve_but_wait)
    with proxy.connect() as client:
        reply = client.ask(f"{method} / HTTP/1.1\r\nHost: a\r\n\r\n", no_body=method == "HEAD")
        assert reply.status == status
    with open_h2(proxy) as client:
        assert client.ask(get(method=method)).status == status
