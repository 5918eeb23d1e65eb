# SPDX-License-Identifier: BSD-2-Clause
"""Requests that are sent once more: after what, how often, and what never is."""
import threading

import pytest

from h2peer import get, open_h2
from http1 import Script

GET = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"
POST = "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n"
BODY = "PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nabc"


class Backend:
    """Does what `deeds` say in turn, then answers well; seen: the methods of requests."""

    def __init__(self, name, deeds=()):
        self.name, self.deeds, self.seen = name, list(deeds), []
        self.go_on = threading.Event()
        self.script = Script(self.serve)

    def serve(self, peer):
        while True:
            message = peer.message()
            self.seen.append(message.start.split()[0])
            deed = self.deeds.pop(0) if self.deeds else 200
            if deed == "reset":
                return peer.reset()
            if deed == "close":
                return None
            if deed == "stall":
                self.go_on.wait(30)
                return None
            if deed == "half":
                return peer.send("HTTP/1.1 200 OK\r\nContent-Le")
            peer.send(f"HTTP/1.1 {deed} X\r\nContent-Length: {len(self.name)}\r\n\r\n{self.name}")


@pytest.fixture
def proxied(http_proxy):
    """proxied([deeds of the first, deeds of the second, ...], **retry) -> Proxy, with .all"""
    backends = []

    def make(deeds, workers=1, service=None, **retry):
        mine = [Backend(f"b{i + 1}", some) for i, some in enumerate(deeds)]
        backends.extend(mine)
        proxy = http_proxy(backends=[{"address": b.script.target} for b in mine], workers=workers,
                           retry=retry, **(service or {}))
        proxy.all = mine
        return proxy
    yield make
    for backend in backends:
        backend.go_on.set()
        backend.script.close()


def seen(proxy):
    return [b.seen for b in proxy.all]


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("on, deed", [
    ("5xx", 500), ("gateway-error", 502), ("503", 503), (["reset", "429"], 429),
    ("reset", "reset"), ("reset", "close")])
def test_another_backend_answers(proxied, version, on, deed):
    proxy = proxied([[deed], []], on=on)
    if version == 2:
        with open_h2(proxy) as client:
            answer = client.ask(get("/", "a.test"))
    else:
        answer = proxy.ask(GET)
    assert (answer.status, bytes(answer.body)) == (200, b"b2")
    assert seen(proxy) == [["GET"], ["GET"]]
    assert proxy.counter("retries") == 1


@pytest.mark.parametrize("on, deed, status", [
    ("gateway-error", 500, 500), ("503", 502, 502), ("5xx", 404, 404), ("5xx", "reset", 502),
    ("reset", 500, 500), ("connect-failure", 503, 503), ("none", 503, 503),
    (["5xx", "reset"], "half", 502)])
def test_what_was_not_asked_for(proxied, on, deed, status):
    proxy = proxied([[deed], []], on=on)
    assert proxy.ask(GET).status == status
    assert seen(proxy) == [["GET"], []]
    assert proxy.counter("retries") == 0


@pytest.mark.parametrize("deed, status", [(503, 503), ("reset", 502), ("close", 502)])
def test_a_post_is_never_sent_twice(proxied, deed, status):
    proxy = proxied([[deed], []], on=["5xx", "reset", "timeout"])
    assert proxy.ask(POST).status == status
    assert seen(proxy) == [["POST"], []]


def test_unless_the_service_says_so(proxied):
    proxy = proxied([[503], []], on="5xx", methods="all")
    assert proxy.ask(POST).status == 200
    assert seen(proxy) == [["POST"], ["POST"]]


def test_a_body_that_went_is_not_there_any_more(proxied):
    proxy = proxied([[503], []], on="5xx", methods="all")
    assert proxy.ask(BODY).status == 503
    assert seen(proxy) == [["PUT"], []]


def test_no_answer_in_time(proxied):
    proxy = proxied([["stall"], []], on="timeout", per_try_timeout="200ms")
    assert proxy.ask(GET).status == 200
    assert seen(proxy) == [["GET"], ["GET"]]
    # The last try has no more time than the others.
    proxy.all[1].deeds = ["stall"] * 3
    proxy.all[0].deeds = ["stall"] * 3
    assert proxy.ask(GET).status == 504


def test_one_backend_is_asked_again(proxied):
    proxy = proxied([[503, "reset"]], on=["5xx", "reset"], attempts=3, backoff="10ms")
    assert proxy.ask(GET).status == 200
    assert seen(proxy) == [["GET"] * 3]
    # All tries fail: the answer of the last one is the client's.
    proxy.all[0].deeds = [503, 503, 500]
    assert proxy.ask(GET).status == 500
    assert len(proxy.all[0].seen) == 6


def test_the_budget(proxied):
    proxy = proxied([[503] * 3, [503] * 3], on="5xx", budget=0, budget_min=0)
    assert proxy.ask(GET).status == 503
    assert proxy.counter("retries") == 0
    proxy.config["services"]["web"]["retry"]["budget_min"] = 1
    proxy.daemon.reload(proxy.config)
    for backend in proxy.all:
        backend.deeds, backend.seen = [503], []
    assert proxy.ask(GET).status == 200
    # It is given back at the end: the next one has it again.
    for backend in proxy.all:
        backend.deeds = [503]
    assert proxy.ask(GET).status == 200
    assert proxy.counter("retries") == 4


def test_who_goes_away_while_it_waits(proxied):
    proxy = proxied([[503] * 4], on="5xx", attempts=8, backoff="1h", backoff_max="1h")
    with proxy.connect() as peer:
        peer.send(GET)
        proxy.wait(lambda: proxy.counter("retries") == 2)
    proxy.wait_counter("aborted", 1)
    assert proxy.daemon.ctl_json("backend", "list", "web")["backends"][0]["http"][
        "active_requests"] == 0
    proxy.all[0].deeds = []
    assert proxy.ask(GET).status == 200


def test_connects_that_fail(proxied, free_port):
    proxy = proxied([[], []])
    gone = f"127.0.0.1:{free_port()}"
    proxy.config["pools"]["web"]["backends"][0]["address"] = gone
    proxy.daemon.reload(proxy.config)
    for _ in range(4):
        assert proxy.ask(POST).status == 200  # nothing was sent
    proxy.config["services"]["web"]["retry"] = {"on": "none"}
    proxy.daemon.reload(proxy.config)
    assert sorted(proxy.ask(GET).status for _ in range(4)) == [200, 200, 502, 502]


def test_shown(proxied):
    proxy = proxied([[]], on=["reset", 503], attempts=5, budget=10)
    shown = proxy.counter("retry")
    assert (shown["attempts"], shown["on"], shown["budget_percent"]) == (5, "[reset, 503]", 10)


@pytest.mark.parametrize("retry, text", [
    ({"on": "5x"}, "connect-failure, reset, timeout"), ({"on": ["200"]}, "a status such as 503"),
    ({"attempts": 9}, "1 to 8"), ({"budget": 101}, "0 to 100")])
def test_what_is_refused(proxied, retry, text):
    proxy = proxied([[]])
    proxy.config["services"]["web"]["retry"] = retry
    proxy.daemon.write_config(proxy.config)
    done = proxy.daemon.ctl("config", "check", proxy.daemon.config_path)
    assert done.rc != 0 and text in done.stderr + done.stdout
