# SPDX-License-Identifier: BSD-2-Clause
"""Which backend gets a request, and what happens where one fails."""
import collections
import socket

import pytest

from http1 import NOBODY, OK, Script, answer_ok
from lab import wait_until

GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"


def named(name, counts):
    def serve(peer):
        while True:
            peer.message()
            counts[name] += 1
            peer.send(OK)
    return serve


_bound = []


def refusing(addr="127.0.0.1"):
    """An address where nobody listens, nor will: the port stays taken."""
    sock = socket.socket()
    sock.bind((addr, 0))
    _bound.append(sock)
    return f"{addr}:{sock.getsockname()[1]}"


def backend_row(proxy, name):
    rows = proxy.daemon.ctl_json("backend", "list")["backends"]
    return next(row for row in rows if row["name"] == name)["http"]


def test_requests_follow_the_weights(http_proxy):
    counts = collections.Counter()
    scripts = [Script(named(i, counts)) for i in range(3)]
    proxy = http_proxy(backends=[{"address": s.target, "weight": w}
                                 for s, w in zip(scripts, (1, 2, 5))])
    for _ in range(4):
        with proxy.connect() as client:
            for _ in range(20):
                assert client.ask(GET).status == 200
    assert counts == {0: 10, 1: 20, 2: 50}


def test_no_backend(http_proxy):
    proxy = http_proxy(backends=[NOBODY])
    with proxy.connect() as client:
        for _ in range(2):
            reply = client.ask(POST)
            assert reply.status == 503
            assert reply.body == b"503 Service Unavailable: no backend is available\n"


def test_a_refused_connection_goes_to_another_backend(http_proxy):
    script = Script(answer_ok)
    proxy = http_proxy(backends=[refusing(), refusing(), script])
    with proxy.connect() as client:
        for _ in range(9):
            assert client.ask(POST).status == 200
    assert proxy.counter("local_errors") == 0
    assert backend_row(proxy, "b1")["failures"] > 0


def test_three_refused_connections_are_enough(http_proxy):
    script = Script(answer_ok)
    proxy = http_proxy(backends=[refusing(), refusing(), refusing(), script])
    with proxy.connect() as client:
        statuses = collections.Counter(client.ask(POST).status for _ in range(8))
    assert statuses[502] > 0 and statuses[200] > 0 and sum(statuses.values()) == 8


def once_then_die(peer):
    """Answers one request, then closes when the next one comes, having seen it."""
    peer.message()
    peer.send(OK)
    peer.fill()
    peer.reset()


def test_a_kept_connection_that_dies_is_replaced_unseen(http_proxy):
    proxy = http_proxy(once_then_die)
    with proxy.connect() as client:
        for _ in range(5):
            assert client.ask(GET).status == 200
    assert proxy.counter("retries") == 4
    assert proxy.scripts[0].connections == 5


@pytest.mark.parametrize("request_text", [
    POST,
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",  # all of it is still here
    POST.replace("POST", "PUT"),  # could be, but its body is gone
])
def test_what_cannot_be_sent_twice_is_not(http_proxy, request_text):
    proxy = http_proxy(once_then_die)
    with proxy.connect() as client:
        assert client.ask(GET).status == 200
        assert client.ask(request_text).status == 502
        assert client.ask(request_text).status == 200
    assert proxy.counter("retries") == 0


def test_a_request_is_repeated_once_only(http_proxy):
    calls = []

    def serve(peer):
        calls.append(peer)
        peer.message()
        if len(calls) == 1:
            peer.send(OK)
            peer.fill()
        peer.reset()
    proxy = http_proxy(serve)
    with proxy.connect() as client:
        assert client.ask(GET).status == 200
        reply = client.ask(GET)
        assert (reply.status, reply.get("Connection")) == (502, "keep-alive")
    assert (len(calls), proxy.counter("retries")) == (2, 1)


def test_a_request_on_a_new_connection_is_not_repeated(http_proxy):
    def serve(peer):
        peer.message()
        peer.reset()
    proxy = http_proxy(serve)
    with proxy.connect() as client:
        assert client.ask(GET).status == 502
    assert proxy.scripts[0].connections == 1


def test_a_kept_connection_that_the_backend_closed_is_dropped(http_proxy):
    def serve(peer):
        peer.message()
        peer.send(OK)
    proxy = http_proxy(serve)
    with proxy.connect() as client:
        for _ in range(5):
            assert client.ask(POST).status == 200
            wait_until(lambda: proxy.daemon.ctl_json("status")["workers"]["upstream_idle"] == 0
                       if "workers" in proxy.daemon.ctl_json("status") else True)
    assert proxy.counter("retries") == 0


def test_idle_connections_have_a_bound(http_proxy):
    closed = []

    def serve(peer):
        try:
            answer_ok(peer)
        finally:
            closed.append(peer)
    proxy = http_proxy(serve, pool={"idle_connections": 3})
    clients = [proxy.connect() for _ in range(10)]
    for client in clients:
        client.send(POST[:-1])  # under way, all at once
    wait_until(lambda: proxy.scripts[0].connections == 10)
    for client in clients:
        assert client.ask(POST[-1]).status == 200
    wait_until(lambda: len(closed) == 7)
    for client in clients:
        client.close()


def test_a_client_that_leaves_takes_the_backend_along(http_proxy):
    closed = []

    def serve(peer):
        peer.message()
        assert peer.is_closed()
        closed.append(peer)
    proxy = http_proxy(serve)
    for leave in ("close", "reset"):
        client = proxy.connect()
        client.send(GET)
        wait_until(lambda: backend_row(proxy, "b1")["active_requests"] == 1)
        getattr(client, leave)()
        wait_until(lambda: backend_row(proxy, "b1")["active_requests"] == 0)
    wait_until(lambda: len(closed) == 2)
    assert proxy.counter("aborted") == 2


def test_a_client_that_leaves_in_the_middle_of_its_body(http_proxy):
    def serve(peer):
        peer.head()
        with pytest.raises((EOFError, ConnectionResetError)):
            peer.exactly(1000)
    proxy = http_proxy(serve)
    with proxy.connect() as client:
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nhalf")
        wait_until(lambda: backend_row(proxy, "b1")["active_requests"] == 1)
    proxy.wait_counter("aborted", 1)


def test_a_backend_that_answers_before_it_resets_is_heard(http_proxy):
    def serve(peer):
        peer.head()
        peer.send("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        peer.sock.recv(1)
        peer.reset()
    proxy = http_proxy(serve)
    with proxy.connect() as client:
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + "x" * 1000)
        assert client.message().status == 413


def test_a_drained_backend_gets_no_new_request(http_proxy):
    counts = collections.Counter()
    scripts = [Script(named(i, counts)) for i in range(2)]
    proxy = http_proxy(backends=scripts)
    with proxy.connect() as client:
        for _ in range(4):
            assert client.ask(GET).status == 200
        assert proxy.daemon.ctl("backend", "drain", "web/b1").rc == 0
        before = counts[0]
        for _ in range(10):
            assert client.ask(GET).status == 200
    assert counts[0] == before


def test_a_removed_backend_finishes_what_it_has(http_proxy):
    def serve(peer):
        while True:
            peer.message()
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha")
            wait_until(lambda: ready)
            peer.send("lf")
    ready = []
    scripts = [Script(serve), Script(answer_ok)]
    proxy = http_proxy(backends=[scripts[0]])
    with proxy.connect() as client:
        client.send(GET)
        assert client.head().status == 200
        proxy.config["pools"]["web"]["backends"] = [{"name": "b2", "address": scripts[1].target}]
        proxy.daemon.reload(proxy.config)
        ready.append(True)
        assert client.exactly(4) == b"half"
        assert client.ask(GET).body == b"hi"
    wait_until(lambda: scripts[0].peers[0].sock.fileno() < 0)
