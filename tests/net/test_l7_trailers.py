# SPDX-License-Identifier: BSD-2-Clause
"""Trailers of requests and responses."""
import pytest

CHUNKED = "Transfer-Encoding: chunked\r\n\r\n"
POST = "POST / HTTP/1.1\r\nHost: a\r\n" + CHUNKED
SECTION = "0\r\nGrpc-Status:0\r\nContent-Length: 5\r\nX-Sum:  a b \r\n\r\n"
WANT = [("Grpc-Status", "0"), ("X-Sum", "a b")]


@pytest.mark.parametrize("chunks", [0, 1, 1000])
@pytest.mark.parametrize("step", [1, 7, 1 << 20])
def test_both_ways(http_proxy, chunks, step):
    text = "3\r\nabc\r\n" * chunks + SECTION
    at_once = max(step, len(text) // 200)
    pieces = [text[i:i + at_once] for i in range(0, len(text), at_once)]
    seen = []

    def serve(peer):
        while True:
            seen.append(peer.message())
            peer.send("HTTP/1.1 200 OK\r\nTrailer: Grpc-Status, X-Sum\r\n" + CHUNKED)
            for piece in pieces:
                peer.send(piece)
    proxy = http_proxy(serve)
    with proxy.connect() as client:
        for _ in range(2):  # the next message begins where the trailers end
            client.send(POST.replace("Host", "TE: trailers\r\nTrailer: X-Sum\r\nHost"))
            for piece in pieces:
                client.send(piece)
            reply = client.message()
            assert (reply.status, reply.trailers) == (200, WANT)
            assert reply.get("Trailer") == "Grpc-Status, X-Sum"
            request = seen.pop()
            assert request.trailers == WANT
            assert (request.get("TE"), request.get("Connection")) == ("trailers", "TE")
            assert request.get("Trailer") == "X-Sum"
            assert request.body == reply.body == b"abc" * chunks
    assert proxy.scripts[0].connections == 1


def test_a_client_of_http_1_0_gets_none(http_proxy):
    def serve(peer):
        peer.message()
        peer.send("HTTP/1.1 200 OK\r\n" + CHUNKED + "3\r\nabc\r\n" + SECTION)
        peer.to_end()
    proxy = http_proxy(serve)
    with proxy.connect() as client:
        reply = client.ask("GET / HTTP/1.0\r\n\r\n")
        assert (reply.body, reply.get("Transfer-Encoding")) == (b"abc", None)


def test_they_wait_for_a_client_that_does_not_read(http_proxy):
    size = 16 << 20

    def serve(peer):
        peer.message()
        peer.send("HTTP/1.1 200 OK\r\n" + CHUNKED + f"{size:x}\r\n")
        peer.send(b"x" * size)
        peer.send("\r\n" + SECTION)
        peer.to_end()
    proxy = http_proxy(serve)
    with proxy.connect(rcvbuf=4096) as client:
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        reply = client.message()
        assert (len(reply.body), reply.trailers) == (size, WANT)


@pytest.mark.parametrize("section,status", [
    ("0\r\nA: b\r\n c\r\n\r\n", 400), ("0\r\nA : b\r\n\r\n", 400), ("0\r\nA: b\n\r\n", 400),
    ("0\r\nA: b\0\r\n\r\n", 400), ("0\r\nA: b\rc\r\n\r\n", 400),
    ("0\r\n" + "a:b\r\n" * 101 + "\r\n", 431), ("0\r\nA: " + "b" * 8192 + "\r\n\r\n", 431)])
def test_bad_ones_are_refused(http_proxy, section, status):
    def serve(peer):
        peer.head()
        peer.to_end()
    proxy = http_proxy(serve)
    with proxy.connect() as client:
        reply = client.ask(POST + "3\r\nabc\r\n" + section)
        assert (reply.status, reply.get("Connection")) == (status, "close")
