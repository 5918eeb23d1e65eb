# SPDX-License-Identifier: BSD-2-Clause
"""Tries that are over: nothing of them is touched again. Sanitizers see what these tests cannot."""
import pytest

from h2peer import get, open_h2
from http1 import OK
from lab import wait_until
from test_l7_backends import GET, backend_row
from test_l7_retries import SOON, Log, stall

BUSY = "HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbusy"
BAD_CHUNK = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
LATER = {"base": "60s", "max": "60s"}


@pytest.fixture
def log():
    return Log()


def turns(*behaviours):
    """One after the other, whoever is asked."""
    asked = []

    def behave(peer, message):
        asked.append(message)
        behaviours[(len(asked) - 1) % len(behaviours)](peer, message)
    return behave


def say(text):
    def behave(peer, _message):
        peer.send(text)
        if "close" in text:
            raise EOFError
    return behave


def late_reset(peer, _message):
    peer.sock.settimeout(0.1)
    with pytest.raises(TimeoutError):
        peer.fill()
    peer.reset()


def late_answer(peer, _message):
    peer.sock.settimeout(0.5)
    with pytest.raises(TimeoutError):
        peer.fill()
    peer.sock.settimeout(None)
    peer.send(OK)


def drop(_peer, _message):
    raise EOFError


@pytest.mark.parametrize("first", [BUSY, BUSY.replace("Connection: close\r\n", ""), BAD_CHUNK])
def test_the_first_response_is_forgotten(http_proxy, log, first):
    """It was begun with, the second try has none."""
    behave = turns(say(first), late_reset)
    proxy = http_proxy(backends=[log.script(name, behave) for name in ("one", "two")],
                       retry={"on": ["5xx", "reset"], "attempts": 2, "backoff": SOON})
    with proxy.connect() as client:
        # A kept connection that dies does not count: then it is the other one's turn.
        statuses = [client.ask(GET).status for _ in range(6)]
    assert 502 in statuses and set(statuses) <= {502, 503} and log.count() >= 12


@pytest.mark.parametrize("first", [BUSY, BAD_CHUNK])
def test_a_client_leaves_between_two_tries(http_proxy, log, first):
    proxy = http_proxy(backends=[log.script("one", say(first)), log.script("two", say(first))],
                       retry={"on": ["5xx", "reset"], "backoff": LATER})
    for i in range(1, 4):
        client = proxy.connect()
        client.send(GET)
        wait_until(lambda n=i: log.count() == n)
        client.close()
        proxy.wait_counter("aborted", i)
    wait_until(lambda: not sum(backend_row(proxy, b)["active_requests"] for b in ("b1", "b2")))


def test_a_body_comes_between_two_tries(http_proxy):
    """Nothing was kept of it, as nothing had come of it; it was to be piped through the kernel."""
    size = 1 << 20

    def serve(peer):
        while True:
            if "/drop" in peer.head().start:
                peer.reset()
                return
            peer.exactly(size)
            peer.send(OK)
    proxy = http_proxy(serve, retry={"on": ["reset"], "body": 0, "backoff": LATER})
    head = f"PUT /%s HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n"
    client = proxy.connect()
    for _ in range(3):
        client.send((head % "keep").encode() + bytes(size))
        assert client.message().status == 200
    client.send(head % "drop")
    wait_until(lambda: backend_row(proxy, "b1")["resets"] == 1)
    client.send(bytes(1000))
    client.close()
    proxy.wait_counter("aborted", 1)


def test_clients_that_leave_are_counted(http_proxy, log):
    """By HTTP/2 each of their requests, whether they take back one or close the connection."""
    proxy = http_proxy(backends=[log.script("one", stall)], routes=[
        {"name": "all", "match": {"path": {"prefix": "/"}}, "pool": "web"}])
    with open_h2(proxy) as client:
        streams = [client.start(get()) for _ in range(3)]
        wait_until(lambda: log.count() == 3)
        client.conn.reset_stream(streams[0], 8)
        client.flush()
        proxy.wait_counter("aborted", 1)
    proxy.wait_counter("aborted", 3)
    route, = proxy.daemon.ctl_json("route", "list", "web")["routes"]
    assert route["aborted"] == route["requests"] == 3


def test_a_kept_connection_that_dies_says_nothing_of_its_backend(http_proxy, log):
    """Of the second try no more than of the first."""
    behave = turns(say(OK), say(OK), late_answer, drop)
    proxy = http_proxy(backends=[log.script("one", behave), log.script("two", behave)],
                       hedge={"after": "50ms"}, pool={"outlier": {"gateway": 1}})
    with proxy.connect() as client:
        assert [client.ask(GET).status for _ in range(3)] == [200] * 3
    assert proxy.counter("hedges") == 1 and log.count() == 4
    for name in ("b1", "b2"):
        row = backend_row(proxy, name)
        assert (row["reused"], row["failures"], row["resets"]) == (1, 0, 0), row
