# SPDX-License-Identifier: BSD-2-Clause
"""Cookies that bring clients back to their backend."""
import os

import pytest

from h2peer import get, open_h2
from http1 import Script


def called(name):
    body = f"HTTP/1.1 200 OK\r\nContent-Length: {len(name)}\r\n\r\n{name}"

    def serve(peer):
        while True:
            peer.message()
            peer.send(body)
    return serve


@pytest.fixture
def sticky(http_proxy, lab):
    """sticky(number of backends, sticky=, **service) -> Proxy"""
    def make(number=3, sticky=None, pool=None, **kw):
        path = lab.path("sticky.key")
        with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "wb") as f:
            f.write(os.urandom(32))
        scripts = [Script(called(f"b{i + 1}")) for i in range(number)]
        proxy = http_proxy(backends=scripts, workers=2,
                           pool={"sticky": {"cookie": "SRV", "key": path, **(sticky or {})},
                                 **(pool or {})}, **kw)
        proxy.key, proxy.scripts = path, scripts
        return proxy
    return make


def ask(proxy, cookie=None):
    """Which backend, and its cookie."""
    line = f"Cookie: a=b; SRV={cookie}; c=d\r\n" if cookie else ""
    reply = proxy.ask(f"GET / HTTP/1.1\r\nHost: a\r\n{line}\r\n")
    assert reply.status == 200
    made = reply.get("Set-Cookie")
    return reply.body.decode(), made and made.split(";")[0].removeprefix("SRV="), made


def homes(proxy, number=3):
    """{backend: its cookie}"""
    found = {}
    for _ in range(50):
        name, cookie, _ = ask(proxy)
        found[name] = cookie
        if len(found) == number:
            return found
    raise AssertionError(found)


def test_a_cookie_holds_through_reload_and_restart(sticky):
    proxy = sticky()
    cookies = homes(proxy)

    def check():
        for name, cookie in cookies.items():
            for _ in range(6):  # by both workers
                assert ask(proxy, cookie) == (name, None, None)
    check()
    proxy.daemon.reload()
    check()
    proxy.daemon.restart()
    check()
    assert all(proxy.counter(f"sticky_{n}") == 0 for n in ("forged", "stale", "moved"))


def test_attributes(sticky):
    proxy = sticky(1)
    cookie = ask(proxy)[2]
    assert cookie.partition("; ")[2] == "Path=/; HttpOnly; SameSite=Lax"
    config = proxy.config
    config["pools"]["web"]["sticky"].update(ttl="1h", path="/app", secure="on", samesite="none")
    proxy.daemon.reload(config)
    assert ask(proxy)[2].partition("; ")[2] == \
        "Path=/app; Max-Age=3600; HttpOnly; SameSite=None; Secure"


def flip(cookie, at):
    return cookie[:at] + ("0" if cookie[at] != "0" else "1") + cookie[at + 1:]


def test_forged_ones_are_ignored_and_counted(sticky):
    proxy = sticky(2)
    name, cookie = sorted(homes(proxy, 2).items())[0]
    forged = [flip(cookie, at) for at in (0, 15, 16, 31, 32, 63)]
    forged += [cookie[:-1], cookie + "0", cookie.upper(), "x" * 64, "b1"]
    for i, bad in enumerate(forged):
        assert bad != cookie
        assert ask(proxy, bad)[1]  # a good one
        assert proxy.counter("sticky_forged") == i + 1
    assert ask(proxy, cookie)[0] == name
    # Another secret makes all of them void.
    with open(proxy.key, "wb") as f:
        f.write(os.urandom(40))
    proxy.daemon.restart()
    assert ask(proxy, cookie)[1]
    assert proxy.counter("sticky_forged") == 1


def test_draining_keeps_sessions_and_down_moves_them(sticky):
    proxy = sticky(2)
    cookies = homes(proxy, 2)
    proxy.daemon.ctl("backend", "drain", "web/b1")
    for _ in range(6):
        assert ask(proxy)[0] == "b2"
        assert ask(proxy, cookies["b1"]) == ("b1", None, None)
    proxy.daemon.ctl("backend", "disable", "web/b1")
    name, cookie, _ = ask(proxy, cookies["b1"])
    assert name == "b2" and ask(proxy, cookie) == ("b2", None, None)
    assert proxy.counter("sticky_moved") == 1
    proxy.daemon.ctl("backend", "remove", "web/b1")
    assert ask(proxy, cookies["b1"])[0] == "b2"
    assert proxy.counter("sticky_stale") == 1


def test_a_backend_that_refuses_is_left(sticky):
    proxy = sticky(2)
    cookies = homes(proxy, 2)
    proxy.scripts[0].close()
    name, cookie, _ = ask(proxy, cookies["b1"])
    assert name == "b2" and cookie


def test_http2_clients(sticky):
    proxy = sticky()
    for name, cookie in homes(proxy).items():
        with open_h2(proxy) as client:
            for _ in range(4):
                reply = client.ask(get(cookie=f"SRV={cookie}"))
                assert (reply.body.decode(), reply.get("set-cookie")) == (name, None)
            assert client.ask(get()).get("set-cookie").startswith("SRV=")


def test_errors_have_their_place(sticky, lab):
    proxy = sticky(1)
    config = proxy.config
    short = lab.path("short.key")
    with open(short, "wb") as f:
        f.write(b"secret")
    for change, message in (({"key": short}, "too short"), ({"key": "/nowhere"}, "sticky.key"),
                            ({"cookie": "a b"}, "the name of a cookie"),
                            ({"path": "/;x"}, "without spaces and semicolons")):
        config["pools"]["web"]["sticky"] = {"cookie": "SRV", "key": proxy.key, **change}
        proxy.daemon.write_config(config)
        done = proxy.daemon.ctl("config", "check", proxy.daemon.config_path)
        assert done.rc != 0 and message in done.stdout + done.stderr, done
    assert ask(proxy)[0] == "b1"


def test_a_cookie_has_its_time(sticky):
    """The clock of the proxy decides: one that is getting old is replaced, one too old is stale."""
    proxy = sticky(2, sticky={"ttl": "2s"})
    name, cookie, _ = ask(proxy)
    renewed = []

    def is_stale():
        stale = proxy.counter("sticky_stale")
        home, new, _ = ask(proxy, cookie)
        if new and not stale and proxy.counter("sticky_stale") == 0:
            assert home == name
            renewed.append(new)
        return stale > 0
    proxy.wait(is_stale)
    assert not renewed or renewed[0] != cookie
    assert proxy.counter("sticky_forged") == 0


def test_a_route_that_takes_the_cookie_away_knows_it(sticky):
    """The backend does not see it, the client is brought back all the same."""
    proxy = sticky(routes=[{"match": {"path": {"prefix": "/"}}, "pool": "web",
                            "request_headers": {"remove": ["cookie"]}}])
    for name, cookie in homes(proxy).items():
        for _ in range(4):
            assert ask(proxy, cookie)[:2] == (name, None)
