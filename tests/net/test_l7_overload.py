# SPDX-License-Identifier: BSD-2-Clause
"""More to do than can be done: who is refused, who passes, and what stays bounded."""
import contextlib
import select
import socket

import pytest

from h2peer import get, open_h2
from http1 import CONTROLLED

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
        assert 0.8 * limit < held["memory_bytes"] < limit
        assert held["state"] in ("low", "normal") and held["pressure_permille"] > 0
        assert proxy.counter("shed_low") == len(refused) > 100
        assert {ask(proxy, "/high").status for _ in range(20)} == {200}
        assert "refusing requests of priority: " in proxy.daemon.ctl("status").stdout
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
        if version == 2:
            assert now() == 503
        else:
            assert kept.is_closed()  # it was idle
        apply({})
        assert ask(proxy, "/").status == 200
