# SPDX-License-Identifier: BSD-2-Clause
"""Crowds of clients that take their time lose their connections; the others notice nothing."""
import select
import threading
import time

import pytest

from http1 import OK
from lab import wait_until

CROWD = 200
WAIT_MS = 500
GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
BIG = "GET /big HTTP/1.1\r\nHost: a\r\n\r\n"
POST = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"
UPGRADE = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

# What each of them says first, and then again and again; do they read, byte by byte?
FLOODS = {
    "silent": ("", "", False),
    "slow header": ("GET / HTTP/1.1\r\nA: ", "x", False),
    "slow request line": ("GET /", "x", False),
    "slow body": (POST, "x", False),
    "slow chunks": ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
                    "1\r\nx\r\n", False),
    "slow read": (BIG, "", True),
    "no read": (BIG, "", False),
    "pipelined and not read": (BIG * 500, "", False),
    "idle": (GET, "", False),
    "silent tunnel": (UPGRADE, "", False),
}


def serve(peer):
    while True:
        head = peer.head().start
        if "/ws" in head:
            peer.send("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
            peer.to_end()
        elif head.startswith("POST"):
            peer.to_end()
        elif "/big" in head:
            peer.send(f"HTTP/1.1 200 OK\r\nContent-Length: {1 << 24}\r\n\r\n")
            for _ in range(1 << 8):
                peer.send(b"x" * 65536)
        else:
            peer.send(OK)


class Crowd:
    """Goes on until each of its connections was closed by the other end."""

    def __init__(self, proxy, first, again, reads):
        self.again, self.reads = again.encode(), reads
        self.peers = [proxy.connect(rcvbuf=4096, mss=500) for _ in range(CROWD)]
        self.left = CROWD
        for peer in self.peers:
            peer.send(first)
            peer.sock.setblocking(False)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        poll, alive = select.poll(), {peer.sock.fileno(): peer for peer in self.peers}
        for fd in alive:  # who does not read learns of the end all the same
            poll.register(fd, select.POLLRDHUP)
        while alive and self.left >= 0:
            for fd, _ in poll.poll(50):
                poll.unregister(fd)
                alive.pop(fd).close()
            for peer in alive.values():
                try:
                    if self.again:
                        peer.sock.send(self.again)
                    if self.reads:
                        peer.sock.recv(100)
                except OSError:
                    pass  # the poll tells
            if self.left >= 0:
                self.left = len(alive)
        for peer in self.peers:
            peer.close()

    def end(self):
        self.left = -1
        self.thread.join()


@pytest.mark.parametrize("kind", FLOODS)
def test_a_crowd_costs_itself_alone(http_proxy, kind):
    wait = f"{WAIT_MS}ms"
    proxy = http_proxy(serve, timeouts={name: wait for name in (
        "request_header", "request_body", "idle", "write", "tunnel")},
        limits={"client_rate": "10KiB"})
    with proxy.connect() as client:
        assert client.ask(GET).status == 200  # what it takes at first is taken
    before = proxy.memory()
    crowd = Crowd(proxy, *FLOODS[kind])
    worst = most = 0
    began = time.monotonic()
    while crowd.left and time.monotonic() - began < 20:
        start = time.monotonic()
        assert proxy.ask(GET).status == 200
        worst = max(worst, time.monotonic() - start)
        most = max(most, proxy.memory())
        threading.Event().wait(0.02)
    left = crowd.left
    crowd.end()
    assert left == 0
    assert worst < 2, worst
    assert most - before < CROWD * (200 << 10)  # some buffers each
    proxy.wait_counter("open_connections", 0)
    wait_until(lambda: proxy.daemon.ctl_json("backend", "list")["backends"][0]["http"]
               ["active_requests"] == 0)
    assert proxy.ask(GET).status == 200
