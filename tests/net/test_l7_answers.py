# SPDX-License-Identifier: BSD-2-Clause
"""Answers of the proxy's own: names of requests, and what is told to whom."""
import json
import re
import subprocess

import pytest

from h2peer import get, open_h2
from http1 import NOBODY, see

MADE = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
BOTH = pytest.mark.parametrize("version", [1, 2])
LOCAL = ["127.0.0.0/8"]


def ask(proxy, version=1, method="GET", path="/", **fields):
    if version == 2:
        with open_h2(proxy) as client:
            return client.ask(get(path, "a.test", method, **fields))
    lines = "".join(f"{k.replace('_', '-')}: {v}\r\n" for k, v in fields.items())
    return proxy.ask(f"{method} {path} HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n",
                     no_body=method == "HEAD")


@BOTH
def test_who_wants_json_gets_it(http_proxy, version):
    proxy = http_proxy(backends=[NOBODY])
    reply = ask(proxy, version)
    assert (reply.status, reply.get("Content-Type")) == (503, "text/plain")
    assert bytes(reply.body) == b"503 Service Unavailable: no backend is available\n"
    assert MADE.fullmatch(reply.get("X-Request-Id"))
    reply = ask(proxy, version, accept="text/html;q=0.5, application/json")
    assert (reply.status, reply.get("Content-Type")) == (503, "application/json")
    assert json.loads(bytes(reply.body)) == {
        "status": 503, "code": "NO_BACKEND", "reason": "no backend is available",
        "request_id": reply.get("X-Request-Id"), "pool": "web"}
    length = reply.get("Content-Length")
    reply = ask(proxy, version, "HEAD", accept="application/json")
    assert (reply.get("Content-Length"), bytes(reply.body)) == (length, b"")


@BOTH
def test_route_pool_and_backend_are_told(http_proxy, version):
    proxy = http_proxy(backends=["127.0.0.1:1"], routes=[
        {"name": "calls", "match": {"path": {"prefix": "/v2"}}, "pool": "web"}])
    told = json.loads(bytes(ask(proxy, version, accept="application/json").body))
    assert (told["code"], told["pool"], told["backend"], told["attempts"]) == \
        ("CONNECT_FAILED", "web", "b1", 1)
    assert "route" not in told
    told = json.loads(bytes(ask(proxy, version, path="/v2/", accept="application/json").body))
    assert told["route"] == "calls"


@BOTH
def test_requests_that_are_refused_have_a_name_too(http_proxy, version):
    proxy = http_proxy(backends=[NOBODY], trusted_proxies=LOCAL)
    reply = ask(proxy, version, path="/%00", accept="application/json", x_request_id="mine")
    told = json.loads(bytes(reply.body))
    assert (reply.status, told["code"], told["request_id"]) == (400, "PATH_ZERO", "mine")


def test_what_is_no_request_gets_text_and_a_name(http_proxy):
    proxy = http_proxy(backends=[NOBODY])
    reply = proxy.ask("nonsense\r\n\r\n")
    assert reply.status == 400 and MADE.fullmatch(reply.get("X-Request-Id"))


@BOTH
@pytest.mark.parametrize("trusted", [[], LOCAL])
def test_a_name_is_taken_from_a_trusted_proxy_alone(http_proxy, version, trusted):
    proxy = http_proxy(backends=[NOBODY], trusted_proxies=trusted, routes=[
        {"match": {"path": {"exact": "/r"}}, "respond": {"status": 200, "body": "x"}}])
    for path in ("/", "/r"):
        told = ask(proxy, version, path=path, x_request_id="from-edge:1").get("X-Request-Id")
        assert (told == "from-edge:1") == bool(trusted), told
        assert trusted or MADE.fullmatch(told)
        # Nothing that would break a header, a log or JSON.
        told = ask(proxy, version, path=path, x_request_id='a"b').get("X-Request-Id")
        assert MADE.fullmatch(told)


@BOTH
def test_backends_are_told_where_that_is_asked_for(http_proxy, version):
    seen = []
    proxy = http_proxy(see(seen))
    assert ask(proxy, version, x_request_id="client's").status == 200
    assert ask(proxy, version).status == 200
    assert [m.all("X-Request-Id") for m in seen] == [["client's"], []]
    seen.clear()
    proxy.config["services"]["web"]["request_id"] = "on"
    proxy.daemon.reload(proxy.config)
    ids = []
    for _ in range(2):
        assert ask(proxy, version, x_request_id="mine").status == 200
        ids += seen[-1].all("X-Request-Id")
    assert len(set(ids)) == 2 and all(MADE.fullmatch(i) for i in ids)
    proxy.config["services"]["web"]["trusted_proxies"] = LOCAL
    proxy.daemon.reload(proxy.config)
    assert ask(proxy, version, x_request_id="mine").status == 200
    assert seen[-1].all("X-Request-Id") == ["mine"]


def test_the_backend_and_the_client_are_told_the_same(http_proxy):
    seen = []

    def hang_up(peer):
        seen.append(peer.message())
    proxy = http_proxy(hang_up, request_id="on")
    reply = ask(proxy)
    assert reply.status == 502
    assert seen[0].get("X-Request-Id") == reply.get("X-Request-Id")


@BOTH
def test_pages_in_place_of_words(http_proxy, lab, version):
    files = {}
    for name, text in (("sorry", b"<h1>Sorry</h1>" + b"x" * 60000), ("no", b"\x00no\n")):
        files[name] = lab.path(name)
        with open(files[name], "wb") as f:
            f.write(text)
    proxy = http_proxy(backends=[NOBODY], error_pages=[
        {"status": [503, 502], "file": files["sorry"]},
        {"status": 400, "file": files["no"], "type": "application/x-no"}])
    reply = ask(proxy, version)
    assert (reply.status, reply.get("Content-Type")) == (503, "text/html")
    assert bytes(reply.body).startswith(b"<h1>Sorry</h1>xx") and len(reply.body) == 60014
    assert MADE.fullmatch(reply.get("X-Request-Id"))
    reply = ask(proxy, version, "HEAD")
    assert (reply.get("Content-Length"), bytes(reply.body)) == ("60014", b"")
    reply = ask(proxy, version, path="/%00")
    assert (reply.status, reply.get("Content-Type"), bytes(reply.body)) == (
        400, "application/x-no", b"\x00no\n")
    assert json.loads(bytes(ask(proxy, version, accept="application/json").body))["status"] == 503
    # What is in the file is read again with the configuration.
    with open(files["sorry"], "wb") as f:
        f.write(b"later")
    assert len(ask(proxy, version).body) == 60014
    proxy.daemon.reload(proxy.config)
    assert bytes(ask(proxy, version).body) == b"later"


@pytest.mark.parametrize("page, said", [
    ({"status": 503}, "error_pages.file is missing"),
    ({"status": 200, "file": "/dev/null"}, "status: expected numbers from 400 to 599"),
    ({"status": [], "file": "/dev/null"}, "status: expected numbers from 400 to 599"),
    ({"status": 503, "file": "/nowhere"}, "/nowhere"),
    ({"status": 503, "file": "/dev/zero"}, "/dev/zero"),
    ({"status": 503, "file": "LARGE"}, "at most 65536"),
])
def test_pages_that_cannot_be(http_proxy, lab, page, said):
    if page.get("file") == "LARGE":
        page = {**page, "file": lab.path("large")}
        with open(page["file"], "wb") as f:
            f.write(b"x" * 65537)
    proxy = http_proxy(backends=[NOBODY], start=False, error_pages=[page])
    proxy.daemon.write_config(proxy.config)
    check = subprocess.run([*proxy.daemon.command()[:1], "-c", proxy.daemon.config_path, "--check"],
                           capture_output=True, text=True, check=False)
    assert check.returncode == 1 and said in check.stdout + check.stderr, check
