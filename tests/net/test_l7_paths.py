# SPDX-License-Identifier: BSD-2-Clause
"""Paths reach the backend in one form, or not at all."""
from http1 import OK


def request(target):
    return f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"


def echo_target(peer):
    """A backend that answers with the target that it was asked for."""
    while True:
        target = peer.message().start.split(" ")[1]
        peer.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(target)}\r\n\r\n{target}")


def check(proxy, rows):
    for target, want in rows.items():
        with proxy.connect() as client:
            reply = client.ask(request(target))
            if isinstance(want, int):
                assert (reply.status, reply.get("Connection")) == (want, "close"), target
            else:
                assert (reply.status, reply.body.decode()) == (200, want), target


def test_by_default(http_proxy):
    check(http_proxy(echo_target), {
        "/a/./b/../c?x=/../%2f": "/a/c?x=/../%2f",
        "/public/%2e%2E/private": "/private",
        "//a///b": "/a/b",
        "/%61%c3%a4": "/a%C3%A4",
        "http://a/b/../c": "/c",
        "http://a": "/",
        "/../etc/passwd": 400,
        "/a/%2e%2e/%2e%2e/b": 400,
        "/a/..;/b": 400,
        "/a%2fb": 400,
        "/a%5Cb": 400,
        "/a\\b": 400,
        "/a%00b": 400,
        "/a%zz": 400,
        "/a%": 400,
    })


def test_rules_of_a_service_and_their_reload(http_proxy):
    keep = {"dot_segments": "keep", "double_slashes": "keep", "escaped_slashes": "keep",
            "bad_escapes": "escape"}
    proxy = http_proxy(echo_target, paths=keep)
    same = "/a/..//%2F/./b\\"
    check(proxy, {same: same, "/%": "/%25", "/%00": 400})
    with proxy.connect() as client:  # kept over the change
        assert client.ask(request(same)).body.decode() == same
        proxy.config["services"]["web"]["paths"] = {"dot_segments": "refuse",
                                                    "double_slashes": "refuse",
                                                    "escaped_slashes": "decode"}
        proxy.daemon.reload(proxy.config)
        assert client.ask(request("/a%2fb")).body.decode() == "/a/b"
        assert client.ask(request("/a/./b")).status == 400
    check(proxy, {"/a//b": 400, "/a/%2e./b": 400, "/a%2f/b": 400, "/%": 400})


def test_a_path_that_grows_is_forwarded_whole(http_proxy):
    seen = []

    def serve(peer):
        while True:
            seen.append(peer.message().start)
            peer.send(OK)
    proxy = http_proxy(serve, paths={"bad_escapes": "escape"})
    with proxy.connect() as client:
        assert client.ask(request("/" + "%" * 8000)).status == 200
    assert seen == ["GET /" + "%25" * 8000 + " HTTP/1.1"]
