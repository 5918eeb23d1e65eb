# SPDX-License-Identifier: BSD-2-Clause
"""Some seconds of everything at once: clients and backends that leave at any point, new
configurations beside it. What the daemon holds afterwards is what it held before."""
import glob
import itertools
import random
import socket
import threading
import time

from http1 import OK, Script
from lab import wait_until

SECONDS = 6
LANES = 12
GROWTH_MAX = 8 << 20  # bytes of memory, after a first round

HEADS = ["GET /bytes/{n} HTTP/1.1", "GET /chunked/{n} HTTP/1.1", "HEAD /bytes/{n} HTTP/1.1",
         "GET /abort/{n} HTTP/1.1", "GET /close HTTP/1.0", "GET /status/304 HTTP/1.1",
         "GET /status/204 HTTP/1.1", "GET /delay/5 HTTP/1.1", "BREW / HTTP/1.1", "GET /x HTTP/3.0"]


def request(rng):
    """Some bytes of a client, most of them good."""
    kind = rng.randrange(10)
    if kind < 7:
        start = rng.choice(HEADS).format(n=rng.choice((0, 1, 1000, 70000, 400000)))
        return f"{start}\r\nHost: a\r\n\r\n".encode()
    body = b"x" * rng.choice((1, 1000, 100000))
    path = rng.choice(("/echo", "/sink", "/early"))
    if kind == 7:
        extra = rng.choice(("", "Expect: 100-continue\r\n"))
        return (f"POST {path} HTTP/1.1\r\nHost: a\r\n{extra}"
                f"Content-Length: {len(body)}\r\n\r\n").encode() + body
    end = rng.choice((b"0\r\n\r\n", b"0\r\nA: b\r\n\r\n", b"zz\r\n"))
    return (f"PUT {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".encode() +
            b"%x;e\r\n%b\r\n" % (len(body), body) + end)


def exchange(rng, port):
    """One connection: some requests, cut anywhere, read for a while, left in some way."""
    data = b"".join(request(rng) for _ in range(rng.choice((1, 1, 2, 5))))
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


class Held:
    """What the daemon holds on to."""

    def __init__(self, proxy):
        pid = proxy.daemon.proc.pid
        self.descriptors = len(glob.glob(f"/proc/{pid}/fd/*"))
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            self.memory = next(int(line.split()[1]) << 10 for line in f
                               if line.startswith("RssAnon:"))
        with open(f"/proc/{pid}/maps", encoding="utf-8") as f:
            maps = f.read()
        self.knows_memory = "asan" not in maps and "tsan" not in maps  # they keep what is freed


def run_lanes(proxy, seconds, seed):
    end, failures = time.monotonic() + seconds, []

    def lane(number):
        rng = random.Random(f"{seed} {number}")
        while time.monotonic() < end:
            try:
                exchange(rng, proxy.port)
            except OSError:
                pass
            except Exception as exc:  # pylint: disable=broad-except
                failures.append(exc)
                raise
    threads = [threading.Thread(target=lane, args=(i,)) for i in range(LANES)]
    for thread in threads:
        thread.start()
    rng, rows = random.Random(seed), proxy.config["pools"]["web"]["backends"]
    while time.monotonic() < end:
        weights = [{**row, "weight": rng.randrange(1, 4)} for row in rows if rng.random() < 0.8]
        proxy.daemon.reload({**proxy.config, "pools": {"web": {
            **proxy.config["pools"]["web"], "backends": weights or rows}}})
    for thread in threads:
        thread.join()
    proxy.daemon.reload(proxy.config)
    assert not failures


def settle(proxy):
    wait_until(lambda: proxy.counter("open_connections") == 0, 30)
    wait_until(lambda: proxy.daemon.ctl_json("status")["proxy"]["idle_backend_connections"] == 0,
               30)
    rows = proxy.daemon.ctl_json("backend", "list")["backends"]
    assert [row["http"]["active_requests"] for row in rows] == [0] * len(rows)
    return Held(proxy)


def test_nothing_is_left_of_much_traffic(http_proxy, backend, free_port):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    ports = [free_port(), free_port()]
    for i, port in enumerate(ports):
        backend(f"b{i}", http=[f"127.0.0.1:{port}"])
    bad = Script(misbehave(seed))
    proxy = http_proxy(backends=[*(f"127.0.0.1:{port}" for port in ports), bad], workers=2,
                       pool={"idle_timeout": "500ms", "health": {"tcp": {}, "every": "100ms",
                                                                 "timeout": "100ms"}},
                       timeouts={"request_header": "1s", "request_body": "1s", "idle": "1s",
                                 "response_header": "1s", "response_body": "1s", "write": "1s"})
    run_lanes(proxy, 2, seed)
    before = settle(proxy)
    run_lanes(proxy, SECONDS, seed + 1)
    after = settle(proxy)
    bad.close()
    assert not bad.errors
    assert proxy.counter("requests") > 500
    assert proxy.counter("connections") == proxy.counter("closed")
    # A health check may be under way.
    assert after.descriptors <= before.descriptors + 3
    if after.knows_memory:
        assert after.memory - before.memory < GROWTH_MAX
