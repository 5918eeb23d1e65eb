# SPDX-License-Identifier: BSD-2-Clause
"""More to do than can be done: who is refused, who passes, and what stays bounded."""
import contextlib
import select
import socket
import threading

import pytest

from h2peer import get, open_h2
from http1 import CONTROLLED, TIMEOUT_S

KIB = 1024
LEVELS = ("low", "normal", "high")


@pytest.fixture
def stalled():
    """The address of a backend that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as sock:
        yield "127.0.0.1:%d" % sock.getsockname()[1]


def overloaded(http_proxy, overload, stalled=None, **service):
    proxy = http_proxy(start=False, **service)
    proxy.config["overload"] = overload
    if stalled:
        proxy.config["pools"]["stalled"] = {
            **CONTROLLED, "backends": [{"name": "b1", "address": stalled}]}
    proxy.daemon.write_config(proxy.config)
    proxy.daemon.start()
    return proxy


def status(proxy):
    return proxy.daemon.ctl_json("status")["proxy"]["overload"]


def ask(proxy, path):
    return proxy.ask(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")


def test_memory_is_bounded_and_high_ones_pass(http_proxy, stalled):
    limit = 1024 * KIB
    proxy = overloaded(http_proxy, {"memory": limit, "retry_after": "7s"}, stalled, routes=[
        {"match": {"path": {"prefix": "/stalled"}}, "pool": "stalled", "priority": "low",
         "timeout": "1h"},
        {"match": {"path": {"prefix": "/high"}}, "pool": "web", "priority": "high"}])
    pad = "x" * 8 * KIB
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(proxy.connect()) for _ in range(250)]
        for peer in peers:
            peer.send(f"GET /stalled HTTP/1.1\r\nHost: a\r\nX-Pad: {pad}\r\n\r\n")
        # All but those that fit have their answer.
        proxy.wait_counter("requests", 250)
        refused = [p for p in peers if select.select([p.sock], [], [], 0)[0]]
        answer = refused[0].message()
        assert answer.status == 503 and b"too much to do" in bytes(answer.body)
        assert answer.get("Retry-After") == "7"
        held = status(proxy)
        assert 0.7 * limit < held["memory_bytes"] < limit
        assert proxy.counter("shed_low") == len(refused) > 100
        assert {ask(proxy, "/high").status for _ in range(20)} == {200}
    proxy.wait(lambda: status(proxy)["state"] == "none")
    assert proxy.counter("shed_high") == 0


def test_no_room_at_all(http_proxy, stalled):
    """Idle connections make room for others, and if there is none, those wait until there is."""
    proxy = overloaded(http_proxy, {"connections": 20}, stalled, routes=[
        {"match": {"path": {"exact": "/stalled"}}, "pool": "stalled", "timeout": "1h"}])
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(proxy.connect()) for _ in range(17)]
        for peer in idle:
            assert peer.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").status == 200
        busy = [stack.enter_context(proxy.connect()) for _ in range(20)]
        for peer in busy:
            peer.send("GET /stalled HTTP/1.1\r\nHost: a\r\n\r\n")
        assert all(peer.is_closed() for peer in idle)
        proxy.wait(lambda: status(proxy)["workers_not_accepting"] == 1)
        late = stack.enter_context(proxy.connect())
        late.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert proxy.counter("requests") == 17 + 20
        busy[0].close()
        assert late.message().status == 200
        assert proxy.counter("accept_failures") == 0


def test_who_waits_too_long_is_refused_by_priority(http_proxy):
    """Clients that send far more than a loop works off in the time that is allowed."""
    proxy = overloaded(http_proxy, {"lag": "1ms"}, routes=[
        {"match": {"path": {"exact": f"/{level}"}}, "respond": {"status": 204}, "priority": level}
        for level in LEVELS])
    shed = dict.fromkeys(LEVELS, 0)
    burst = "GET /low HTTP/1.1\r\nHost: a\r\n\r\n" * 2000
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(proxy.connect()) for _ in range(64)]

        def feed():
            for peer in peers:
                peer.send(burst)
            for peer in peers:
                for _ in range(2000):
                    assert peer.message().status in (204, 503)
            return proxy.counter("shed_low")
        proxy.wait(feed)
    shed = {level: proxy.counter(f"shed_{level}") for level in LEVELS}
    assert shed["low"] > 0 and shed["normal"] == shed["high"] == 0


def test_of_all_that_wait_low_ones_are_refused_first(http_proxy):
    """On the wire: the same number of each priority, side by side on each connection."""
    proxy = overloaded(http_proxy, {"lag": "1ms", "retry_after": "3s"}, routes=[
        {"match": {"path": {"exact": f"/{level}"}}, "respond": {"status": 204}, "priority": level}
        for level in LEVELS])
    rounds = 600
    burst = "".join(f"GET /{level} HTTP/1.1\r\nHost: a\r\n\r\n" for level in LEVELS) * rounds
    refused = dict.fromkeys(LEVELS, 0)
    asked = 0
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(proxy.connect()) for _ in range(48)]

        def feed():
            nonlocal asked
            for peer in peers:
                peer.send(burst)
            for peer in peers:
                for number in range(rounds * len(LEVELS)):
                    answer = peer.message()
                    assert answer.status in (204, 503)
                    if answer.status == 503:
                        assert answer.get("Retry-After") == "3"
                        refused[LEVELS[number % len(LEVELS)]] += 1
            asked += rounds * len(peers)
            return refused["low"] > 1000
        proxy.wait(feed)
    # How far it goes depends on the machine: on a slow one others are refused too, but fewer.
    assert refused["low"] > refused["normal"] >= refused["high"], (refused, asked)
    assert refused["low"] > 1.2 * refused["high"], (refused, asked)
    assert refused == {level: proxy.counter(f"shed_{level}") for level in LEVELS}


@pytest.mark.parametrize("version", [1, 2])
def test_it_can_be_changed(http_proxy, stalled, version):
    """A limit that is far exceeded when it comes: all is refused, until it goes."""
    proxy = overloaded(http_proxy, {}, stalled, priority="high", routes=[
        {"match": {"path": {"exact": "/stalled"}}, "pool": "stalled", "timeout": "1h"}])

    def apply(overload):
        proxy.config["overload"] = overload
        proxy.daemon.write_config(proxy.config)
        return proxy.daemon.ctl_json("config", "apply", proxy.daemon.config_path)["changes"]
    with contextlib.ExitStack() as stack:
        for _ in range(40):
            peer = stack.enter_context(proxy.connect())
            peer.send("GET /stalled HTTP/1.1\r\nHost: a\r\n\r\n")
        proxy.wait(lambda: proxy.counter("requests") == 40)
        kept = stack.enter_context(open_h2(proxy) if version == 2 else proxy.connect())

        def now():
            if version == 2:
                return kept.ask(get("/", "a")).status
            return kept.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").status
        assert now() == 200
        assert [c["field"] for c in apply({"memory": 8 * KIB})] == ["memory"]
        proxy.wait(lambda: status(proxy)["state"] == "high")
        assert "refusing requests of priority: high" in proxy.daemon.ctl("status").stdout
        if version == 2:
            assert now() == 503
        else:
            assert kept.is_closed()  # it was idle
        apply({})
        assert ask(proxy, "/").status == 200


class Held:
    """A backend that answers one request after the other, as it is told to."""

    def __init__(self):
        self.seen, self.go = [], threading.Semaphore(0)

    def __call__(self, peer):
        while True:
            message = peer.message()
            self.seen.append(message.start.split()[1])
            assert self.go.acquire(timeout=TIMEOUT_S)
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


def send(stack, proxy, path):
    peer = stack.enter_context(proxy.connect())
    peer.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
    return peer


def test_requests_wait_and_high_ones_go_first(http_proxy):
    held = Held()
    proxy = overloaded(lambda **kw: http_proxy(held, **kw), {"requests": 2}, routes=[
        {"match": {"path": {"prefix": f"/{level}"}}, "pool": "web", "priority": level}
        for level in LEVELS])
    with contextlib.ExitStack() as stack:
        peers = [send(stack, proxy, f"/normal/{i}") for i in range(2)]
        proxy.wait(lambda: len(held.seen) == 2)
        waiting = 0
        for level in ("low", "normal", "high", "low"):
            peers.append(send(stack, proxy, f"/{level}"))
            waiting += 1
            proxy.wait(lambda: status(proxy)["waiting_requests"] == waiting)
        for _ in range(6):
            held.go.release()
            proxy.wait(lambda: len(held.seen) == min(6, 2 + proxy.counter("responses_2xx")))
        assert [peer.message().status for peer in peers] == [200] * 6
        assert held.seen[2:] == ["/high", "/normal", "/low", "/low"]
        assert status(proxy)["waiting_requests"] == 0


@contextlib.contextmanager
def one_under_way(http_proxy, **overload):
    """A proxy that takes one request at a time, and has it; the next one is answered afterwards."""
    held = Held()
    proxy = overloaded(lambda **kw: http_proxy(held, **kw), {"requests": 1, **overload})
    with contextlib.ExitStack() as stack:
        busy = send(stack, proxy, "/busy")
        proxy.wait(lambda: held.seen == ["/busy"])
        yield proxy
        assert status(proxy)["waiting_requests"] == 0
        held.go.release()
        assert busy.message().status == 200
        last = send(stack, proxy, "/last")
        held.go.release()
        assert last.message().status == 200
    assert held.seen == ["/busy", "/last"]


def test_who_waits_is_refused_in_the_end(http_proxy):
    with one_under_way(http_proxy, wait="300ms", retry_after="7s") as proxy:
        answer = ask(proxy, "/late")
        assert (answer.status, answer.get("Retry-After")) == (503, "7")
        assert proxy.counter("shed_normal") == 1


def test_who_waits_may_go_away(http_proxy):
    with one_under_way(http_proxy, wait="1h") as proxy:
        with proxy.connect() as gone:
            gone.send("GET /gone HTTP/1.1\r\nHost: a\r\n\r\n")
            proxy.wait(lambda: status(proxy)["waiting_requests"] == 1)
        proxy.wait_counter("aborted", 1)
        assert proxy.counter("shed_normal") == 0


def test_a_tunnel_is_no_request_under_way(http_proxy):
    def serve(peer):
        if "Upgrade" in repr(peer.message()):
            peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                      "Upgrade: websocket\r\n\r\n")
            peer.to_end()
        else:
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    proxy = overloaded(lambda **kw: http_proxy(serve, **kw), {"requests": 1})
    with proxy.connect() as peer:
        for _ in range(3):
            assert ask(proxy, "/").status == 200
        peer.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        proxy.wait_counter("tunnels", 1)
        assert ask(proxy, "/").status == 200


def test_all_go_on_when_the_limit_goes(http_proxy):
    held = Held()
    proxy = overloaded(lambda **kw: http_proxy(held, **kw), {"requests": 1})
    with contextlib.ExitStack() as stack:
        peers = [send(stack, proxy, f"/{i}") for i in range(5)]
        proxy.wait(lambda: status(proxy)["waiting_requests"] == 4)
        del proxy.config["overload"]
        proxy.daemon.write_config(proxy.config)
        proxy.daemon.ctl_json("config", "apply", proxy.daemon.config_path)
        proxy.wait(lambda: len(held.seen) == 5)
        for _ in peers:
            held.go.release()
        assert {peer.message().status for peer in peers} == {200}


def test_streams_wait_too(http_proxy):
    held = Held()
    proxy = overloaded(lambda **kw: http_proxy(held, **kw), {"requests": 1})
    with open_h2(proxy) as client:
        streams = [client.start(get(f"/{i}", "a")) for i in range(3)]
        proxy.wait(lambda: status(proxy)["waiting_requests"] == 2)
        for _ in streams:
            held.go.release()
        assert [client.reply(stream).status for stream in streams] == [200] * 3
    assert held.seen == ["/0", "/1", "/2"]
