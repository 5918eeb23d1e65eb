# SPDX-License-Identifier: BSD-2-Clause
"""Backends that are left out for what became of their requests, and what pools are spared."""
import socket
import threading

import pytest

from h2peer import get, h2_serve, open_h2
from http1 import OK, Script, answer_ok
from lab import TIMEOUT_S, wait_until
from test_l7_backends import GET, POST, refusing

BAD = "HTTP/1.1 500 Bad\r\nContent-Length: 0\r\n\r\n"
GATEWAY = BAD.replace("500", "502")
LONG = {"base": "1h", "max": "1h", "max_ejected": 100}


class Moody:
    """A backend that says what it is told to; counts what it was asked."""

    def __init__(self, says=OK):
        self.says, self.count = says, 0
        self.script = Script(self.serve)

    def serve(self, peer):
        while True:
            peer.message()
            self.count += 1
            if self.says is None:
                peer.reset()
                return
            peer.send(self.says)


def row(proxy, name):
    rows = proxy.daemon.ctl_json("backend", "list")["backends"]
    return next(row for row in rows if row["name"] == name)


def outlier(proxy, name="b1"):
    http = row(proxy, name)["http"]
    return {"ejected": http["ejected_ms_left"] is not None, "left_ms": http["ejected_ms_left"],
            "reason": http["ejected_for"], "on_trial": http["on_trial"],
            "ejections": http["ejections"]}


def count_ejected(proxy):
    rows = proxy.daemon.ctl_json("backend", "list")["backends"]
    return sum(row["http"]["ejected_ms_left"] is not None for row in rows)


def pool_of(proxy):
    return proxy.daemon.ctl_json("pool", "show", "web")


def make(http_proxy, moods, **conf):
    return http_proxy(backends=[mood.script for mood in moods], pool={"outlier": {**LONG, **conf}},
                      retry={"attempts": 1})


@pytest.mark.parametrize("says, conf, ejected", [
    (BAD, {"consecutive": 3}, True), (GATEWAY, {"consecutive": 3}, True),
    (None, {"consecutive": 3}, True), ("nonsense\r\n\r\n", {"consecutive": 3}, True),
    (GATEWAY, {"gateway": 3}, True), (None, {"gateway": 3}, True), (BAD, {"gateway": 3}, False),
    (BAD.replace("500", "404"), {"consecutive": 3}, False)])
def test_failures_in_a_row(http_proxy, says, conf, ejected):
    moods = [Moody(says), Moody()]
    proxy = make(http_proxy, moods, **conf)
    with proxy.connect() as client:
        for _ in range(10):
            client.ask(GET)
    found = outlier(proxy)
    assert found["ejected"] == ejected
    assert moods[0].count == (3 if ejected else 5)
    if ejected:
        assert 0 < found["left_ms"] <= 3600000 and found["ejections"] == 1
        assert found["reason"].endswith("in a row")
        table = proxy.daemon.ctl("backend", "list").stdout
        assert "ejected, " in table and "in a row" in table
        assert "backend is ejected pool=web backend=b1" in proxy.daemon.log


def test_a_good_response_between_begins_anew(http_proxy):
    moods = [Moody(BAD), Moody()]
    proxy = make(http_proxy, moods, consecutive=3)
    with proxy.connect() as client:
        for _ in range(4):
            for says in (BAD, BAD, OK):
                moods[0].says = says
                client.ask(GET)
                client.ask(GET)
    assert moods[0].count == 12 and not outlier(proxy)["ejected"]


def test_a_backend_that_refuses_connections(http_proxy):
    good = Moody()
    proxy = http_proxy(backends=[refusing(), good.script],
                       pool={"outlier": {**LONG, "consecutive": 2}})
    with proxy.connect() as client:
        for _ in range(10):
            assert client.ask(POST).status == 200
    assert outlier(proxy)["ejected"] and row(proxy, "b1")["http"]["connect_failures"] == 2


def test_the_last_one_stays(http_proxy):
    moods = [Moody(BAD), Moody(BAD)]
    proxy = make(http_proxy, moods, consecutive=2)
    with proxy.connect() as client:
        for _ in range(20):
            assert client.ask(GET).status == 500
    assert sorted(outlier(proxy, name)["ejected"] for name in ("b1", "b2")) == [False, True]
    assert pool_of(proxy)["refused"]["ejections"] > 0


@pytest.mark.parametrize("share, out", [(1, 1), (50, 2), (100, 3)])
def test_no_more_than_a_share(http_proxy, share, out):
    moods = [Moody(BAD) for _ in range(4)]
    proxy = make(http_proxy, moods, consecutive=1, max_ejected=share)
    with proxy.connect() as client:
        for _ in range(20):
            client.ask(GET)
    assert count_ejected(proxy) == out


def test_one_request_is_let_through_then_all(http_proxy):
    moods = [Moody(BAD), Moody()]
    proxy = make(http_proxy, moods, consecutive=1, base="2s")
    with proxy.connect() as client:
        client.ask(GET)
        client.ask(GET)
        assert moods[0].count == 1
        # Still bad when it is on trial: left out again, for longer.
        wait_until(lambda: outlier(proxy)["on_trial"])
        wait_until(lambda: client.ask(GET) and moods[0].count == 2)
        then = outlier(proxy)
        assert then["ejections"] == 2 and then["reason"] == "still failing"
        assert then["left_ms"] > 2000
        moods[0].says = OK
        wait_until(lambda: outlier(proxy)["on_trial"])
        wait_until(lambda: client.ask(GET) and moods[0].count > 2)
        wait_until(lambda: not outlier(proxy)["on_trial"])
        before = moods[0].count
        for _ in range(10):
            assert client.ask(GET).status == 200
        assert moods[0].count == before + 5


def test_while_it_is_on_trial_others_go_elsewhere(http_proxy):
    """And a client that breaks off the trial says nothing of the backend."""
    trial, go = threading.Event(), threading.Event()

    def serve(peer):
        peer.message()
        if len(script.peers) == 1:
            peer.send(BAD)
            return
        trial.set()
        go.wait(TIMEOUT_S)
        peer.send(OK)
    script, good = Script(serve), Moody()
    proxy = http_proxy(backends=[script, good.script], retry={"attempts": 1},
                       pool={"outlier": {**LONG, "consecutive": 1, "base": "100ms"}})
    with proxy.connect() as client:
        client.ask(GET)
        client.ask(GET)
        assert outlier(proxy)["ejections"] == 1
        wait_until(lambda: outlier(proxy)["on_trial"])
        assert proxy.daemon.ctl("backend", "drain", "web/b2").rc == 0
        probe = proxy.connect()
        probe.send(GET)
        assert trial.wait(TIMEOUT_S)
        assert proxy.daemon.ctl("backend", "undrain", "web/b2").rc == 0
        before = good.count
        for _ in range(10):
            assert client.ask(GET).status == 200
        assert good.count == before + 10
        probe.close()
        proxy.wait_counter("aborted", 1)
        assert outlier(proxy)["on_trial"] and outlier(proxy)["ejections"] == 1
        go.set()
        wait_until(lambda: client.ask(GET) and not outlier(proxy)["on_trial"])


def test_clients_that_leave_say_nothing(http_proxy):
    hanging = []

    def serve(peer):
        peer.message()
        hanging.append(peer)
        peer.is_closed()
    proxy = http_proxy(serve, serve, retry={"attempts": 1},
                       pool={"outlier": {**LONG, "consecutive": 1}})
    for i in range(1, 5):
        client = proxy.connect()
        client.send(GET)
        wait_until(lambda n=i: len(hanging) == n)
        client.close()
    proxy.wait_counter("aborted", 4)
    assert count_ejected(proxy) == 0
    assert row(proxy, "b1")["http"]["failures"] == 0


def test_a_share_of_failures(http_proxy):
    moods = [Moody(), Moody()]
    proxy = make(http_proxy, moods, error_rate=40, min_requests=10, interval="1s")
    with proxy.connect() as client:
        def ask():
            for _ in range(40):  # enough for an interval, however long it takes to look
                moods[0].says = BAD if moods[0].count % 2 else OK
                client.ask(GET)
            return outlier(proxy)["ejected"]
        wait_until(ask, 30)
    assert outlier(proxy)["reason"] == "share of failures"
    assert not outlier(proxy, "b2")["ejected"]


def test_latency(http_proxy):
    def slow(peer):
        while True:
            peer.message()
            never.wait(0.1)
            peer.send(OK)
    never = threading.Event()
    proxy = http_proxy(
        slow, answer_ok, answer_ok,
        pool={"outlier": {**LONG, "latency": 500, "min_requests": 3, "interval": "500ms"}})
    with proxy.connect() as client:
        def ask():
            for _ in range(12):  # more than an interval's, however long it takes to look
                client.ask(GET)
            return outlier(proxy)["ejected"]
        wait_until(ask, 60)
    assert outlier(proxy)["reason"] == "latency"


def test_all_workers_leave_it_out(http_proxy):
    moods = [Moody(BAD), Moody()]
    proxy = http_proxy(backends=[mood.script for mood in moods], workers=4,
                       pool={"outlier": {**LONG, "consecutive": 1}}, retry={"attempts": 1})
    with proxy.connect() as client:
        wait_until(lambda: client.ask(GET) and outlier(proxy)["ejected"])
    before = moods[0].count
    for _ in range(20):
        with proxy.connect() as client:
            assert [client.ask(GET).status for _ in range(3)] == [200] * 3
    assert moods[0].count == before


def test_it_stays_over_a_reload_and_goes_with_the_key(http_proxy):
    moods = [Moody(BAD), Moody()]
    proxy = make(http_proxy, moods, consecutive=1)
    with proxy.connect() as client:
        client.ask(GET)
        client.ask(GET)
        assert outlier(proxy)["ejected"]
        proxy.config["pools"]["web"]["outlier"]["consecutive"] = 5
        proxy.daemon.reload(proxy.config)
        assert outlier(proxy)["ejected"]
        del proxy.config["pools"]["web"]["outlier"]
        proxy.daemon.reload(proxy.config)
        assert not outlier(proxy)["ejected"]


def test_where_all_others_are_down_those_left_out_serve(http_proxy):
    moods = [Moody(BAD), Moody()]
    proxy = make(http_proxy, moods, consecutive=1)
    with proxy.connect() as client:
        client.ask(GET)
        client.ask(GET)
        assert outlier(proxy)["ejected"]
        assert proxy.daemon.ctl("backend", "disable", "web/b2").rc == 0
        moods[0].says = OK
        assert client.ask(GET).status == 200


def test_http2_backends(http_proxy):
    def bad(server, request):
        server.conn.reset_stream(request.stream, 2)
        server.flush()
    proxy = http_proxy(backends=[Script(h2_serve(bad)), Script(h2_serve())],
                       pool={"protocol": "http2", "outlier": {**LONG, "consecutive": 2}},
                       retry={"on": ["reset"], "backoff": {"base": "1ms"}})
    with open_h2(proxy) as client:
        for _ in range(6):
            assert client.ask(get()).status == 200
    assert outlier(proxy)["ejected"]


def test_connections_of_a_tcp_service(http_proxy):
    script = Script(answer_ok)
    proxy = http_proxy(backends=[refusing(), script], mode="tcp",
                       pool={"outlier": {**LONG, "consecutive": 2}})
    for _ in range(6):
        assert proxy.ask(GET).status == 200
    assert outlier(proxy)["ejected"]


# ---- limits ----------------------------------------------------------------------------------

def holding(count):
    """A backend that answers once it is told to."""
    go = threading.Event()

    def serve(peer):
        while True:
            peer.message()
            go.wait(TIMEOUT_S)
            peer.send(OK)
    scripts = [Script(serve) for _ in range(count)]
    return scripts, go


def hold(proxy, count, name="active_requests"):
    clients = [proxy.connect() for _ in range(count)]
    for client in clients:
        client.send(GET)
    wait_until(lambda: sum(b["http"][name] for b in
                           proxy.daemon.ctl_json("backend", "list")["backends"]) == count)
    return clients


@pytest.mark.parametrize("limits, count, what, text", [
    ({"requests": 3}, 3, "requests", b"pool has as many requests as it may have"),
    ({"connections": 3}, 3, "connections", b"pool has as many connections as it may have"),
    ({"backend_connections": 2}, 4, "connections", b"pool has as many connections")])
@pytest.mark.parametrize("workers", [1, 3])
def test_what_is_over_a_limit(http_proxy, limits, count, what, text, workers):
    scripts, go = holding(2)
    proxy = http_proxy(backends=scripts, pool={"limits": limits}, workers=workers)
    clients = hold(proxy, count)
    with proxy.connect() as client:
        for _ in range(3):
            reply = client.ask(GET)
            assert reply.status == 503 and text in reply.body
        assert all(b["failures"] == 0 for b in
                   (b["http"] for b in proxy.daemon.ctl_json("backend", "list")["backends"]))
        assert proxy.counter("failed_limit") == 3
        assert pool_of(proxy)["refused"][what] >= 3
        go.set()
        assert [held.message().status for held in clients] == [200] * count
    for held in clients:
        held.close()
    with proxy.connect() as client:
        wait_until(lambda: client.ask(GET).status == 200)


def test_a_connection_that_is_kept_is_used_at_the_limit(http_proxy):
    proxy = http_proxy(answer_ok, pool={"limits": {"connections": 1, "requests": 1, "pending": 1}})
    for _ in range(5):
        with proxy.connect() as client:
            assert [client.ask(GET).status for _ in range(3)] == [200] * 3
    assert proxy.scripts[0].connections == 1


def test_requests_that_wait_for_a_connection(http_proxy):
    """One whose backend never accepts: its queue is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        target = "127.0.0.1:%d" % listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        proxy = http_proxy(backends=[target], pool={"limits": {"pending": 2}})
        clients = [proxy.connect() for _ in range(2)]
        for client in clients:
            client.send(GET)
        wait_until(lambda: pool_of(proxy)["connections"] == 2)
        assert b"as many requests wait" in proxy.ask(GET).body
        assert pool_of(proxy)["refused"]["pending"] == 1
        for client in clients:
            client.close()
        wait_until(lambda: pool_of(proxy)["connections"] == 0)
        for filler in fillers:
            filler.close()


def test_http2_requests_share_a_connection_under_the_limit(http_proxy):
    go = threading.Event()

    def slow(server, request):
        go.wait(TIMEOUT_S)
        server.reply(request, body=b"hi")
    proxy = http_proxy(backends=[Script(h2_serve(slow))],
                       pool={"protocol": "http2", "limits": {"connections": 1, "requests": 4}})
    with open_h2(proxy) as client:
        streams = [client.start(get()) for _ in range(6)]
        wait_until(lambda: row(proxy, "b1")["http"]["active_requests"] == 4)
        go.set()
        statuses = sorted(client.reply(stream).status for stream in streams)
    assert statuses == [200] * 4 + [503] * 2
    assert row(proxy, "b1")["http"]["connections"] == 1


def test_connections_of_tcp_services_have_the_limit_too(http_proxy):
    scripts, go = holding(1)
    proxy = http_proxy(backends=scripts, mode="tcp", pool={"limits": {"connections": 2}})
    clients = hold(proxy, 2)
    with pytest.raises((EOFError, ConnectionError)):
        proxy.ask(GET)
    go.set()
    assert [held.message().status for held in clients] == [200, 200]
    for held in clients:
        held.close()


def test_reload_changes_limits(http_proxy):
    scripts, go = holding(1)
    proxy = http_proxy(backends=scripts, pool={"limits": {"connections": 1}})
    clients = hold(proxy, 1)
    assert proxy.ask(GET).status == 503
    proxy.config["pools"]["web"]["limits"] = {"connections": 2}
    proxy.daemon.reload(proxy.config)
    client = proxy.connect()
    client.send(GET)
    wait_until(lambda: row(proxy, "b1")["http"]["active_requests"] == 2)
    go.set()
    for held in (*clients, client):
        assert held.message().status == 200
        held.close()
