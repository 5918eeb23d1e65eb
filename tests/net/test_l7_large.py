# SPDX-License-Identifier: BSD-2-Clause
"""Large bodies between sockets: the daemon passes them on by pipes, and looks at none of them."""
import fcntl
import glob
import os
import struct
import termios
import threading

import pytest

from http1 import OK
from lab import wait_until

SIZE = 8 << 20
DATA = os.urandom(1 << 20) * (SIZE >> 20)
GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
TAIL = 1000  # bytes
PIPES_KEPT, PIPES_MAX = 4, 64  # of a worker


def head(length, more=""):
    return f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{more}\r\n".encode()


def large(peer):
    """Answers each request with DATA."""
    while True:
        peer.message()
        peer.send(head(SIZE) + DATA)


def pipes(proxy):
    """How many the daemon has open."""
    found = set()
    for path in glob.glob(f"/proc/{proxy.daemon.proc.pid}/fd/*"):
        try:
            target = os.readlink(path)
        except FileNotFoundError:
            continue
        if target.startswith("pipe:"):
            found.add(target)
    return len(found)


def unsent(sock):
    """Bytes that the other end's kernel has not acknowledged (SIOCOUTQ)."""
    return struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4)))[0]


@pytest.mark.parametrize("addr", ["127.0.0.1", "::1"])
def test_responses_end_where_they_say(http_proxy, addr):
    proxy = http_proxy(large, addr=addr)
    before = pipes(proxy)
    with proxy.connect() as client:
        for _ in range(3):
            assert client.ask(GET).body == DATA
    assert proxy.scripts[0].connections == 1
    assert pipes(proxy) == before + 1  # kept, for whoever comes next


def test_requests_end_where_they_say(http_proxy):
    seen = []

    def serve(peer):
        while True:
            seen.append(peer.message().body)
            peer.send(OK)
    proxy = http_proxy(serve)
    before = pipes(proxy)
    with proxy.connect() as client:
        for size in (SIZE, 1, SIZE - 1, 0):
            assert client.ask(f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n"
                              .encode() + DATA[:size]).status == 200
        # The next request right behind, in one piece.
        client.send(f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {SIZE}\r\n\r\n".encode() +
                    DATA + GET.encode())
        assert (client.message().status, client.message().status) == (200, 200)
    assert [len(body) for body in seen] == [SIZE, 1, SIZE - 1, 0, SIZE, 0]
    assert seen[0] == seen[4] == DATA and seen[2] == DATA[:-1]
    assert proxy.scripts[0].connections == 1
    assert pipes(proxy) > before


def test_a_body_that_ends_with_the_connection(http_proxy):
    def serve(peer):
        peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\n" + DATA)
    proxy = http_proxy(serve)
    with proxy.connect() as client:
        client.send("GET / HTTP/1.0\r\n\r\n")
        assert client.to_end().partition(b"\r\n\r\n")[2] == DATA


def test_chunks_come_as_chunks(http_proxy):
    def serve(peer):
        peer.message()
        for at in range(0, SIZE, SIZE // 4):
            peer.send(b"%x\r\n" % (SIZE // 4) + DATA[at:at + SIZE // 4] + b"\r\n" if at else
                      b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                      b"%x\r\n" % (SIZE // 4) + DATA[:SIZE // 4] + b"\r\n")
        peer.send("0\r\n\r\n")
        peer.to_end()
    assert http_proxy(serve).ask(GET).body == DATA


def test_what_follows_a_response_is_not_the_next_one(http_proxy):
    def serve(peer):
        peer.message()
        peer.send(head(SIZE) + DATA[:-TAIL])
        # With nothing under way before it the rest is one segment: no end of a response without it.
        wait_until(lambda: unsent(peer.sock) == 0)
        peer.send(DATA[-TAIL:] + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        peer.to_end()
    proxy = http_proxy(serve)
    with proxy.connect() as client:
        for _ in range(3):
            assert client.ask(GET).body == DATA
    assert proxy.scripts[0].connections == 3


def test_a_response_that_is_cut_off(http_proxy):
    def serve(peer):
        peer.message()
        peer.send(head(SIZE + 1) + DATA)
    proxy = http_proxy(serve)
    with proxy.connect() as client:
        client.send(GET)
        assert client.to_end().partition(b"\r\n\r\n")[2] == DATA  # all that came, then the end


def test_who_does_not_read_stops_who_sends(http_proxy):
    big = 8

    def serve(peer):
        peer.message()
        peer.send(head(SIZE * big))
        for _ in range(big):
            peer.send(DATA)
    proxy = http_proxy(serve)
    with proxy.connect() as client:
        client.send(GET)
        calm = [0]

        def is_calm():
            before, calm[0] = calm[0], proxy.counter("bytes_out")
            return calm[0] and calm[0] == before
        wait_until(is_calm)
        assert proxy.counter("bytes_out") < SIZE * big
        assert client.head().status == 200
        for _ in range(big):
            assert client.exactly(SIZE) == DATA
    proxy.wait_counter("open_connections", 0)


def test_more_slow_clients_than_pipes(http_proxy):
    proxy = http_proxy(large)
    before = pipes(proxy)
    clients = [proxy.connect(rcvbuf=4096) for _ in range(PIPES_MAX + 6)]
    for client in clients:
        client.send(GET)
    wait_until(lambda: pipes(proxy) == before + PIPES_MAX, 30,
               what=lambda: f"{before} + {PIPES_MAX} pipes, not {pipes(proxy)}")
    bodies = []

    def read(client):
        bodies.append(client.message().body)
        client.close()
    # Some go away in the middle.
    for client in clients[::2]:
        client.close()
    threads = [threading.Thread(target=read, args=(client,)) for client in clients[1::2]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(bodies) == len(threads) and all(body == DATA for body in bodies)
    proxy.wait_counter("open_connections", 0)
    wait_until(lambda: pipes(proxy) <= before + PIPES_KEPT)


def test_an_upload_that_the_backend_does_not_want(http_proxy):
    """The answer comes early, the rest of the body goes nowhere."""
    def serve(peer):
        peer.head()
        peer.exactly(SIZE // 2)
        peer.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n"
                  "Connection: close\r\n\r\n")
        peer.to_end()
    proxy = http_proxy(serve)
    with proxy.connect() as client:
        client.send(f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {SIZE}\r\n\r\n".encode() +
                    DATA[:SIZE // 2])
        reply = client.message()
        assert (reply.status, reply.get("Connection")) == (413, "close")
    proxy.wait_counter("open_connections", 0)


def test_a_large_body_over_tls(tls_proxy, ca):
    """That does not go by a pipe."""
    proxy = tls_proxy(large)
    before = pipes(proxy)
    with proxy.connect() as plain:
        sock = ca.context().wrap_socket(plain.sock, server_hostname="example.org")
        sock.sendall(GET.encode())
        got = b""
        while len(got) < SIZE:
            piece = sock.recv(1 << 20)
            assert piece, len(got)
            got += piece
        assert got.partition(b"\r\n\r\n")[2] == DATA[:len(got) - got.index(b"\r\n\r\n") - 4]
        sock.close()
    assert pipes(proxy) == before


def test_both_ways_at_once(http_proxy):
    def echo(peer):
        while peer.fill():
            peer.send(peer.take(len(peer.buffer)))
        peer.shutdown()
    proxy = http_proxy(echo, mode="tcp")
    before = pipes(proxy)
    with proxy.connect() as client:
        def send():
            client.send(DATA)
            client.shutdown()
        thread = threading.Thread(target=send)
        thread.start()
        assert client.to_end() == DATA
        thread.join()
    proxy.wait_counter("open_connections", 0)
    assert proxy.counter("bytes_in") == proxy.counter("bytes_out") == SIZE
    assert pipes(proxy) > before


def test_a_pipe_goes_with_its_connection(http_proxy):
    def serve(peer):
        peer.send(DATA)
        peer.send(DATA)
    proxy = http_proxy(serve, mode="tcp")
    before = pipes(proxy)
    with proxy.connect(rcvbuf=4096):
        wait_until(lambda: pipes(proxy) == before + 1)
        calm = [0]

        def is_calm():
            was, calm[0] = calm[0], proxy.counter("bytes_out")
            return calm[0] == was
        wait_until(is_calm)
    wait_until(lambda: pipes(proxy) == before)
