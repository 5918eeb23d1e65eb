# SPDX-License-Identifier: BSD-2-Clause
"""Which backend is next: policies, priorities, zones, panic, slow starts."""
import collections
import threading

import pytest

from h2peer import get, open_h2
from http1 import Script

CHECKED = {"health": {"tcp": {}, "every": "100ms", "rise": 1, "fall": 1}}


def who(name, hold=None):
    """A backend that says its name; hold: an event that it waits for before each answer."""
    def serve(peer):
        while True:
            peer.message()
            if hold is not None:
                assert hold.wait(30)
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
