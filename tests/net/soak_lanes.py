# SPDX-License-Identifier: BSD-2-Clause
"""Clients and backends of test_soak.py: traffic of all protocols, much of it cut off somewhere."""
import itertools
import random
import socket
import struct

import grpc
import h2.exceptions
import hpack

from h2peer import CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, PREFACE, \
    RST_STREAM, SETTINGS, WINDOW_UPDATE, frame, get, h2_serve
from http1 import OK

# ---- clients of HTTP/1

HEADS = ["GET /bytes/{n} HTTP/1.1", "GET /chunked/{n} HTTP/1.1", "HEAD /bytes/{n} HTTP/1.1",
         "GET /abort/{n} HTTP/1.1", "GET /close HTTP/1.0", "GET /status/304 HTTP/1.1",
         "GET /status/204 HTTP/1.1", "GET /delay/5 HTTP/1.1", "BREW / HTTP/1.1", "GET /x HTTP/3.0",
         "GET /h2/{n} HTTP/1.1"]


def request(rng):
    """Some bytes of a client, most of them good."""
    kind = rng.randrange(10)
    if kind < 7:
        start = rng.choice(HEADS).format(n=rng.choice((0, 1, 1000, 70000, 400000)))
        return f"{start}\r\nHost: a\r\n\r\n".encode()
    body = b"x" * rng.choice((1, 1000, 100000))
    path = rng.choice(("/echo", "/sink", "/early", "/h2/sink"))
    if kind == 7:
        extra = rng.choice(("", "Expect: 100-continue\r\n"))
        return (f"POST {path} HTTP/1.1\r\nHost: a\r\n{extra}"
                f"Content-Length: {len(body)}\r\n\r\n").encode() + body
    end = rng.choice((b"0\r\n\r\n", b"0\r\nA: b\r\n\r\n", b"zz\r\n"))
    return (f"PUT {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".encode() +
            b"%x;e\r\n%b\r\n" % (len(body), body) + end)


def http1(rng):
    return b"".join(request(rng) for _ in range(rng.choice((1, 1, 2, 5))))


def websocket(rng):
    return b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" \
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" + \
        b"x" * rng.choice((0, 10, 10000, 300000))


# ---- clients of HTTP/2

def stream(rng, encoder, number):
    """The frames of one, in their order."""
    path = rng.choice(("/bytes/1000", "/chunked/70000", "/h2/1", "/h2/70000", "/abort/1000",
                       "/delay/5", "/echo"))
    kind = rng.randrange(10)
    if kind == 0:
        fields = [(":method", "CONNECT"), (":protocol", "websocket"), *get("/ws")[1:]]
    else:
        fields = get(path, method="POST" if kind < 4 else "GET")
    block, frames = encoder.encode(fields), []
    ends = kind >= 4
    if rng.random() < 0.2:
        frames.append(frame(HEADERS, END_STREAM if ends else 0, number, block[:3]))
        frames.append(frame(CONTINUATION, END_HEADERS, number, block[3:]))
    else:
        frames.append(frame(HEADERS, END_HEADERS | (END_STREAM if ends else 0), number, block))
    for _ in range(0 if ends else rng.randrange(4)):
        frames.append(frame(DATA, 0, number, b"x" * rng.choice((0, 1, 1000, 16384))))
    if not ends and rng.random() < 0.7:
        frames.append(frame(DATA, END_STREAM, number))
    if rng.random() < 0.3:
        frames.append(frame(RST_STREAM, 0, number, struct.pack(">I", 8)))
    frames.append(frame(WINDOW_UPDATE, 0, number, struct.pack(">I", 1 << 20)))
    return frames


def http2(rng):
    """Some streams; the frames behind their headers are mixed."""
    encoder = hpack.Encoder()
    window = rng.choice((0, 100, 65535, 1 << 20))
    data = PREFACE + frame(SETTINGS, 0, 0, struct.pack(">HI", 4, window)) + \
        frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1 << 24))
    later = []
    for i in range(rng.choice((1, 3, 20))):
        first, *rest = stream(rng, encoder, 2 * i + 1)
        if rest and rest[0][3] == CONTINUATION:
            first += rest.pop(0)
        data += first
        later.append(rest)
    while later:
        rest = rng.choice(later)
        if rest:
            data += rest.pop(0)
        else:
            later.remove(rest)
    return data + frame(PING, 0, 0, bytes(8))


def exchange(rng, port, make):
    """One connection: what it says, cut anywhere, read for a while, left in some way."""
    data = make(rng)
    if rng.random() < 0.5:
        data = data[:rng.randrange(len(data) + 1)]
    with socket.create_connection(("127.0.0.1", port), 5) as sock:
        sock.settimeout(rng.choice((0.02, 0.1)))
        sock.sendall(data)
        for _ in range(rng.choice((0, 1, 3, 100))):
            if not sock.recv(rng.choice((1, 4096, 65536))):
                break
        if rng.random() < 0.3:
            sock.shutdown(socket.SHUT_WR)
        if rng.random() < 0.3:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


# ---- gRPC

class Calls(grpc.GenericRpcHandler):
    def service(self, details):
        return {"/test/Echo": grpc.unary_unary_rpc_method_handler(lambda request, _: request),
                "/test/Count": grpc.unary_stream_rpc_method_handler(
                    lambda request, _: (request for _ in range(50)))}.get(details.method)


def calls(rng, port, _=None):
    """Some of them on one channel: to their end, cancelled, past their time."""
    with grpc.insecure_channel(f"127.0.0.1:{port}",
                               options=[("grpc.enable_http_proxy", 0),
                                        ("grpc.use_local_subchannel_pool", 1)]) as channel:
        for _ in range(rng.randrange(1, 6)):
            body = b"x" * rng.choice((0, 10, 50000))
            try:
                if rng.random() < 0.5:
                    path = rng.choice(("/test/Echo", "/test/None"))
                    reply = channel.unary_unary(path)(body, timeout=rng.choice((0.005, 5)))
                    assert reply == body
                else:
                    answers = channel.unary_stream("/test/Count")(body, timeout=5)
                    for _ in range(rng.choice((0, 1, 50))):
                        assert next(answers) == body
                    answers.cancel()
            except grpc.RpcError:
                pass


# ---- backends

REPLIES = [OK.encode(), b"HTTP/1.1 100 Continue\r\n\r\n" + OK.encode(), OK.encode() + b"HTTP/1.1 ",
           b"HTTP/1.1 204 No\r\n\r\nbody", b"HTTP/1.1 304 No\r\nContent-Length: 9\r\n\r\nbody",
           b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\nA: b\r\n\r\n",
           b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalfx", b"\0" * 100,
           b"HTTP/1.1 200 OK\r\n\r\nto the end", b"HTTP/1.1 101 Up\r\nUpgrade: x\r\n\r\n"]


def misbehave(seed):
    """A backend that answers anything, whole or not, before or after it read the request."""
    numbers = itertools.count()

    def serve(peer):
        rng = random.Random(f"{seed} {next(numbers)}")
        peer.sock.settimeout(2)
        try:
            while True:
                if rng.random() < 0.9:
                    peer.head()
                reply = rng.choice(REPLIES)
                peer.send(reply if rng.random() < 0.7 else reply[:rng.randrange(len(reply))])
                if rng.random() < 0.2:
                    peer.reset()
                    return
        except OSError:  # the proxy left
            pass
    return serve


def http2_backend(seed):
    """Answers, with and without trailers, resets streams, and sometimes its connection."""
    rng = random.Random(seed)

    def respond(server, asked):
        if rng.random() < 0.02:
            server.peer.reset()
        elif rng.random() < 0.2:
            server.conn.reset_stream(asked.stream, rng.choice((0, 2, 7, 8)))
        else:
            server.reply(asked, body=b"x" * rng.choice((0, 1, 5000)), flush=False,
                         trailers=rng.choice((None, [("a", "b")])))
    serve = h2_serve(respond)

    def guarded(peer):
        try:
            serve(peer)
        except (OSError, h2.exceptions.H2Error):  # what it wanted to say came too late
            pass
    return guarded


def websocket_backend(peer):
    from test_l7_http2_tunnels import switch  # pylint: disable=import-outside-toplevel
    peer.sock.settimeout(5)
    try:
        peer.send(switch(peer.head()))
        while peer.buffer or peer.fill():
            peer.send(peer.take(len(peer.buffer)))
        peer.shutdown()
    except OSError:
        pass
