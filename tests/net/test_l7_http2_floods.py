# SPDX-License-Identifier: BSD-2-Clause
"""HTTP/2 clients whose frames cost more than they are worth lose their connection, alone."""
import select
import struct
import time

import pytest

from h2peer import CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PRIORITY, \
    RST_STREAM, SETTINGS, WINDOW_UPDATE, RawH2, frame, get, open_h2, open_raw
from http1 import OK
from lab import wait_until

GET = b"\x82\x86\x84\x01\x01a"  # as HPACK, without the table
POST = b"\x83\x86\x84\x01\x01a"
CANCEL = struct.pack(">I", 8)
CALM = "ENHANCE_YOUR_CALM"


def serve(peer):
    while True:
        request = peer.message().start
        if "/big" in request:
            peer.send(f"HTTP/1.1 200 OK\r\nContent-Length: {1 << 24}\r\n\r\n")
            for _ in range(1 << 8):
                peer.send(b"x" * 65536)
        else:
            peer.send(OK)


def request(stream, block=GET, flags=END_HEADERS | END_STREAM):
    return frame(HEADERS, flags, stream, block)


def resets(i):
    stream = 2 * i + 1
    return request(stream) + frame(RST_STREAM, 0, stream, CANCEL)


def made_resets(i):
    """Of streams that the proxy has to reset."""
    stream = 2 * i + 1
    return request(stream, POST, END_HEADERS) + \
        frame(WINDOW_UPDATE, 0, stream, b"\x7f\xff\xff\xff")


def malformed(i):
    return request(2 * i + 1, GET + b"\0\1A\1b")


def lengths(i):
    """A body against its length."""
    stream = 2 * i + 1
    return request(stream, POST + b"\x0f\x0d\x013", END_HEADERS) + \
        frame(DATA, 0, stream, b"abcd")


def bombs(i):
    """Each some bytes that are megabytes of fields: one of 4,000 bytes, named again and again."""
    first = b"\x40\x01x\x7f\xa1\x1e" + b"y" * 4000
    return request(2 * i + 1, (first if not i else b"") + GET + b"\xbe" * 12000)


FLOODS = {
    "resets": resets,
    "resets that it makes us send": made_resets,
    "malformed requests": malformed,
    "bodies against their length": lengths,
    "pings": lambda i: frame(PING, 0, 0, bytes(8)),
    "settings": lambda i: frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 65535 + i % 2)),
    "empty settings": lambda i: frame(SETTINGS),
    "empty data": lambda i: (b"" if i else request(1, POST, END_HEADERS)) + frame(DATA, 0, 1),
    "padding": lambda i: (b"" if i else request(1, POST, END_HEADERS)) +
                         frame(DATA, 8, 1, b"\0"),
    "priorities": lambda i: frame(PRIORITY, 0, 2 * i + 1, b"\0\0\0\0\x10"),
    "headers without an end": lambda i: frame(CONTINUATION, 0, 1) if i else
                              frame(HEADERS, 0, 1),
    "compressed headers": bombs,
}


def flood(raw, make, most=5000):
    """Until the connection ends: what it was told, or None."""
    raw.peer.sock.setblocking(False)
    pending, i, end = b"", 0, time.monotonic() + 30
    while time.monotonic() < end:
        try:
            if not raw.peer.fill():
                break
        except BlockingIOError:
            pass
        except ConnectionResetError:
            break
        if not pending and i < most:
            pending = b"".join(make(j) for j in range(i, i + 10))
            i += 10
        try:
            pending = pending[raw.peer.sock.send(pending):] if pending else b""
        except BlockingIOError:
            pass
        except OSError:
            pass  # what it was told is still to be read
    else:
        return "it goes on"
    raw.peer.sock.setblocking(True)
    raw.peer.fill = lambda: False
    got = raw.until(GOAWAY)
    return got and got.error


@pytest.mark.parametrize("kind", FLOODS)
def test_a_flood_costs_its_connection(http_proxy, kind):
    proxy = http_proxy(serve)
    with open_h2(proxy) as client:
        assert client.ask(get()).status == 200
        before = proxy.memory()
        with open_raw(proxy) as raw:
            assert flood(raw, FLOODS[kind]) == CALM
        assert client.ask(get()).status == 200
        assert proxy.counter("http2_floods") == 1
        assert proxy.memory() - before < 32 << 20
    proxy.wait_counter("open_connections", 0)
    wait_until(lambda: proxy.daemon.ctl_json("backend", "list")["backends"][0]["http"]
               ["active_requests"] == 0)


def slow(proxy, first, again=b"", settings=b""):
    """One connection that never reads, until it is closed: the most memory that it took."""
    before, most, end = proxy.memory(), 0, time.monotonic() + 30
    peer = proxy.connect(rcvbuf=4096, mss=500)
    with RawH2(peer, settings) as raw:
        raw.send(first)
        peer.sock.setblocking(False)
        poll = select.poll()
        poll.register(peer.sock, select.POLLRDHUP)
        while not poll.poll(10):
            assert time.monotonic() < end
            most = max(most, proxy.memory() - before)
            try:
                if again:
                    peer.sock.send(again)
            except OSError:
                pass  # the poll tells
            with proxy.connect() as other:
                assert other.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").status == 200
    return most


SLOW = {
    "pings and no reading": (b"", frame(PING, 0, 0, bytes(8)) * 1000, b""),
    "settings and no reading": (b"", frame(SETTINGS) * 1000, b""),
    "requests and no reading":
        (b"".join(request(2 * i + 1) for i in range(100)), frame(PING, 0, 0, bytes(8)), b""),
    "large responses and no reading":
        (b"".join(request(2 * i + 1, b"\x82\x86\x04\x04/big\x01\x01a") for i in range(20)) +
         frame(WINDOW_UPDATE, 0, 0, b"\x7f\0\0\0"), b"", struct.pack(">HI", 4, 1 << 30)),
    "a window of nothing":
        (request(1, b"\x82\x86\x04\x04/big\x01\x01a"), b"", struct.pack(">HI", 4, 0)),
    "a window of one byte, again and again":
        (request(1, b"\x82\x86\x04\x04/big\x01\x01a"), frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\1"),
         struct.pack(">HI", 4, 1)),
    "half a header": (frame(HEADERS, 0, 1, GET), b"", b""),
    "half a header, on and on":
        (frame(HEADERS, 0, 1, GET), frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\1")[:1], b""),
    "nothing": (b"", b"", b""),
    "half a preface of a frame": (b"\0\0", b"", b""),
    "a body that does not come": (request(1, POST, END_HEADERS), b"", b""),
}


@pytest.mark.parametrize("kind", SLOW)
def test_a_client_that_takes_its_time(http_proxy, kind):
    wait = "500ms"
    first, again, settings = SLOW[kind]
    proxy = http_proxy(serve, timeouts={name: wait for name in (
        "request_header", "request_body", "idle", "write")}, limits={"client_rate": "10KiB"})
    proxy.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert slow(proxy, first, again, settings) < 16 << 20
    proxy.wait_counter("open_connections", 0)
    wait_until(lambda: proxy.daemon.ctl_json("backend", "list")["backends"][0]["http"]
               ["active_requests"] == 0)
