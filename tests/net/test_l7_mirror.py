# SPDX-License-Identifier: BSD-2-Clause
"""Copies of requests for another pool: what is in them, and that nobody waits for them."""
import threading
import time

import pytest

from h2peer import get, h2_serve, open_h2
from http1 import CONTROLLED, Script
from lab import TIMEOUT_S, wait_until

BOTH = pytest.mark.parametrize("version", [1, 2])


def serve(seen, answer="HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmain"):
    def run(peer):
        while True:
            seen.append(peer.message())
            peer.send(answer)
    return run


@pytest.fixture
def mirrored(http_proxy):
    """mirrored(shadow, mirror={...}, ...) -> Proxy, with .seen: what its own pool was asked."""
    scripts = []

    def make(shadow, mirror=None, shadow_pool=None, backend=None, **kw):
        seen = []
        route = {"name": "all", "pool": "web", "mirror": {"pool": "shadow", **(mirror or {})}}
        proxy = http_proxy(backend or serve(seen), start=False, routes=[route], **kw)
        if callable(shadow):
            scripts.append(Script(shadow))
            shadow = scripts[-1].target
        proxy.config["pools"]["shadow"] = {
            **CONTROLLED, "backends": [{"name": "s1", "address": shadow}], **(shadow_pool or {})}
        proxy.daemon.write_config(proxy.config)
        proxy.daemon.start()
        proxy.seen = seen
        return proxy
    yield make
    for script in scripts:
        script.close()
    assert not [error for script in scripts for error in script.errors]


def counts(proxy):
    route, = proxy.daemon.ctl_json("route", "list", "web")["routes"]
    return route["mirrored"], route["mirrors_failed"], route["mirrors_dropped"]


def wait_counts(proxy, *want):
    wait_until(lambda: counts(proxy) == want, 10, what=lambda: f"{want}, not {counts(proxy)}")


def post(proxy, body, version=1, chunked=False):
    if version == 2:
        with open_h2(proxy) as client:
            return client.ask(get("/p", "a.test", "POST"), body.encode())
    framed = f"{len(body):x}\r\n{body}\r\n0\r\n\r\n" if chunked else body
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
    return proxy.ask(f"POST /p HTTP/1.1\r\nHost: a.test\r\n{length}\r\n\r\n{framed}")


@BOTH
def test_a_copy_is_what_the_backend_got(mirrored, version):
    copies = []
    proxy = mirrored(serve(copies, "HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno"))
    for body, chunked in [("x" * 10, False), ("y" * 3000, True)]:
        answer = post(proxy, body, version, chunked)
        assert (answer.status, bytes(answer.body)) == (200, b"main")
        wait_until(lambda: len(copies) == len(proxy.seen), 10)
    assert proxy.ask("GET /g?x HTTP/1.1\r\nHost: a.test\r\n\r\n").body == b"main"
    wait_counts(proxy, 3, 0, 0)
    for main, copy in zip(proxy.seen, copies):
        assert (copy.start, bytes(copy.body)) == (main.start, bytes(main.body))
        assert copy.get("X-Shunt-Mirror") == "1" and main.get("X-Shunt-Mirror") is None
        kept = [f for f in copy.fields if f[0].lower() != "x-shunt-mirror"]
        assert kept == list(main.fields)
    # The answers to copies are in nobody's counts but the backend's own.
    assert proxy.counter("responses_5xx") == 0
    shadow, = proxy.daemon.ctl_json("backend", "list", "shadow")["backends"]
    assert (shadow["http"]["active_requests"], shadow["http"]["requests"]) == (0, 3)


@BOTH
def test_a_shadow_that_is_spoken_http2_to(mirrored, version):
    made = []
    proxy = mirrored(h2_serve(made=made), shadow_pool={"protocol": "http2"})
    for body in "x" * 10, "y" * 40000:
        assert post(proxy, body, version).body == b"main"
    assert proxy.ask("GET /g HTTP/1.1\r\nHost: a.test\r\n\r\n").body == b"main"
    wait_counts(proxy, 3, 0, 0)
    copies = [r for peer in made for r in peer.requests.values()]
    assert [(r.get(":path"), len(r.body)) for r in copies] == [
        ("/p", 10), ("/p", 40000), ("/g", 0)]
    assert {r.get("x-shunt-mirror") for r in copies} == {"1"}


def test_a_copy_of_a_request_that_is_tried_twice(mirrored):
    """The first backend breaks off in the middle of the body; the copy has each byte once."""
    copies, bodies = [], []

    def break_once(peer):
        if bodies:
            bodies.append(peer.message().body)
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmain")
        else:
            peer.until(b"\r\n\r\n")
            bodies.append(peer.until(b"a" * 1000))
    proxy = mirrored(serve(copies), backend=break_once,
                     retry={"on": ["reset"], "non_idempotent": "on", "body": "64KiB"})
    with proxy.connect() as client:
        client.send("POST /p HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n"
                    f"3e8\r\n{'a' * 1000}\r\n")
        wait_until(lambda: proxy.counter("retries") == 1, 10)
        client.send(f"3e8\r\n{'b' * 1000}\r\n0\r\n\r\n")
        assert client.message().body == b"main"
    wait_counts(proxy, 1, 0, 0)
    assert bytes(bodies[1]) == bytes(copies[0].body) == b"a" * 1000 + b"b" * 1000


def test_nobody_waits_for_it(mirrored):
    hold = threading.Event()

    def silent(peer):
        peer.message()
        hold.wait(TIMEOUT_S)
    proxy = mirrored(silent, {"timeout": "300ms"})
    began = time.monotonic()
    assert proxy.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").body == b"main"
    assert post(proxy, "x" * 100).body == b"main"
    wait_counts(proxy, 0, 2, 0)
    assert time.monotonic() - began > 0.25
    hold.set()


@pytest.mark.parametrize("shadow", [
    "127.0.0.1:1", lambda peer: peer.message(),
    lambda peer: (peer.message(), peer.send("nonsense\r\n\r\n")),
    lambda peer: (peer.message(), peer.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1")),
    lambda peer: (peer.message(), peer.send("HTTP/1.1 101 No\r\nUpgrade: x\r\n\r\n"))],
    ids=["refuses", "closes", "garbage", "cut", "101"])
def test_a_shadow_that_fails_costs_nothing(mirrored, shadow):
    proxy = mirrored(shadow)
    for n in range(1, 4):
        assert proxy.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").body == b"main"
        wait_counts(proxy, 0, n, 0)
    assert proxy.counter("local_errors") == 0


def test_bounds_and_shares(mirrored):
    copies = []
    proxy = mirrored(serve(copies), {"body": 1000})
    assert post(proxy, "x" * 1000).body == post(proxy, "x" * 1001).body == b"main"
    assert post(proxy, "x" * 1001, chunked=True).body == b"main"
    wait_counts(proxy, 1, 0, 2)
    assert len(proxy.seen) == 3 and [len(c.body) for c in copies] == [1000]
    proxy.config["services"]["web"]["routes"][0]["mirror"] = {"pool": "shadow", "percent": 50}
    proxy.daemon.reload(proxy.config)
    with proxy.connect() as client:
        for _ in range(100):
            assert client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").body == b"main"
    wait_until(lambda: len(copies) - 1 == counts(proxy)[0] - 1, 10)
    assert 20 <= len(copies) <= 80
    # Without backends: what would be copied has failed, the request has not.
    assert proxy.daemon.ctl("backend", "drain", "shadow", "s1").rc == 0
    with proxy.connect() as client:
        for _ in range(20):
            assert client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").body == b"main"
    assert counts(proxy)[1] > 0


def test_a_client_that_goes_away_early_leaves_no_copy(mirrored):
    copies = []
    proxy = mirrored(serve(copies))
    with proxy.connect() as client:
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
        wait_until(lambda: proxy.counter("requests") == 1, 10)
    wait_counts(proxy, 0, 0, 1)
    assert not copies


def test_the_daemon_ends_with_copies_under_way(mirrored):
    hold = threading.Event()

    def silent(peer):
        peer.message()
        hold.wait(TIMEOUT_S)
    proxy = mirrored(silent, {"timeout": "1h"})
    assert proxy.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").body == b"main"
    began = time.monotonic()
    assert proxy.daemon.terminate() == 0
    assert time.monotonic() - began < 15
    hold.set()
