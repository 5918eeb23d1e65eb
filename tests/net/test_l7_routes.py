# SPDX-License-Identifier: BSD-2-Clause
"""Requests by routes: pools, shares, rewrites, changed headers, answers without a backend."""
import collections
import re
import time

import pytest

from admin_http import request
from h2peer import get, open_h2
from http1 import CONTROLLED, Script


def who(name, seen=None):
    """A backend that says its name, and keeps what it was asked."""
    def serve(peer):
        while True:
            message = peer.message()
            if seen is not None:
                seen.append(message)
            peer.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(name)}\r\nX-Old: 1\r\n\r\n"
                      + ("" if message.start.startswith("HEAD") else name))
    return serve


@pytest.fixture
def routed(http_proxy):
    """routed(routes, pools={name: serve}, ...) -> Proxy; its own pool says "web"."""
    scripts = []

    def make(routes, pools=None, seen=None, rates=None, start=True, **kw):
        proxy = http_proxy(who("web", seen), start=False, routes=routes, **kw)
        for name, serve in (pools or {}).items():
            script = Script(serve)
            scripts.append(script)
            proxy.config["pools"][name] = {
                **CONTROLLED, "backends": [{"name": "b1", "address": script.target}]}
        if rates:
            proxy.config["rate_limits"] = rates
        if start:
            proxy.daemon.write_config(proxy.config)
            proxy.daemon.start()
        return proxy
    yield make
    for script in scripts:
        script.close()
    assert not [error for script in scripts for error in script.errors]


def ask(proxy, path="/", version=1, method="GET", host="a.test", **fields):
    if version == 2:
        with open_h2(proxy) as client:
            return client.ask(get(path, host, method, **fields))
    lines = "".join(f"{k.replace('_', '-')}: {v}\r\n" for k, v in fields.items())
    return proxy.ask(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n",
                     no_body=method == "HEAD")


BOTH = pytest.mark.parametrize("version", [1, 2])


@BOTH
def test_the_first_that_fits(routed, version):
    proxy = routed([
        {"match": {"host": "api.test", "path": {"prefix": "/v2"}}, "pool": "one"},
        {"match": {"host": "*.test", "header": {"x-gray": "yes"}}, "pool": "two"},
        {"match": {"expr": 'method == "PUT" || query["q"] == "a b"'}, "pool": "two"},
    ], pools={"one": who("one"), "two": who("two")})

    def body(*args, **kw):
        return bytes(ask(proxy, *args, version=version, **kw).body)
    assert body("/v2/x", host="API.test:80") == b"one"
    assert body("/v20", host="api.test") == b"web"
    assert body("/v2", host="api.test", x_gray="yes") == b"one"
    assert body("/", host="x.y.test", x_gray="yes") == b"two"
    assert body("/", host="other", x_gray="yes") == b"web"
    assert body("/?q=a+b", host="other") == b"two"
    assert body("/?q=ab", host="other") == b"web"


@BOTH
def test_rewrites_and_header_fields(routed, version):
    seen = []
    proxy = routed([{
        "match": {"path": {"template": "/vpc/{region}/nets/{id:int}"}}, "pool": "one",
        "rewrite": {"template": "/nets/${id}"},
        "request_headers": {"set": {"x-region": "${region}", "user-agent": "shunt"},
                            "add": {"x-add": "${header.x-in}"}, "remove": ["x-gone"]},
        "response_headers": {"set": {"x-old": "2", "x-id": "${id}"}, "add": {"vary": "Origin"}},
    }], pools={"one": who("one", seen)})
    reply = ask(proxy, "/vpc/eu%2Dwest/nets/42?a=%2F", version, user_agent="curl", x_gone="1",
                x_in="in", x_add="old")
    assert (reply.get("X-Old"), reply.get("X-Id"), reply.get("Vary")) == ("2", "42", "Origin")
    message = seen[0]
    assert message.start == "GET /nets/42?a=%2F HTTP/1.1"
    assert (message.get("X-Region"), message.get("User-Agent")) == ("eu-west", "shunt")
    assert message.all("X-Add") == ["old", "in"]
    assert message.get("X-Gone") is None


@BOTH
def test_answers_without_a_backend(routed, version):
    seen = []
    proxy = routed([
        {"match": {"path": {"regex": "/old/(.*)"}},
         "redirect": {"to": "https://${host}/new/${1}", "status": 308}},
        {"match": {"path": {"exact": "/gone"}},
         "respond": {"status": 410, "body": "no more\n", "content_type": "text/x"},
         "response_headers": {"set": {"x-why": "${path}"}}},
        {"match": {"path": {"exact": "/empty"}}, "respond": {"status": 204}},
    ], seen=seen)
    reply = ask(proxy, "/old/a/b", version)
    assert (reply.status, reply.get("Location")) == (308, "https://a.test/new/a/b")
    for method in ("GET", "HEAD"):
        reply = ask(proxy, "/gone", version, method)
        assert (reply.status, reply.get("Content-Type"), reply.get("X-Why")) == \
            (410, "text/x", "/gone")
        assert (reply.get("Content-Length"), bytes(reply.body)) == \
            ("8", b"" if method == "HEAD" else b"no more\n")
    reply = ask(proxy, "/empty", version)
    assert (reply.status, reply.get("Content-Length")) == (204, None)
    assert not seen
    assert (proxy.counter("requests"), proxy.counter("responses_4xx")) == (4, 2)


def test_a_connection_goes_on_behind_an_answer(routed):
    proxy = routed([{"match": {"path": {"exact": "/r"}}, "respond": {"status": 200, "body": "x"}}])
    with proxy.connect() as client:
        for _ in range(3):
            assert client.ask("GET /r HTTP/1.1\r\nHost: a\r\n\r\n").body == b"x"
            assert client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").body == b"web"
        # Many at once, the last one with a body that nobody reads.
        client.send("GET /r HTTP/1.1\r\nHost: a\r\n\r\n" * 50 +
                    "POST /r HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
        for _ in range(50):
            assert client.message().body == b"x"
        last = client.message()
        assert (last.body, last.get("Connection")) == (b"x", "close")
        assert client.is_closed()


def test_shares(routed):
    proxy = routed([
        {"match": {"path": {"prefix": "/sticky"}}, "split_by": 'cookie["id"]',
         "split": [{"pool": "one", "weight": 3}, {"pool": "two", "weight": 1}]},
        {"match": {"path": {"prefix": "/chance"}},
         "split": [{"pool": "one", "weight": 3}, {"pool": "two", "weight": 1}]},
    ], pools={"one": who("one"), "two": who("two")})
    with proxy.connect() as client:
        def share(path, cookie):
            return client.ask(f"GET {path} HTTP/1.1\r\nHost: a\r\nCookie: id={cookie}\r\n\r\n").body
        sticky = collections.Counter(share("/sticky", i) for i in range(800))
        chance = collections.Counter(share("/chance", 1) for i in range(800))
        # Expected 600 of 800, standard deviation 12.
        assert 530 < sticky[b"one"] < 670 and 530 < chance[b"one"] < 670, (sticky, chance)
        assert [share("/sticky", i) for i in range(20)] == [share("/sticky", i) for i in range(20)]


def test_a_wait_of_its_own(routed):
    def silent(peer):
        peer.message()
        peer.to_end()
    proxy = routed([{"match": {"path": {"exact": "/slow"}}, "pool": "one", "timeout": "300ms"}],
                   pools={"one": silent})
    assert ask(proxy, "/slow").status == 504


@BOTH
@pytest.mark.parametrize("value, path", [
    ("fine", "/x/fine"), ("a%2Fb", "/x/a%2Fb"), ("a%0d%0ab", "/x/a%0D%0Ab"), ("..", None),
    ("%2e%2e", None)])
def test_what_a_template_gives_must_have_a_place(routed, version, value, path):
    """Escaped for it; and where that is not enough, 500, and nothing is sent."""
    seen = []
    proxy = routed([{"pool": "one", "rewrite": {"template": "/x/${query.p}"}}],
                   pools={"one": who("one", seen)})
    assert ask(proxy, f"/?p={value}", version).status == (200 if path else 500)
    assert [m.start for m in seen] == ([f"GET {path}?p={value} HTTP/1.1"] if path else [])


def test_routes_change_by_reload(routed):
    """Under a connection that stays: the next request goes by the new ones."""
    proxy = routed([{"pool": "one"}], pools={"one": who("one"), "two": who("two")})
    with proxy.connect() as client:
        for name in (b"one", b"two") * 3:
            proxy.config["services"]["web"]["routes"] = [{"pool": name.decode()}]
            proxy.daemon.reload(proxy.config)
            assert client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").body == name


def counts(proxy):
    """What each route has counted, by its name or number: requests, responses by class, errors."""
    keys = ["requests", *(f"responses_{c}xx" for c in range(2, 6)), "local_errors"]
    return {r.get("name", r["index"] + 1): [r[k] for k in keys]
            for r in proxy.daemon.ctl_json("route", "list", "web")["routes"]}


@BOTH
def test_what_each_route_had_to_do(routed, version):
    def absent(peer):
        while peer.message():
            peer.send("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    routes = [
        {"match": {"path": {"exact": "/moved"}}, "redirect": {"to": "/"}},
        {"name": "gone", "match": {"path": {"prefix": "/gone"}}, "pool": "absent"},
        {"name": "dead", "match": {"path": {"prefix": "/dead"}}, "pool": "dead"},
        {"name": "few", "match": {"path": {"prefix": "/few"}}, "pool": "one",
         "rate_limit": ["few"]},
        {"name": "one", "match": {"path": {"prefix": "/one"}, "method": ["GET", "POST"]},
         "split": [{"pool": "one", "weight": 3}, {"pool": "one"}]},
    ]
    proxy = routed(routes, rates={"few": {"rate": "1/1h"}}, pools={
        "one": who("one"), "absent": absent, "dead": lambda peer: peer.message()})
    for path, status in [("/", 200), ("/moved", 302), ("/gone", 404), ("/gone", 404),
                         ("/dead", 502), ("/few", 200), ("/few", 429), ("/one", 200)]:
        assert ask(proxy, path, version).status == status, path
    had = {1: [1, 0, 1, 0, 0, 0], "gone": [2, 0, 0, 2, 0, 0], "dead": [1, 0, 0, 0, 1, 1],
           "few": [2, 1, 0, 1, 0, 1], "one": [1, 1, 0, 0, 0, 0]}
    proxy.wait(lambda: counts(proxy) == had)  # responses are counted once they are sent
    text = proxy.daemon.ctl("route", "list", "web").stdout
    assert "path: {prefix: /one}, method: [GET, POST]" in text and "to one (3), one (1)" in text
    assert "redirect 302" in text, text
    # Another one in front: names keep what was counted.
    proxy.config["services"]["web"]["routes"] = [
        {"name": "new", "match": {"path": {"prefix": "/new"}}, "pool": "one"}, *routes]
    proxy.daemon.reload(proxy.config)
    assert ask(proxy, "/gone/on", version).status == 404
    proxy.wait(lambda: counts(proxy)["gone"] == [3, 0, 0, 3, 0, 0])
    assert counts(proxy)["new"] == [0] * 6


def labels(proxy, family):
    """{(label, code): how many} of the metrics of that name."""
    pattern = rf'shunt_route_label_{family}_total{{service="web",route="tenants",label="(.*?)"' \
              r'(?:,code="(.*)")?} (\d+)'
    text = request(0, "GET", "/metrics", unix=proxy.daemon.socket)[2]
    return {(label, code): int(n)
            for label, code, n in re.findall(pattern, text)
            if int(n)}


@BOTH
def test_requests_are_counted_by_a_label(routed, version):
    """Texts that clients choose: what is taken of a path, odd ones, and too many."""
    def some(peer):
        while message := peer.message():
            status = 503 if "bad" in message.start else 200
            peer.send(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n")
    routes = [{"name": "tenants", "match": {"path": {"template": "/t/{tenant}/{rest:**}"}},
               "pool": "some", "label": "${tenant}${query.more}", "rate_limit": ["few"]}]
    proxy = routed(routes, pools={"some": some}, rates={"few": {
        "rate": "2/1h", "key": 'query["limited"]'}})
    long = "x" * 70
    for i, (path, status) in enumerate([
            ("/t/a/1", 200), ("/t/a/bad", 503), ("/t/b/1", 200), (f"/t/{long}/1", 200),
            ("/t/c/1?limited=c", 200), ("/t/c/1?limited=c", 200), ("/t/c/1?limited=c", 429),
            ("/t/d/1?more=%22%c3%a4", 200)]):
        path += "" if "limited" in path else f"{'&' if '?' in path else '?'}limited={i}"
        assert ask(proxy, path, version).status == status, path
    assert labels(proxy, "requests") == {("a", ""): 2, ("b", ""): 1, ("(other)", ""): 1,
                                         ("c", ""): 3, (r"d\"__", ""): 1}
    answered = {("a", "2xx"): 1, ("a", "5xx"): 1, ("b", "2xx"): 1, ("(other)", "2xx"): 1,
                ("c", "2xx"): 2, ("c", "4xx"): 1, (r"d\"__", "2xx"): 1}
    proxy.wait(lambda: labels(proxy, "responses") == answered)  # counted as they are sent
    with proxy.connect() as peer:
        for i in range(110):
            path = f"/t/n{i}/1?limited=n{i}"
            assert peer.ask(f"GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n").status == 200
    told = labels(proxy, "requests")
    assert sum(told.values()) == 118 and told["(other)", ""] > 1 and len(told) <= 101
    # What was counted stays.
    proxy.config["services"]["web"]["routes"][0]["timeout"] = "10s"
    proxy.daemon.reload(proxy.config)
    assert labels(proxy, "requests") == told


def test_a_service_without_routes_lists_none(http_proxy):
    proxy = http_proxy(who("web"))
    assert proxy.daemon.ctl_json("route", "list", "web") == {"service": "web", "routes": []}
    assert "no routes" in proxy.daemon.ctl("route", "list", "web").stdout
    assert proxy.daemon.ctl("route", "list", "none").rc == 3


@BOTH
def test_a_pool_for_when_there_is_no_backend(routed, version):
    proxy = routed([{"name": "canary", "pool": "one", "fallback": "two",
                     "match": {"cookie": {"canary": "yes"}}}],
                   pools={"one": who("one"), "two": who("two")})

    def ask_canary():
        return bytes(ask(proxy, "/", version, cookie="canary=yes").body)
    assert ask_canary() == b"one"
    assert proxy.daemon.ctl("backend", "drain", "one", "b1").rc == 0
    assert ask_canary() == b"two"
    assert ask(proxy, "/", version).body == b"web"
    assert proxy.daemon.ctl("backend", "undrain", "one", "b1").rc == 0
    assert ask_canary() == b"one"
    route, = proxy.daemon.ctl_json("route", "list", "web")["routes"]
    assert (route["requests"], route["fallbacks"], route["responses_2xx"]) == (3, 1, 3)


@BOTH
def test_faults_on_purpose(routed, version):
    seen = []
    proxy = routed([
        {"name": "late", "match": {"path": {"exact": "/late"}}, "pool": "one",
         "fault": {"delay": "300ms"}},
        {"name": "gone", "match": {"path": {"exact": "/gone"}}, "pool": "one",
         "fault": {"abort": 418, "delay": "100ms"}},
        {"name": "half", "match": {"path": {"exact": "/half"}}, "pool": "one",
         "fault": {"abort": 502, "abort_percent": 50}},
        {"name": "none", "pool": "one", "fault": {"delay": "1h", "delay_percent": 0}},
    ], pools={"one": who("one", seen)})
    began = time.monotonic()
    assert ask(proxy, "/late", version).body == b"one"
    assert 0.29 < time.monotonic() - began
    assert ask(proxy, "/none", version).body == b"one"
    assert len(seen) == 2
    began = time.monotonic()
    answer = ask(proxy, "/gone", version, accept="application/json")
    assert answer.status == 418 and b"on purpose" in answer.body and b'"gone"' in answer.body
    assert 0.09 < time.monotonic() - began and len(seen) == 2
    statuses = collections.Counter(ask(proxy, "/half", version).status for _ in range(100))
    assert set(statuses) == {200, 502} and 20 <= statuses[502] <= 80
    told = {r["name"]: r for r in proxy.daemon.ctl_json("route", "list", "web")["routes"]}
    assert [told[n]["faults_delayed"] for n in ("late", "gone", "half", "none")] == [1, 1, 0, 0]
    assert [told[n]["faults_aborted"] for n in ("late", "gone", "half")] == [0, 1, statuses[502]]
    assert told["gone"]["local_errors"] == told["gone"]["responses_4xx"] == 1
    # They are no failures of any backend.
    assert not [n for n in ("connect", "reset", "timeout", "response", "no_backend", "limit")
                if proxy.counter(f"failed_{n}")]


@BOTH
def test_a_fault_leaves_the_connection_as_a_backend_would(routed, version):
    """What a client sent was no mistake of its own, whatever the status says."""
    proxy = routed([{"pool": "web", "fault": {"abort": 404}}])
    text = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
    if version == 2:
        with open_h2(proxy) as client:
            replies = [client.ask(get("/", method="POST"), b"hi") for _ in range(2)]
        assert [r.status for r in replies] == [404] * 2
        return
    with proxy.connect() as client:
        replies = [client.ask(text) for _ in range(2)]
    assert [(r.status, r.get("Connection")) for r in replies] == [(404, "keep-alive")] * 2


@BOTH
def test_a_service_without_a_pool_of_its_own(routed, version):
    proxy = routed([{"match": {"host": "one.test"}, "pool": "one"}],
                   pools={"one": who("one"), "late": who("late")}, start=False)
    del proxy.config["services"]["web"]["pool"]
    proxy.daemon.write_config(proxy.config)
    proxy.daemon.start()
    assert ask(proxy, "/", version, host="one.test").body == b"one"
    answer = ask(proxy, "/", version, host="two.test", accept="application/json")
    assert answer.status == 404 and b'"code": "NO_ROUTE"' in answer.body, answer
    told = proxy.daemon.ctl_json("route", "test", "web", "GET", "http://two.test/")
    assert (told["action"], told["status"], told["pools"]) == ("respond", 404, [])
    assert "no pool of its own" in proxy.daemon.ctl("route", "test", "web", "GET", "/").stdout
    shown = proxy.daemon.ctl_json("service", "show", "web")
    assert shown["pool"] is None and proxy.daemon.ctl("service", "show", "web").rc == 0
    assert proxy.daemon.ctl("service", "list").rc == 0
    # A pool comes and goes by reload.
    proxy.config["services"]["web"]["pool"] = "late"
    proxy.daemon.reload(proxy.config)
    assert ask(proxy, "/", version, host="two.test").body == b"late"
    del proxy.config["services"]["web"]["pool"]
    proxy.daemon.reload(proxy.config)
    assert ask(proxy, "/", version, host="two.test").status == 404


def test_bounds_of_a_route(routed):
    def silent(peer):
        peer.message()
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1")
        peer.to_end()
    proxy = routed([
        {"match": {"path": {"prefix": "/big"}}, "pool": "one", "limits": {"body": 0}},
        {"match": {"path": {"prefix": "/small"}}, "pool": "one", "limits": {"body": 4}},
        {"match": {"path": {"prefix": "/slow"}}, "pool": "silent",
         "timeouts": {"response_body": "200ms"}},
    ], pools={"one": who("one"), "silent": silent}, limits={"body": 10})

    def post(path, size, chunked=False):
        body = f"{size:x}\r\n{'x' * size}\r\n0\r\n\r\n" if chunked else "x" * size
        length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
        return proxy.ask(f"POST {path} HTTP/1.1\r\nHost: a\r\n{length}\r\n\r\n{body}").status
    for chunked in False, True:
        assert (post("/", 10, chunked), post("/", 11, chunked)) == (200, 413)
        assert (post("/big", 5000, chunked), post("/small", 4, chunked)) == (200, 200)
        assert post("/small", 5, chunked) == 413
    with proxy.connect() as client:
        client.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        began = time.monotonic()
        assert client.to_end().endswith(b"\r\n\r\n1")
        assert time.monotonic() - began < 10


ROUTES = [
    {"name": "calls", "match": {"host": "api.test", "header": {"x-v": {"prefix": "2"}}},
     "pool": "one"},
    {"match": {"path": {"prefix": "/old"}, "source": "10.0.0.0/8"},
     "redirect": {"to": "/new", "status": 308}},
    {"name": "share", "match": {"expr": 'query["q"] == "a b"'},
     "split": [{"pool": "one", "weight": 3}, {"pool": "two"}]},
]


def test_which_route_it_would_be(routed):
    seen = []
    proxy = routed(ROUTES, pools={"one": who("one", seen), "two": who("two", seen)}, seen=seen)

    def test(*args):
        return proxy.daemon.ctl_json("route", "test", "web", *args)
    told = test("GET", "http://API.test.:80/a/../b?x", "-H", "X-V: 2.1")
    assert (told["path"], told["action"], told["skipped"]) == ("/b", "pool", [])
    assert (told["route"]["index"], told["route"]["name"]) == (0, "calls")
    assert told["pools"] == [{"pool": "one", "weight": 1}]
    told = test("GET", "/old/x", "-H", "Host: api.test", "-H", "x-v: 1", "--source", "10.1.1.1")
    assert (told["route"]["index"], told["action"], told["status"]) == (1, "redirect", 308)
    assert [(s["index"], s["part"]) for s in told["skipped"]] == [(0, "header")]
    assert '"1"' in told["skipped"][0]["why"], told
    told = test("GET", "/old?q=a+b")
    assert [(s["index"], s["part"]) for s in told["skipped"]] == [(0, "host"), (1, "source")]
    assert told["pools"] == [{"pool": "one", "weight": 3}, {"pool": "two", "weight": 1}]
    told = test("GET", "/")
    assert (told["route"], told["pools"]) == (None, [{"pool": "web", "weight": 1}])
    assert len(told["skipped"]) == 3
    # What the daemon says is what it does.
    assert ask(proxy, "/old?q=a+b").body in (b"one", b"two")
    text = proxy.daemon.ctl("route", "test", "web", "GET", "/old?q=a+b").stdout
    assert "share" in text and "weight 3" in text and "source: " in text
    assert len(seen) == 1


@pytest.mark.parametrize("args, code", [
    (["web", "GET", "nonsense"], 3), (["web", "GET", "/%zz"], 3), (["none", "GET", "/"], 3),
    (["web", "GET", "/", "-H", "no colon"], 3), (["web", "GET"], 2),
    (["web", "GET", "/", "--source", "x"], 3)])
def test_questions_that_make_no_sense(routed, args, code):
    proxy = routed(ROUTES, pools={"one": who("one"), "two": who("two")})
    done = proxy.daemon.ctl("route", "test", *args)
    assert done.rc == code and done.stderr
