# SPDX-License-Identifier: BSD-2-Clause
"""Requests that are tried again: after what, how often, and which never are."""
import collections
import threading

import pytest

from h2peer import get, h2_serve, open_h2
from http1 import OK, Script, answer_ok
from lab import TIMEOUT_S, wait_until
from test_l7_backends import GET, POST, backend_row, refusing

BUSY = "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy"
PUT = POST.replace("POST", "PUT")
ALL = ["safe", "reset", "5xx"]
SOON = {"base": "1ms", "max": "2ms"}


class Log:
    """Backends that keep what they were asked."""

    def __init__(self):
        self.seen, self.lock = [], threading.Lock()

    def script(self, name, behave):
        """behave(peer, message) answers, or does not."""
        def serve(peer):
            while True:
                message = peer.message()
                with self.lock:
                    self.seen.append((name, message))
                behave(peer, message)
        return Script(serve)

    def count(self, name=None):
        return sum(name in (None, who) for who, _ in self.seen)


@pytest.fixture
def log():
    return Log()


def say(text):
    return lambda peer, message: peer.send(text)


def reset(peer, _message):
    peer.reset()


def garbage(peer, _message):
    peer.send("HTTP/1.1 what is this\r\n\r\n")


def stall(peer, _message):
    assert peer.is_closed()
    raise EOFError


def answer(peer, message):
    peer.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(message.body)}\r\n\r\n".encode() +
              message.body)


@pytest.mark.parametrize("addr", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("behave, on", [
    (say(BUSY), ["5xx"]), (say(BUSY), ["gateway-error"]), (say(BUSY), [503]),
    (say(BUSY), ["503", "reset"]), (reset, ["reset"]), (garbage, ["reset"]),
    (say("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"), ["404"]),
])
def test_another_backend_answers_instead(http_proxy, log, behave, on, addr):
    proxy = http_proxy(backends=[log.script("bad", behave), log.script("good", answer)],
                       addr=addr, retry={"on": on, "backoff": SOON})
    with proxy.connect() as client:
        for _ in range(6):
            assert client.ask(GET).status == 200
    assert log.count("good") == 6 and log.count("bad") == proxy.counter("retries") > 0


@pytest.mark.parametrize("behave, on, status", [
    (say(BUSY), ["safe"], 503), (say(BUSY), ["reset", "502"], 503), (reset, ["5xx"], 502),
    (say(BUSY.replace("503", "500")), ["gateway-error"], 500), (reset, "none", 502),
])
def test_what_is_not_asked_for_is_not_done(http_proxy, log, behave, on, status):
    proxy = http_proxy(backends=[log.script("bad", behave)] * 1, retry={"on": on})
    with proxy.connect() as client:
        assert client.ask(GET).status == status
    assert (log.count(), proxy.counter("retries")) == (1, 0)


def test_the_last_response_is_passed_on(http_proxy, log):
    """As often as it is said, then what came of it; kept connections are used again."""
    script = log.script("bad", say(BUSY))
    proxy = http_proxy(backends=[script], retry={"attempts": 4, "on": ["5xx"], "backoff": SOON})
    with proxy.connect() as client:
        for i in range(1, 4):
            reply = client.ask(GET)
            assert (reply.status, reply.body) == (503, b"busy")
            assert log.count() == 4 * i
    assert script.connections == 1
    assert proxy.counter("retries") == 9


def test_a_refused_connection_is_tried_once_with_each(http_proxy):
    proxy = http_proxy(backends=[refusing(), refusing()], retry={"attempts": 8, "on": ALL})
    with proxy.connect() as client:
        assert client.ask(GET).status == 502
    assert [backend_row(proxy, name)["connect_failures"] for name in ("b1", "b2")] == [1, 1]
    assert proxy.counter("failed_connect") == 1
    assert "phase=connect" in proxy.daemon.log and "attempt=2/8" in proxy.daemon.log


@pytest.mark.parametrize("behave", [say(BUSY), reset, garbage, stall])
@pytest.mark.parametrize("text", [
    POST, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    "PATCH / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
])
def test_a_post_is_never_sent_twice(http_proxy, log, behave, text):
    proxy = http_proxy(
        backends=[refusing(), log.script("one", behave), log.script("two", behave)],
        retry={"attempts": 8, "on": [*ALL, "timeout"], "per_try_timeout": "100ms"})
    for i in range(1, 7):
        with proxy.connect() as client:
            assert client.ask(text).status >= 500
            assert log.count() == i


@pytest.mark.parametrize("behave", [say(BUSY), reset, stall])
def test_unless_that_is_allowed(http_proxy, log, behave):
    proxy = http_proxy(
        backends=[log.script("bad", behave), log.script("good", answer)],
        retry={"on": [*ALL, "timeout"], "per_try_timeout": "100ms", "non_idempotent": "on"})
    with proxy.connect() as client:
        for _ in range(4):
            reply = client.ask(POST)
            assert (reply.status, reply.body) == (200, b"hi")
    assert {who for who, _ in log.seen} == {"bad", "good"}
    assert all(message.body == b"hi" for _, message in log.seen)


CHUNKED = ("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", True)
PLAIN = ("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", False)


@pytest.mark.parametrize("head, chunked", [CHUNKED, PLAIN])
@pytest.mark.parametrize("size, limit, status", [
    (10, "64KiB", 200), (30000, "64KiB", 200), (65536, "64KiB", 200), (200000, "1MiB", 200),
    (65537, "64KiB", 503), (500000, "64KiB", 503), (10, "0", 503)])
def test_a_body_is_sent_again_whole(http_proxy, log, head, chunked, size, limit, status):
    body = bytes(i * 7 % 251 for i in range(size))
    proxy = http_proxy(backends=[log.script("bad", say(BUSY)), log.script("good", answer)],
                       retry={"on": ALL, "backoff": SOON, "body": limit})
    text = head if chunked else head % size
    data = body
    if chunked:
        parts = [body[i:i + 999] for i in range(0, size, 999)]
        data = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    statuses = set()
    with proxy.connect() as client:
        for _ in range(2):  # each backend is the first one once
            reply = client.ask(text.encode() + data)
            statuses.add(reply.status)
            assert reply.status == 503 or reply.body == body
        # What was kept is gone: the next request is found behind it.
        assert client.ask(GET).status == 200
    assert statuses == ({200} if status == 200 else {200, 503})
    assert {m.body for _, m in log.seen if m.start.startswith("PUT")} == {body}


def test_a_body_that_is_still_coming_follows(http_proxy, log):
    """The backend refuses before it has seen all of the request."""
    refused = threading.Event()

    def early(peer):
        peer.head()
        peer.send(BUSY)
        refused.set()
        peer.to_end()
    proxy = http_proxy(backends=[Script(early), log.script("good", answer)],
                       retry={"on": ALL, "backoff": SOON})
    with proxy.connect() as client:
        for _ in range(2):
            client.send(PUT.replace("Content-Length: 2", "Content-Length: 20") + "for you")
            if not refused.wait(1) or not log.count():
                wait_until(lambda: log.count() or refused.is_set())
            client.send("x" * 11)
            assert client.message().body == b"hi" + b"for you" + b"x" * 11


def test_each_try_has_its_time(http_proxy, log):
    proxy = http_proxy(
        backends=[log.script("bad", stall), log.script("good", answer)],
        retry={"on": ["timeout"], "per_try_timeout": "100ms", "backoff": SOON})
    with proxy.connect() as client:
        for _ in range(4):
            assert client.ask(GET).status == 200
    assert log.count("bad") == 2 == backend_row(proxy, "b1")["timeouts"]


def test_and_all_of_them_have_one(http_proxy, log):
    proxy = http_proxy(
        backends=[log.script("one", stall), log.script("two", stall)],
        timeouts={"response_header": "500ms"},
        retry={"attempts": 8, "on": ["timeout"], "per_try_timeout": "200ms", "backoff": SOON})
    with proxy.connect() as client:
        assert client.ask(GET).status == 504
    assert 1 < log.count() <= 3
    assert proxy.counter("failed_timeout") == 1


def test_a_client_that_leaves_ends_the_tries(http_proxy, log):
    proxy = http_proxy(backends=[log.script("bad", say(BUSY))],
                       retry={"attempts": 8, "on": ["5xx"],
                              "backoff": {"base": "1h", "max": "1h"}})
    client = proxy.connect()
    client.send(GET)
    wait_until(lambda: log.count() == 1)
    client.close()
    proxy.wait_counter("aborted", 1)
    assert backend_row(proxy, "b1")["failures"] == 0
    assert proxy.daemon.ctl_json("pool", "show", "web")["retries"] == 0


def test_a_budget(http_proxy, log):
    """What is over it gets the response that came."""
    held, free = [], threading.Event()

    def hold(peer, _message):
        if len(held) < 3:
            held.append(peer)
            free.wait(TIMEOUT_S)
        peer.send(BUSY)
    proxy = http_proxy(
        backends=[log.script("bad", hold)],
        retry={"attempts": 2, "on": ["5xx"], "budget": {"percent": 0, "min": 1},
               "backoff": {"base": "1h", "max": "1h"}})
    waiting = [proxy.connect() for _ in range(3)]
    for client in waiting:
        client.send(GET)
    wait_until(lambda: len(held) == 3)
    free.set()
    wait_until(lambda: proxy.counter("retries_withheld") == 2)
    pool = proxy.daemon.ctl_json("pool", "show", "web")
    assert (pool["retries"], pool["refused"]["budget"]) == (1, 2)
    for client in waiting:
        client.close()
    wait_until(lambda: proxy.daemon.ctl_json("pool", "show", "web")["retries"] == 0)


def test_routes_say_it_for_themselves(http_proxy, log):
    proxy = http_proxy(
        backends=[log.script("bad", say(BUSY))],
        retry={"attempts": 2, "on": ["5xx"], "backoff": SOON},
        routes=[{"name": "eager", "match": {"path": {"prefix": "/eager"}}, "pool": "web",
                 "retry": {"attempts": 5, "on": ["503"], "backoff": dict(SOON)}},
                {"match": {"path": {"prefix": "/never"}}, "pool": "web", "retry": {}}])
    with proxy.connect() as client:
        for path, count in (("/", 2), ("/eager", 5), ("/never", 1)):
            before = log.count()
            assert client.ask(GET.replace("/", path, 1)).status == 503
            assert log.count() - before == count


def test_reload_changes_it(http_proxy, log):
    proxy = http_proxy(backends=[log.script("bad", say(BUSY))])
    with proxy.connect() as client:
        assert client.ask(GET).status == 503 and log.count() == 1
        proxy.config["services"]["web"]["retry"] = {"on": ["5xx"], "backoff": SOON}
        proxy.daemon.reload(proxy.config)
        assert client.ask(GET).status == 503 and log.count() == 4


# ---- HTTP/2 ----------------------------------------------------------------------------------

H2 = {"protocol": "http2"}


def h2_behave(log, name, behave):
    def respond(server, request):
        log.seen.append((name, request))
        behave(server, request)
    return Script(h2_serve(respond))


def h2_ok(server, request):
    server.reply(request, body=bytes(request.body) or b"hi")


def h2_status(status):
    return lambda server, request: server.reply(request, status, b"busy")


def h2_reset(code):
    def behave(server, request):
        server.conn.reset_stream(request.stream, code)
        server.flush()
    return behave


def grpc_says(status):
    def behave(server, request):
        server.reply(request, content_type="application/grpc", grpc_status=str(status))
    return behave


@pytest.mark.parametrize("behave, on", [
    (h2_status(503), "5xx"), (h2_reset(2), "reset"), (h2_reset(7), "refused-stream"),
    (grpc_says(14), "grpc-unavailable"), (grpc_says(4), "grpc-deadline-exceeded")])
def test_http2_on_both_sides(http_proxy, log, behave, on):
    proxy = http_proxy(backends=[h2_behave(log, "bad", behave), h2_behave(log, "good", h2_ok)],
                       pool=H2, retry={"on": [on], "backoff": SOON, "non_idempotent": "on"})
    body = bytes(range(256)) * 100
    with open_h2(proxy) as client:
        for _ in range(4):
            reply = client.ask(get(method="POST"), body)
            assert (reply.status, bytes(reply.body)) == (200, body)
    assert log.count("bad") >= 2
    assert all(bytes(request.body) == body for _, request in log.seen)


def test_a_status_of_grpc_that_is_not_asked_for(http_proxy, log):
    proxy = http_proxy(
        backends=[h2_behave(log, "bad", grpc_says(5))], pool=H2,
        retry={"on": ["grpc-unavailable"], "non_idempotent": "on"})
    with open_h2(proxy) as client:
        assert client.ask(get()).get("grpc-status") == "5"
    assert log.count() == 1


@pytest.mark.parametrize("behave", [h2_status(503), h2_reset(2)])
def test_http2_never_sends_a_post_twice(http_proxy, log, behave):
    proxy = http_proxy(
        backends=[h2_behave(log, "one", behave), h2_behave(log, "two", behave)],
        pool=H2, retry={"attempts": 8, "on": ALL})
    with open_h2(proxy) as client:
        for i in range(1, 5):
            assert client.ask(get(method="POST"), b"hi").status >= 500
            assert log.count() == i


def test_a_large_body_by_http2_does_not_stall(http_proxy, log):
    proxy = http_proxy(backends=[log.script("good", answer)],
                       retry={"on": ALL, "body": "16MiB"})
    body = b"x" * 1000000
    with open_h2(proxy) as client:
        assert bytes(client.ask(get(method="PUT"), body).body) == body


# ---- hedging ---------------------------------------------------------------------------------

HEDGE = {"after": "100ms"}


@pytest.mark.parametrize("pool", [None, H2])
def test_the_first_good_response_wins(http_proxy, log, pool):
    late = []

    def never(server, request):
        late.append((server, request))
    if pool:
        scripts = [h2_behave(log, "slow", never), h2_behave(log, "fast", h2_ok)]
    else:
        scripts = [log.script("slow", stall), log.script("fast", answer_hi)]
    proxy = http_proxy(backends=scripts, pool=pool, hedge=HEDGE)
    with proxy.connect() as client:
        for _ in range(4):
            reply = client.ask(GET)
            assert (reply.status, reply.body) == (200, b"hi")
    assert proxy.counter("hedges") == proxy.counter("hedges_won") == log.count("slow") == 2
    assert backend_row(proxy, "b1")["failures"] == 0
    wait_until(lambda: backend_row(proxy, "b1")["active_requests"] == 0)
    assert backend_row(proxy, "b2")["active_requests"] == 0


def answer_hi(peer, _message):
    peer.send(OK)


def test_a_bad_second_response_is_not_taken(http_proxy, log):
    go = threading.Event()

    def slow(peer, _message):
        go.wait(TIMEOUT_S)
        peer.send(OK)
    proxy = http_proxy(backends=[log.script("slow", slow), log.script("bad", say(BUSY))],
                       hedge=HEDGE)
    with proxy.connect() as client:
        client.send(GET)
        wait_until(lambda: log.count() == 2)
        go.set()
        assert client.message().status == 200
    assert (proxy.counter("hedges"), proxy.counter("hedges_won")) == (1, 0)


def test_the_second_goes_on_where_the_first_fails(http_proxy, log):
    second, go = threading.Event(), threading.Event()

    def die(peer, _message):
        second.wait(TIMEOUT_S)
        peer.reset()

    def slow(peer, _message):
        second.set()
        go.wait(TIMEOUT_S)
        peer.send(OK)
    proxy = http_proxy(backends=[log.script("dying", die), log.script("slow", slow)],
                       hedge=HEDGE)
    with proxy.connect() as client:
        client.send(GET)
        wait_until(lambda: backend_row(proxy, "b1")["failures"] == 1)
        go.set()
        assert client.message().status == 200
    assert proxy.counter("hedges") == 1


def test_posts_are_not_hedged(http_proxy, log):
    go = threading.Event()

    def slow(peer, _message):
        go.wait(0.5)
        peer.send(OK)
    proxy = http_proxy(backends=[log.script("one", slow), log.script("two", slow)], hedge=HEDGE)
    with proxy.connect() as client:
        assert client.ask(POST).status == 200
    assert (log.count(), proxy.counter("hedges")) == (1, 0)


def test_a_client_leaves_both(http_proxy, log):
    proxy = http_proxy(backends=[log.script("one", stall), log.script("two", stall)],
                       hedge=HEDGE)
    client = proxy.connect()
    client.send(GET)
    wait_until(lambda: log.count() == 2)
    client.close()
    for name in ("b1", "b2"):
        wait_until(lambda n=name: backend_row(proxy, n)["active_requests"] == 0)
        assert backend_row(proxy, name)["failures"] == 0
    assert proxy.daemon.ctl_json("pool", "show", "web")["retries"] == 0


def test_a_chain_of_requests_over_bad_backends(http_proxy, log):
    """Everything at once: each request is answered, and those behind it are found."""
    counts = collections.Counter()

    def moody(peer, message):
        counts["n"] += 1
        [answer, reset, say(BUSY), garbage, answer][counts["n"] % 5](peer, message)
    proxy = http_proxy(backends=[log.script(str(i), moody) for i in range(3)],
                       retry={"attempts": 8, "on": ALL, "backoff": SOON})
    with proxy.connect() as client:
        for _ in range(20):
            client.send(PUT + GET + PUT)
            assert [client.message().status for _ in range(3)] == [200] * 3


def test_plain_backends_are_spoken_to_as_before(http_proxy):
    proxy = http_proxy(answer_ok, retry={"on": ALL}, hedge=HEDGE)
    with proxy.connect() as client:
        assert [client.ask(text).status for text in (GET, POST, PUT)] == [200] * 3
    assert proxy.counter("retries") == proxy.counter("hedges") == 0
