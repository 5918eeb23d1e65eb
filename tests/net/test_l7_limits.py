# SPDX-License-Identifier: BSD-2-Clause
"""Limits of what one message or one connection may have: who is over is told, others are served."""
import pytest

from h2peer import CONTINUATION, END_HEADERS, END_STREAM, GOAWAY, HEADERS, frame, open_raw
from http1 import OK

GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def serve(peer):
    while True:
        peer.message()
        peer.send(OK)


@pytest.fixture(name="limited")
def make_limited(http_proxy):
    """limited(**limits) -> (proxy, a client of it that is to notice nothing)"""
    others = []

    def make(**limits):
        proxy = http_proxy(serve, limits=limits)
        others.append(proxy.connect())
        assert others[-1].ask(GET).status == 200
        return proxy, others[-1]
    yield make
    for other in others:
        other.close()


def extensions(size):
    return POST + "3;" + "x" * (size - 1) + "\r\nabc\r\n0;y\r\n\r\n"


def trailers(size, name="A"):
    return POST + f"3\r\nabc\r\n0\r\n{name}:" + "x" * (size - len(name) - 5) + "\r\n\r\n"


def fields(count):
    return POST + "3\r\nabc\r\n0\r\n" + "".join(f"A{i}: b\r\n" for i in range(count)) + "\r\n"


@pytest.mark.parametrize("key, value, most, make, status, reason", [
    ("chunk_extensions", None, 4096, extensions, 400, "too many bytes of chunk extensions"),
    ("chunk_extensions", 100, 100, extensions, 400, "too many bytes of chunk extensions"),
    ("chunk_extensions", "100KiB", 100 << 10, extensions, 400,
     "too many bytes of chunk extensions"),
    ("trailer_bytes", None, 8192, trailers, 431, "trailer section too large"),
    ("trailer_bytes", 50, 50, trailers, 431, "trailer section too large"),
    ("trailer_bytes", "64KiB", 64 << 10, trailers, 431, "trailer section too large"),
    ("trailer_count", None, 100, fields, 431, "trailer section too large"),
    ("trailer_count", 3, 3, fields, 431, "trailer section too large"),
    ("trailer_count", 0, 0, fields, 431, "trailer section too large"),
    ("trailer_count", 300, 300, fields, 431, "trailer section too large"),
])
def test_framing_of_a_request_body(limited, key, value, most, make, status, reason):
    proxy, other = limited(**({} if value is None else {key: value}))
    with proxy.connect() as client:
        for _ in range(2):
            assert client.ask(make(most)).status == 200
        reply = client.ask(make(most + 1))
        assert (reply.status, reply.get("Connection")) == (status, "close")
        assert reason in reply.body.decode()
    assert other.ask(GET).status == 200


def test_a_reload_changes_them(limited):
    proxy, other = limited()
    assert other.ask(trailers(1000)).status == 200
    proxy.config["services"]["web"]["limits"] = {"trailer_bytes": 999, "pipelined": 7}
    proxy.daemon.reload(proxy.config)
    shown = proxy.counter("limits")
    assert (shown["trailer_bytes"], shown["pipelined_requests"]) == (999, 7)
    text = proxy.daemon.ctl("service", "show", "web").stdout
    assert "trailer_bytes 999 B, trailer_count 100, pipelined 7" in text
    assert other.ask(trailers(1000)).status == 431


def answers(client):
    """Until the connection ends."""
    got = []
    try:
        while True:
            got.append(client.message())
    except (EOFError, ConnectionResetError):
        return got


def test_who_pipelines_too_much_is_closed(limited):
    proxy, other = limited(pipelined=20)
    with proxy.connect() as client:
        client.send(GET * 500)
        got = answers(client)
    # What comes while one is under way is a piece of its own.
    assert 20 <= len(got) <= 100
    assert {reply.status for reply in got} == {200}
    assert [reply.get("Connection") for reply in got] == [None] * (len(got) - 1) + ["close"]
    assert proxy.counter("pipelined_over") == 1
    assert other.ask(GET).status == 200


@pytest.mark.parametrize("limits, count", [({"pipelined": 20}, 20), ({}, 1000),
                                           ({"pipelined": 0}, 500)])
def test_who_keeps_to_it_goes_on(limited, limits, count):
    proxy, _ = limited(**limits)
    with proxy.connect() as client:
        for _ in range(5):
            client.send(GET * count)
            for _ in range(count):
                reply = client.message()
                assert (reply.status, reply.get("Connection")) == (200, None)
    assert proxy.counter("pipelined_over") == 0


def continued(count, stream):
    return frame(HEADERS, END_STREAM, stream, b"\x82\x86\x84") + \
        frame(CONTINUATION, 0, stream) * (count - 1) + \
        frame(CONTINUATION, END_HEADERS, stream, b"\x01\x01a")


@pytest.mark.parametrize("limits, most", [({}, 8), ({"continuations": 2}, 2),
                                          ({"continuations": 50}, 50)])
def test_continuations(limited, limits, most):
    proxy, other = limited(**limits)
    with open_raw(proxy) as raw:
        for stream in (1, 3):
            raw.send(continued(most, stream))
            assert dict(raw.fields(raw.until(HEADERS)))[":status"] == "200"
        raw.send(continued(most + 1, 5))
        assert raw.until(GOAWAY).error == "ENHANCE_YOUR_CALM"
    assert proxy.counter("http2_floods") == 1
    assert other.ask(GET).status == 200
