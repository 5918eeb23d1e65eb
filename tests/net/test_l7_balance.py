# SPDX-License-Identifier: BSD-2-Clause
"""Which backend is next: policies, priorities, zones, panic, slow starts."""
import collections
import threading

import pytest

from h2peer import get, open_h2
from http1 import TIMEOUT_S, Script

CHECKED = {"health": {"tcp": {}, "every": "100ms", "rise": 1, "fall": 1}}


def who(name, hold=None):
    """A backend that says its name; hold: an event that it waits for before each answer."""
    def serve(peer):
        while True:
            peer.message()
            if hold is not None:
                assert hold.wait(TIMEOUT_S)
            peer.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(name)}\r\n\r\n{name}")
    return serve


@pytest.fixture
def named():
    """named("a", hold=EVENT) -> the keys of a backend that says so."""
    made = []

    def make(name, hold=None, **keys):
        script = Script(who(name, hold))
        made.append(script)
        return {"address": script.target, **keys}
    yield make
    for script in made:
        script.close()


def count(proxy, requests, fields=lambda i: ""):
    """Who answered, of so many requests on one connection."""
    by = collections.Counter()
    with proxy.connect() as peer:
        for i in range(requests):
            answer = peer.ask(f"GET /{i} HTTP/1.1\r\nHost: a.test\r\n{fields(i)}\r\n")
            by[bytes(answer.body).decode()] += 1
    return by


def balance(proxy):
    return proxy.daemon.ctl_json("pool", "show", "web")["balance"]


def health(proxy, name):
    rows = proxy.daemon.ctl_json("pool", "show", "web")["backends"]
    return next(b for b in rows if b["name"] == name)["health"]["state"]


def test_least_request_passes_by_who_is_busy(http_proxy, named):
    """Three requests wait at backends; what follows goes where nobody waits."""
    hold = threading.Event()
    proxy = http_proxy(backends=[named("a", hold), named("b"), named("c")], workers=2,
                       pool={"balance": "least-request"})
    waiting = []
    while len(waiting) < 4:  # who has none is next, so one of three at most finds "a"
        peer = proxy.connect()
        peer.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        if proxy.daemon.ctl_json("pool", "show", "web")["backends"][0]["http"]["active_requests"]:
            waiting.append(peer)
            break
        peer.message()
        peer.close()
    by = count(proxy, 40)
    assert by["a"] == 0 and by["b"] + by["c"] == 40, by
    hold.set()
    for peer in waiting:
        assert bytes(peer.message().body) == b"a"
        peer.close()
    assert set(count(proxy, 60)) == {"a", "b", "c"}


def test_ewma_passes_by_who_is_slow(http_proxy, named):
    hold = threading.Event()
    proxy = http_proxy(backends=[named("a", hold), named("b")], pool={"balance": "ewma"})
    timer = threading.Timer(0.3, hold.set)
    timer.start()
    count(proxy, 20)  # one of them at least waits for "a"
    timer.join()
    rows = proxy.daemon.ctl_json("pool", "show", "web")["backends"]
    assert rows[0]["http"]["latency_us"] > 5 * rows[1]["http"]["latency_us"]
    by = count(proxy, 100)
    assert by["b"] > by["a"], by


@pytest.mark.parametrize("version", [1, 2])
def test_maglev_by_a_header(http_proxy, named, version):
    proxy = http_proxy(backends=[named(x) for x in "abcd"], workers=2,
                       pool={"balance": "maglev", "balance_by": 'header["x-user"]'})

    def ask(user):
        if version == 2:
            with open_h2(proxy) as client:
                return bytes(client.ask(get("/", "a.test", x_user=user)).body).decode()
        return next(iter(count(proxy, 1, lambda _: f"X-User: {user}\r\n")))
    seen = {f"u{i}": ask(f"u{i}") for i in range(24)}
    assert len(set(seen.values())) == 4
    proxy.daemon.reload(proxy.config)
    for user, name in seen.items():  # on whatever worker
        assert ask(user) == name
    # Without, it is the client's address: one for all.
    assert len(count(proxy, 20)) == 1
    shown = balance(proxy)
    assert shown["policy"] == "maglev" and shown["by"] == 'header["x-user"]'
    assert 'maglev by header["x-user"]' in proxy.daemon.ctl("pool", "show", "web").stdout


def test_a_bound_spreads_one_key(http_proxy, named):
    hold = threading.Event()
    proxy = http_proxy(backends=[named(x, hold) for x in "abcd"],
                       pool={"balance": "maglev", "load_bound": 125})
    peers = [proxy.connect() for _ in range(16)]
    for peer in peers:
        peer.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
    hold.set()
    by = collections.Counter(bytes(peer.message().body).decode() for peer in peers)
    for peer in peers:
        peer.close()
    assert len(by) >= 3 and max(by.values()) <= 6, by


def test_tcp_connections_too(http_proxy, named):
    proxy = http_proxy(backends=[named(x) for x in "abcd"], mode="tcp",
                       pool={"balance": "maglev"})
    seen = {next(iter(count(proxy, 1))) for _ in range(10)}
    assert len(seen) == 1
    rows = proxy.daemon.ctl_json("pool", "show", "web")["backends"]
    assert sorted(b["http"]["connections"] for b in rows) == [0, 0, 0, 10]


def test_priorities(http_proxy, named, free_port):
    gone = f"127.0.0.1:{free_port()}"
    proxy = http_proxy(backends=[named("first"), {"address": gone},
                                 named("second", priority=1)], pool=CHECKED)
    proxy.wait(lambda: health(proxy, "b2") == "down" and health(proxy, "b3") == "up")
    # Half of the first: 70 in 100, the rest spills over.
    by = count(proxy, 400)
    assert 220 < by["first"] < 340 and by["first"] + by["second"] == 400, by
    groups = balance(proxy)["groups"]
    assert [(g["priority"], round(g["share_percent"])) for g in groups] == [(0, 70), (1, 30)]
    proxy.config["pools"]["web"]["backends"][1]["state"] = "disabled"
    proxy.daemon.reload(proxy.config)
    assert count(proxy, 40) == {"first": 40}


def test_the_own_zone(http_proxy, named):
    proxy = http_proxy(backends=[named("here", zone="a"), named("there", zone="b")],
                       node={"zone": "a"})
    assert count(proxy, 20) == {"here": 20}
    proxy.config["node"]["zone"] = "b"
    proxy.daemon.reload(proxy.config)
    assert count(proxy, 20) == {"there": 20}


def test_panic(http_proxy, named, free_port):
    """Checks may be wrong about all of them at once."""
    gone = [{"address": f"127.0.0.1:{free_port()}"} for _ in range(2)]
    proxy = http_proxy(backends=[named("a"), *gone], pool={**CHECKED, "panic": 50})
    proxy.wait(lambda: all(health(proxy, f"b{i}") == "down" for i in (2, 3)))
    assert balance(proxy)["groups"][0]["panic"]
    assert "panic" in proxy.daemon.ctl("pool", "show", "web").stdout
    assert count(proxy, 20) == {"a": 20}  # others were tried first
    rows = proxy.daemon.ctl_json("pool", "show", "web")["backends"]
    assert sum(b["http"]["failures"] for b in rows[1:]) > 0


def test_slow_start(http_proxy, named):
    proxy = http_proxy(backends=[named("old")], pool={"slow_start": "1h"})
    new = named("new")
    proxy.config["pools"]["web"]["backends"].append({"name": "b2", **new})
    proxy.daemon.reload(proxy.config)
    weights = balance(proxy)["groups"][0]["weights"]
    assert weights["b1"] == weights["b2"] < 0.2  # both came a moment ago
    proxy.config["pools"]["web"]["slow_start"] = "0s"
    proxy.daemon.reload(proxy.config)
    assert balance(proxy)["groups"][0]["weights"] == {"b1": 1.0, "b2": 1.0}
    assert count(proxy, 40) == {"old": 20, "new": 20}


@pytest.mark.parametrize("keys,text", [
    ({"balance": "rond-robin"}, "round-robin"),
    ({"balance": "maglev", "balance_by": 'headr["x"]'}, "headr"),
    ({"balance": "maglev", "load_bound": 90}, "percent above 100"),
    ({"panic": 101}, "100"),
])
def test_what_is_refused(http_proxy, named, keys, text):
    proxy = http_proxy(backends=[named("a")])
    proxy.config["pools"]["web"].update(keys)
    proxy.daemon.write_config(proxy.config)
    done = proxy.daemon.ctl("config", "check", proxy.daemon.config_path)
    assert done.rc != 0 and text in done.stderr + done.stdout


# ---- backends in trouble

def failing(name, state):
    """Answers with state["status"], or resets the connection where that is None."""
    def serve(peer):
        while True:
            peer.message()
            if state["status"] is None:
                return peer.reset()
            peer.send(f"HTTP/1.1 {state['status']} X\r\nContent-Length: {len(name)}\r\n\r\n{name}")
    return serve


def backend(proxy, name):
    rows = proxy.daemon.ctl_json("backend", "list", "web")["backends"]
    return next(b for b in rows if b["name"] == name)["http"]


@pytest.fixture
def troubled(http_proxy):
    """troubled(state, ...) -> Proxy over "bad", which does what state says, and two others."""
    scripts = []

    def make(state, workers=2, **pool):
        scripts.extend([Script(failing("bad", state)), Script(who("one")), Script(who("two"))])
        return http_proxy(backends=[{"address": s.target} for s in scripts], workers=workers,
                          pool=pool)
    yield make
    for script in scripts:
        script.close()


def ask_on_new_connections(proxy, requests):
    for _ in range(requests):
        with proxy.connect() as peer:
            peer.ask("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")


@pytest.mark.parametrize("status", [500, 503, None])
def test_who_fails_is_ejected(troubled, status):
    proxy = troubled({"status": status},
                     outlier={"consecutive": 3, "base": "1h", "max": "1h", "max_ejected": 50})
    ask_on_new_connections(proxy, 12)
    shown = backend(proxy, "b1")
    assert shown["ejected_ms_left"] > 0 and shown["ejections"] == 1
    assert shown["requests"] + shown["failures"] <= 6 + 2
    assert "backend is ejected pool=web backend=b1" in proxy.daemon.log
    assert "ejected" in proxy.daemon.ctl("backend", "list", "web").stdout
    assert set(count(proxy, 30)) == {"one", "two"}


@pytest.mark.parametrize("status", [500, 503, None])
def test_who_is_ejected_is_tried_again(troubled, status):
    """Whichever worker its request comes to finds out, all send to it then."""
    state = {"status": status}
    proxy = troubled(state, outlier={"consecutive": 3, "base": "200ms", "max_ejected": 50})
    ask_on_new_connections(proxy, 12)
    assert backend(proxy, "b1")["ejections"] > 0
    proxy.wait(lambda: backend(proxy, "b1")["on_trial"])
    before = backend(proxy, "b1")["ejections"]
    ask_on_new_connections(proxy, 12)
    assert backend(proxy, "b1")["ejections"] > before
    state["status"] = 200
    proxy.wait(lambda: backend(proxy, "b1")["on_trial"])
    ask_on_new_connections(proxy, 12)
    assert not backend(proxy, "b1")["on_trial"]
    assert count(proxy, 60)["bad"] > 15


def test_not_more_than_a_share_is_ejected(http_proxy):
    state = {"status": 500}
    scripts = [Script(failing("bad", state)) for _ in range(4)]
    proxy = http_proxy(backends=[{"address": s.target} for s in scripts],
                       pool={"outlier": {"consecutive": 1, "max_ejected": 50}})
    count(proxy, 40)
    rows = proxy.daemon.ctl_json("backend", "list", "web")["backends"]
    assert sum(b["http"]["ejected_ms_left"] is not None for b in rows) == 2
    for script in scripts:
        script.close()


def test_the_rate_of_errors(troubled):
    state = {"status": 200}
    proxy = troubled(state, outlier={"error_rate": 50, "min_requests": 5, "interval": "300ms"})
    count(proxy, 60)
    assert backend(proxy, "b1")["ejections"] == 0
    state["status"] = 500

    def is_ejected():
        count(proxy, 12)
        return backend(proxy, "b1")["ejections"] > 0
    proxy.wait(is_ejected)


def test_what_clients_break_off_counts_against_nobody(http_proxy, named):
    hold = threading.Event()
    proxy = http_proxy(backends=[named("a", hold)], pool={"outlier": {"consecutive": 1}})
    for _ in range(3):
        with proxy.connect() as peer:
            peer.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
            proxy.wait(lambda: backend(proxy, "b1")["active_requests"] == 1)
        proxy.wait(lambda: backend(proxy, "b1")["active_requests"] == 0)
    hold.set()
    assert backend(proxy, "b1")["ejections"] == 0 and backend(proxy, "b1")["failures"] == 0
    assert count(proxy, 3) == {"a": 3}


def test_full_backends(http_proxy, named):
    """Two each, over both workers; a seventh is told so."""
    hold = threading.Event()
    proxy = http_proxy(backends=[named(x, hold) for x in "abc"], workers=2, pool={"requests": 2})
    peers = [proxy.connect() for _ in range(6)]
    for peer in peers:
        peer.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        proxy.wait(lambda n=peers.index(peer) + 1: sum(
            backend(proxy, f"b{i}")["active_requests"] for i in (1, 2, 3)) == n)
    with proxy.connect() as peer:
        answer = peer.ask("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        assert answer.status == 503 and b"as many requests as they may" in answer.body
    hold.set()
    by = collections.Counter(bytes(peer.message().body).decode() for peer in peers)
    for peer in peers:
        peer.close()
    assert by == {"a": 2, "b": 2, "c": 2}
    assert sum(count(proxy, 6).values()) == 6


@pytest.mark.parametrize("policy", ["round-robin", "least-request"])
def test_workers_reuse_their_own_connections(http_proxy, named, policy):
    """64 clients at once over 4 workers: each worker's own idle connections are enough."""
    proxy = http_proxy(backends=[named(x) for x in "abc"], workers=4, pool={"balance": policy})
    clients = [proxy.connect() for _ in range(64)]

    def rounds(number):
        for _ in range(number):
            for client in clients:
                client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            for client in clients:
                assert client.message().status == 200

    def total(name):
        return sum(backend(proxy, f"b{i}")[name] for i in (1, 2, 3))

    rounds(20)  # until as many are open as can be needed
    requests, reused = total("requests"), total("reused")
    rounds(40)
    requests, reused = total("requests") - requests, total("reused") - reused
    for client in clients:
        client.close()
    assert requests == 64 * 40
    assert reused / requests >= 0.99, (reused, requests)
