# SPDX-License-Identifier: BSD-2-Clause
"""Access logs: a line for each request, that nobody can forge, and for which nobody waits."""
import json
import os
import re
import signal
import subprocess
import threading

import pytest

from h2peer import get, open_h2
from http1 import answer_ok
from lab import TIMEOUT_S, wait_until

LONG = 20


@pytest.fixture
def logged(http_proxy, tmp_path):
    """logged(*serves, access_log={...}, ...) -> Proxy, with .lines(count) of JSON."""
    path = str(tmp_path / "access.log")

    def make(*serves, access_log=None, **kw):
        proxy = http_proxy(*serves, access_log={"target": path, **(access_log or {})}, **kw)
        proxy.log_path = path

        def raw(count):
            wait_until(lambda: os.path.exists(path) and read().count("\n") >= count, LONG,
                       what=lambda: f"{count} lines of:\n{read()}")
            found = read().splitlines()
            assert len(found) == count, found
            return found

        def read():
            with open(path, encoding="utf-8") as f:
                return f.read()
        proxy.raw = raw
        proxy.lines = lambda count: [json.loads(line) for line in raw(count)]
        return proxy
    return make


def ask(proxy, target="/", method="GET", **fields):
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    return proxy.ask(f"{method} {target} HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n",
                     no_body=method == "HEAD")


def test_what_a_line_says(logged):
    proxy = logged()
    proxy.ask("POST /a/b?x=1 HTTP/1.1\r\nHost: a.test\r\nX-Request-Id: r1\r\n"
              "Content-Length: 3\r\n\r\nabc")
    line, = proxy.lines(1)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert 0 <= line.pop("duration_ms") < 10000
    assert line.pop("response_bytes") == len(answer_body())
    assert line == {
        "service": "web", "client": "127.0.0.1", "method": "POST", "host": "a.test",
        "path": "/a/b", "query": "x=1", "protocol": "HTTP/1.1", "tls": None, "request_id": "r1",
        "route": None, "pool": "web", "backend": "b1", "attempts": 1, "status": 200,
        "reason": None, "request_bytes": 3}
    assert proxy.counter("access_lines") == 1 and proxy.counter("access_lost") == 0


def answer_body():
    """Of http1.answer_ok."""
    class Peer:
        sent = b""
        asked = False

        def message(self):
            if self.asked:
                raise EOFError
            self.asked = True

        def send(self, data):
            self.sent += data if isinstance(data, bytes) else data.encode()
    peer = Peer()
    try:
        answer_ok(peer)
    except EOFError:
        pass
    return peer.sent.partition(b"\r\n\r\n")[2]


def test_by_http2(logged):
    proxy = logged()
    with open_h2(proxy) as client:
        client.ask(get("/two", "b.test"))
    line, = proxy.lines(1)
    assert (line["protocol"], line["path"], line["host"], line["status"]) == (
        "HTTP/2", "/two", "b.test", 200)


def test_requests_that_get_no_further(logged):
    """No request, a refused one, one that a route answers, and one without a backend."""
    proxy = logged(backends=["127.0.0.1:1"], routes=[
        {"match": {"host": "no.test"}, "pool": "web"},
        {"match": {"path": {"prefix": "/here"}}, "respond": {"status": 418, "body": "tea"}}])
    proxy.ask("GET / HTTP/1.1\nHost: a.test\r\n\r\n")
    proxy.ask("GET /x HTTP/1.1\r\n\r\n")
    ask(proxy, "/here")
    ask(proxy, "/other")
    lines = proxy.lines(4)
    assert [line["status"] for line in lines] == [400, 400, 418, 502]
    assert "line feed" in lines[0]["reason"] and lines[0]["method"] is None
    assert lines[1]["reason"] == "no Host header field"
    assert (lines[2]["route"], lines[2]["response_bytes"], lines[2]["pool"]) == (1, 3, None)
    assert lines[3]["reason"] == "no backend could be connected to"
    assert (lines[3]["backend"], lines[3]["attempts"]) == ("b1", 1)


def test_requests_that_are_turned_away(logged):
    proxy = logged(rate_limit="one", start=False)
    proxy.config["rate_limits"] = {"one": {"rate": "1/1h"}}
    proxy.daemon.write_config(proxy.config)
    proxy.daemon.start()
    assert [ask(proxy, f"/{i}").status for i in range(3)] == [200, 429, 429]
    lines = proxy.lines(3)
    assert [(line["path"], line["status"], line["reason"]) for line in lines] == [
        ("/0", 200, None), ("/1", 429, "too many requests"), ("/2", 429, "too many requests")]


@pytest.mark.parametrize("trusted", [[], ["127.0.0.0/8"]])
@pytest.mark.parametrize("request_id", ["off", "on"])
@pytest.mark.parametrize("version", [1, 2])
def test_what_the_proxy_answers_has_one_name(logged, version, request_id, trusted):
    """The client is told the name that the line has, and it is no other request's."""
    proxy = logged(backends=["127.0.0.1:1"], request_id=request_id, limits={"body": 5},
                   trusted_proxies=trusted, start=False,
                   access_log={"headers": ["user-agent"]}, routes=[
        {"match": {"path": {"exact": "/down"}}, "pool": "web"},
        {"match": {"path": {"exact": "/here"}}, "respond": {"status": 418, "body": "tea"}},
        {"match": {"path": {"exact": "/big"}}, "pool": "web", "rewrite": {"template": "/other"}},
        {"match": {"path": {"exact": "/late"}}, "pool": "web", "rate_limit": "one"}])
    del proxy.config["services"]["web"]["pool"]
    proxy.config["rate_limits"] = {"one": {"rate": "1/1h"}}
    proxy.daemon.write_config(proxy.config)
    proxy.daemon.start()
    asked = [("/down", 502), ("/here", 418), ("/big", 413), ("/late", 502), ("/late", 429),
             ("/none", 404), ("/%00", 400)]
    told = []
    for path, status in asked:
        body = b"123456" if path == "/big" else b""
        if version == 1:
            reply = proxy.ask(f"POST {path} HTTP/1.1\r\nHost: a\r\nUser-Agent: me\r\n"
                              f"X-Request-Id: mine\r\nContent-Length: {len(body)}\r\n\r\n"
                              f"{body.decode()}")
        else:
            with open_h2(proxy) as client:
                reply = client.ask(get(path, "a", "POST", user_agent="me", x_request_id="mine",
                                       content_length=str(len(body))), body)
        assert reply.status == status, path
        told.append(reply.get("X-Request-Id"))
    lines = proxy.lines(len(asked))
    assert [(line["path"], line["status"], line["request_id"]) for line in lines] == [
        (path, status, name) for (path, status), name in zip(asked, told)]
    assert {line["headers"]["user-agent"] for line in lines} == {"me"}
    assert set(told) == {"mine"} if trusted else len(set(told) - {"mine"}) == len(asked)
    assert [line["route"] for line in lines[:5]] == [0, 1, None, 3, 3]


def test_the_backend_is_the_one_that_answered(logged):
    """Not the one that was asked last."""
    go, asked = threading.Event(), []

    def serve(name):
        def first_comes(peer):
            peer.message()
            asked.append(name)
            if asked[0] != name:
                assert peer.is_closed()
                return
            go.wait(TIMEOUT_S)
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        return first_comes
    proxy = logged(serve("b1"), serve("b2"), hedge={"after": "50ms"})
    with proxy.connect() as client:
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: len(asked) == 2)
        go.set()
        assert client.message().status == 200
    line, = proxy.lines(1)
    assert (line["backend"], line["attempts"]) == (asked[0], 2)


def test_a_client_that_goes_away(logged):
    asked, over = threading.Event(), threading.Event()

    def hold(peer):
        peer.message()
        asked.set()
        assert over.wait(LONG)
    proxy = logged(hold)
    client = proxy.connect()
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
    assert asked.wait(LONG)
    client.close()
    line, = proxy.lines(1)
    over.set()
    assert (line["status"], line["reason"]) == (499, "client went away")


def test_a_response_that_is_cut_short(logged):
    def cut(peer):
        peer.message()
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    proxy = logged(cut)
    with proxy.connect() as client:
        client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        client.to_end()
    line, = proxy.lines(1)
    assert (line["status"], line["response_bytes"]) == (200, 4)
    assert line["reason"] == "backend cut its response short"


def test_secrets_are_left_out(logged):
    proxy = logged(access_log={"headers": ["Authorization", "Cookie", "X-Key", "User-Agent"],
                               "redact": ["sesam", "x-key"]})
    ask(proxy, "/?a=1&sesam=open1&SESAM=open2&%73esam=open3&token=seen&sesam;sesam=open4",
        Authorization="Bearer open5", Cookie="open6", X_Key="open7", User_Agent="me")
    line = proxy.raw(1)[0]
    assert "open" not in line
    line = json.loads(line)
    assert line["query"] == ("a=1&sesam=[redacted]&SESAM=[redacted]&%73esam=[redacted]&token=seen"
                             "&sesam;sesam=[redacted]")
    assert line["headers"] == {"authorization": "[redacted]", "cookie": "[redacted]",
                               "x-key": "[redacted]", "user-agent": "me"}


def test_common_secrets_without_a_word(logged):
    proxy = logged()
    ask(proxy, "/?access_token=hidden&page=2&Password=hidden")
    assert proxy.lines(1)[0]["query"] == "access_token=[redacted]&page=2&Password=[redacted]"


@pytest.mark.parametrize("value", ['"', "\\", '","status":200,"x":"', "\xff\xfe", "\t",
                                   "\xe2\x80\xa8"])
def test_no_value_ends_its_field(logged, value):
    proxy = logged(access_log={"headers": ["x-a"]})
    ask(proxy, X_A="a" + value + "b")
    line = proxy.raw(1)[0]
    assert line.isascii() and line.isprintable()
    line = json.loads(line)
    assert line["headers"]["x-a"] == "a" + value + "b" and line["status"] == 200


def test_the_longest_line_is_not_lost(logged):
    names = [f"x-{i}" for i in range(8)]
    proxy = logged(access_log={"headers": names})
    ask(proxy, "/" + "%22" * 2000, **{name.replace("-", "_"): "\xff" * 1000 for name in names})
    line, = proxy.lines(1)
    assert line["headers"] == {name: "\xff" * 512 for name in names}
    assert len(line["path"]) == 4096
    assert proxy.counter("access_lost") == 0


def test_a_template(logged):
    proxy = logged(access_log={"format": '{client} "{method} {path}" {status} {{{backend}}} '
                                         '"{header.User-Agent}" {query}'})
    ask(proxy, "/x", User_Agent='a" 500 \\')
    assert proxy.raw(1) == [r'127.0.0.1 "GET /x" 200 {b1} "a\x22 500 \x5c" -']


@pytest.mark.parametrize("log, problem", [
    ({"format": "{clint}"}, "no field of that name"),
    ({"format": "a {client"}, "not closed"),
    ({"format": "a } b"}, "was not opened"),
    ({"target": "relative/path"}, "an absolute path, stdout, syslog or journald"),
    ({"sample": "0%"}, "a percentage from"),
    ({"sample": "101%"}, "a percentage from"),
    ({"sample": "1e1%"}, "a percentage from"),
    ({"sample": 5}, "a percentage from"),
    ({"headers": [f"h{i}" for i in range(9)]}, "at most 8 names"),
    ({"headers": ["a b"]}, "at most 8 names"),
    ({"target": None}, "target"),
])
def test_what_is_no_access_log(http_proxy, log, problem):
    proxy = http_proxy(start=False, access_log={"target": "/x", **log})
    if log.get("target", 1) is None:
        del proxy.config["services"]["web"]["access_log"]["target"]
        proxy.config["services"]["web"]["access_log"]["format"] = "json"
        proxy.daemon.write_config(proxy.config)
    check = subprocess.run([proxy.daemon.command()[0], "-c", proxy.daemon.config_path, "--check"],
                           capture_output=True, text=True)
    assert check.returncode == 1 and problem in check.stderr, check.stderr
    assert re.match(r"\S+:\d+:\d+: error", check.stderr)


def test_a_share_of_the_requests(logged):
    proxy = logged(access_log={"sample": "25%"})
    with proxy.connect() as client:
        for _ in range(400):
            client.ask("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
    assert 40 < proxy.counter("access_lines") < 180


@pytest.mark.parametrize("errors", ["always", "sampled"])
def test_errors_are_written_whatever_is_drawn(logged, errors):
    def fail(peer):
        while True:
            message = peer.message()
            status = "500 No" if "bad" in message.start else "200 OK"
            peer.send(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n")
    proxy = logged(fail, access_log={"sample": "0.01%", "errors": errors})
    with proxy.connect() as client:
        for i in range(30):
            for target in ("good", "bad"):
                client.ask(f"GET /{target} HTTP/1.1\r\nHost: a.test\r\n\r\n")
    if errors == "sampled":
        assert proxy.counter("access_lines") < 10
        return
    assert 30 <= proxy.counter("access_lines") < 35
    assert "30 lines, 0 lost" in proxy.daemon.ctl("service", "show", "web").stdout or \
        proxy.counter("access_lines") > 30
    assert sum(line["path"] == "/bad" for line in proxy.lines(
        proxy.counter("access_lines"))) == 30


def test_a_reload_moves_it(logged, tmp_path):
    proxy = logged()
    ask(proxy, "/1")
    proxy.lines(1)
    other = tmp_path / "other.log"
    proxy.config["services"]["web"]["access_log"]["target"] = str(other)
    proxy.daemon.reload(proxy.config)
    def open_files():
        where = f"/proc/{proxy.daemon.proc.pid}/fd"
        return [os.readlink(f"{where}/{fd}") for fd in os.listdir(where)]
    wait_until(lambda: proxy.log_path not in open_files(), LONG)
    ask(proxy, "/2")
    wait_until(lambda: other.exists() and other.read_text().count("\n") == 1, LONG)
    del proxy.config["services"]["web"]["access_log"]
    proxy.daemon.reload(proxy.config)
    ask(proxy, "/3")
    assert proxy.daemon.terminate() == 0
    assert json.loads(other.read_text())["path"] == "/2"
    assert json.loads(open(proxy.log_path, encoding="utf-8").read())["path"] == "/1"


@pytest.mark.parametrize("by", ["signal", "command"])
def test_a_file_that_was_moved_is_opened_again(logged, by):
    proxy = logged()
    ask(proxy, "/1")
    proxy.lines(1)
    os.rename(proxy.log_path, proxy.log_path + ".1")
    if by == "signal":
        proxy.daemon.signal(signal.SIGUSR1)
    else:
        assert proxy.daemon.ctl("log", "reopen").rc == 0

    def reopened():
        ask(proxy, "/2")
        return os.path.exists(proxy.log_path)
    wait_until(reopened, LONG)
    assert os.stat(proxy.log_path).st_mode & 0o777 == 0o640
    with open(proxy.log_path + ".1", encoding="utf-8") as f:
        assert '"path":"/1"' in f.readline()


def test_a_reader_that_is_slow_holds_nobody_up(logged, tmp_path):
    """A pipe that nobody reads: what does not fit is lost and counted, requests are served."""
    pipe = str(tmp_path / "access.log")
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    proxy = logged(access_log={"headers": ["x-a"]})
    request = f"GET / HTTP/1.1\r\nHost: a.test\r\nX-A: {'a' * 500}\r\n\r\n"
    with proxy.connect() as client:
        def more():
            for _ in range(100):
                assert client.ask(request).status == 200
            return proxy.counter("access_lost") > 0
        wait_until(more, 60)
    os.close(reader)
    assert proxy.daemon.terminate() == 0


def test_a_file_that_cannot_be_written_is_told(logged, tmp_path):
    os.mkdir(tmp_path / "access.log")
    proxy = logged()
    assert ask(proxy).status == 200
    wait_until(lambda: "log: lines of an access log are lost" in proxy.daemon.log, LONG)


def test_nothing_is_left_behind_at_the_end(logged):
    proxy = logged()
    with proxy.connect() as client:
        for i in range(500):
            client.ask(f"GET /{i} HTTP/1.1\r\nHost: a.test\r\n\r\n")
    assert proxy.daemon.terminate() == 0
    assert [line["path"] for line in proxy.lines(500)] == [f"/{i}" for i in range(500)]


def test_on_standard_output(http_proxy):
    proxy = http_proxy(access_log={"target": "stdout"})
    ask(proxy, "/out")
    wait_until(lambda: '"path":"/out"' in proxy.daemon.log, LONG)
