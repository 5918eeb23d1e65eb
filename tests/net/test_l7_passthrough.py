# SPDX-License-Identifier: BSD-2-Clause
"""TLS connections that are routed by what their ClientHello asks for, and not decrypted."""
import ssl
import subprocess

import pytest

import tls
from http1 import NOBODY, Script
from lab import TIMEOUT_S, wait_until


def hearing(name):
    """Says its name, then which bytes came."""
    def serve(peer):
        peer.fill()
        peer.send(name)
        peer.to_end()
    return serve


@pytest.fixture
def passthrough(http_proxy):
    """passthrough({name: route or None, ...}) -> Proxy with a pool for each, the first one's pool
    being the service's own where it has no route."""
    made = []

    def make(routes, **service):
        scripts = {name: Script(hearing(name)) for name in routes}
        made.extend(scripts.values())
        own = [name for name, route in routes.items() if route is None]
        proxy = http_proxy(backends=[NOBODY], start=False, mode="tls", **service)
        proxy.scripts = scripts
        proxy.config["pools"] = {
            name: {"health": "none", "backends": [{"name": "b1", "address": script.target}]}
            for name, script in scripts.items()}
        web = proxy.config["services"]["web"]
        del web["pool"]
        if own:
            web["pool"] = own[0]
        web["sni_routes"] = [{**route, "pool": name} for name, route in routes.items() if route]
        if not web["sni_routes"]:
            del web["sni_routes"]
        proxy.daemon.write_config(proxy.config)
        proxy.daemon.start()
        return proxy
    yield make
    for script in made:
        script.close()


def ask(proxy, *args, **kw):
    """Who answers a ClientHello."""
    with proxy.connect() as client:
        client.send(tls.hello(*args, **kw))
        client.fill()
        return bytes(client.buffer).decode()


ROUTES = {
    "fallback": None,
    "exact": {"sni": ["a.example.com", "B.example.com"]},
    "suffix": {"sni": "*.example.com"},
    "deeper": {"sni": "*.deep.example.com"},
    "h2": {"sni": "a.example.com", "alpn": ["h2", "h3"]},
    "acme": {"alpn": "acme-tls/1"},
}


@pytest.mark.parametrize("name, alpn, expected", [
    ("a.example.com", None, "exact"),
    ("A.EXAMPLE.COM", None, "exact"),
    ("b.example.com", ["h2"], "exact"),
    ("c.example.com", None, "suffix"),
    ("x.y.example.com", None, "suffix"),
    ("x.deep.example.com", None, "deeper"),
    ("deep.example.com", None, "suffix"),
    ("example.com", None, "fallback"),
    ("badexample.com", None, "fallback"),
    ("a.example.com", ["http/1.1", "h2"], "h2"),
    ("a.example.com", ["http/1.1"], "exact"),
    ("other.example", ["acme-tls/1"], "acme"),
    (None, ["acme-tls/1"], "acme"),
    (None, None, "fallback"),
])
def test_routes(passthrough, name, alpn, expected):
    proxy = passthrough(ROUTES)
    assert ask(proxy, name, alpn) == expected


def test_real_handshakes_reach_the_server_that_was_asked_for(http_proxy, lab, free_port):
    servers = {name: tls.OpensslServer(lab, name, free_port()) for name in ("one.test", "two.test")}
    proxy = http_proxy(backends=[servers["one.test"]], start=False, mode="tls",
                       sni_routes=[{"sni": "two.test", "pool": "two"}])
    proxy.config["pools"]["two"] = {"backends": [{"name": "b1",
                                                  "address": servers["two.test"].target}]}
    proxy.daemon.write_config(proxy.config)
    proxy.daemon.start()
    assert tls.peer_name(proxy.port, "one.test") == "one.test"
    assert tls.peer_name(proxy.port, "two.test") == "two.test"
    assert tls.peer_name(proxy.port, "two.test", args=["-tls1_2"]) == "two.test"
    assert tls.peer_name(proxy.port, None) == "one.test"
    done = subprocess.run(["curl", "-sS", "--cacert", servers["two.test"].cert, "--resolve",
                           f"two.test:{proxy.port}:127.0.0.1", f"https://two.test:{proxy.port}/"],
                          capture_output=True, timeout=TIMEOUT_S, check=False)
    assert b"s_server" in done.stdout, done
    assert proxy.counter("hello_invalid") == 0


@pytest.mark.parametrize("cut", ["packets", "records", "both"])
def test_a_hello_in_pieces(passthrough, cut):
    proxy = passthrough(ROUTES)
    data = tls.hello("x.deep.example.com", ["h2"])
    assert tls.hello_name(data) == "x.deep.example.com"
    if cut != "packets":
        data = tls.in_records(data, 7)
    with proxy.connect() as client:
        if cut == "records":
            client.send(data)
        else:
            for i, byte in enumerate(data):
                client.send(bytes([byte]))
                if i % 50 == 0:  # the proxy has read so far
                    wait_until(lambda i=i: proxy.counter("bytes_in") == i + 1)
        client.fill()
        assert bytes(client.buffer) == b"deeper"
    with proxy.connect() as client:
        client.send(data + b"more")
        client.fill()
    script = proxy.scripts["deeper"]
    wait_until(lambda: script.connections == 2)


def test_the_backend_gets_the_hello_as_it_came(passthrough):
    heard = []

    def serve(peer):
        heard.append(peer.to_end())
    proxy = passthrough({"fallback": None})
    proxy.scripts["fallback"].serve = serve
    data = tls.in_records(tls.hello("a.test"), 100) + b"and more" * 1000
    with proxy.connect() as client:
        client.send(data)
        client.shutdown()
        client.to_end()
    wait_until(lambda: heard == [data])


@pytest.mark.parametrize("name", ["c.example.com", None])
def test_without_a_route_and_a_pool_the_alert_says_so(passthrough, name):
    proxy = passthrough({"exact": {"sni": "a.example.com"}})
    with proxy.connect() as client:
        client.send(tls.hello(name))
        assert tls.alert(client) == "unrecognized_name"
    assert proxy.counter("unrecognized_names") == 1
    proxy.wait_counter("open_connections", 0)
    assert "unrecognized name" in tls.peer_name(proxy.port, name)
    assert ask(proxy, "a.example.com") == "exact"


@pytest.mark.parametrize("data, expected", [
    (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "unexpected_message"),
    (b"\x80\x2e\x01\x03\x01", "unexpected_message"),
    (b"\x16\x02\x00", "protocol_version"),
    (b"\x16\3\1\0\0", "decode_error"),
    (b"\x16\3\1\x40\1", "decode_error"),
    (b"\x16\3\1\0\4\1\1\0\0", "decode_error"),
    (tls.hello("a.test").replace(b"a.test", b"a..est"), "illegal_parameter"),
], ids=["http", "ssl2", "ssl2-record", "empty-record", "long-record", "no-body", "bad-name"])
def test_what_is_no_hello_gets_an_alert(passthrough, data, expected):
    proxy = passthrough({"fallback": None})
    with proxy.connect() as client:
        client.send(data)
        assert tls.alert(client) == expected
    assert proxy.counter("hello_invalid") == 1
    assert proxy.scripts["fallback"].connections == 0


def test_a_hello_without_end_is_bounded(passthrough):
    proxy = passthrough({"fallback": None})
    with proxy.connect() as client:
        client.send(b"\x16\3\1\x40\0" + b"\1\0\x3f\xfc" + bytes(12000))
        client.send(bytes(8000))
        assert tls.alert(client) == "decode_error"
    assert proxy.counter("hello_invalid") == 1


def test_a_slow_hello_is_given_up(passthrough):
    proxy = passthrough({"fallback": None}, relay={"client_hello": "300ms"})
    with proxy.connect() as silent, proxy.connect() as slow:
        slow.send(tls.hello("a.test")[:100])
        assert silent.is_closed() and slow.is_closed()
    assert proxy.counter("hello_timeouts") == 2
    proxy.wait_counter("open_connections", 0)


def test_a_client_that_leaves_early_is_no_error(passthrough):
    proxy = passthrough({"fallback": None})
    proxy.connect().close()
    with proxy.connect() as client:
        client.send(tls.hello("a.test")[:50])
    proxy.wait_counter("aborted", 1)
    proxy.wait_counter("open_connections", 0)
    assert proxy.counter("hello_invalid") == 0


def test_without_a_backend_the_alert_says_so(passthrough):
    proxy = passthrough({"fallback": None})
    proxy.daemon.ctl("backend", "disable", "fallback/b1")
    with proxy.connect() as client:
        client.send(tls.hello("a.test"))
        assert tls.alert(client) == "internal_error"
    assert proxy.counter("connect_failures") == 1


def test_routes_change_with_a_reload(passthrough):
    proxy = passthrough(ROUTES)
    with proxy.connect() as early:
        early.send(tls.hello("a.example.com"))
        early.fill()
        proxy.config["services"]["web"]["sni_routes"] = [
            {"sni": "a.example.com", "pool": "acme"}]
        for name in ("exact", "suffix", "deeper", "h2"):
            del proxy.config["pools"][name]
        proxy.daemon.reload(proxy.config)
        assert ask(proxy, "a.example.com") == "acme"
        assert ask(proxy, "b.example.com") == "fallback"
        assert bytes(early.buffer) == b"exact"
        early.shutdown()
        assert early.to_end() == b"exact"


def test_tls_1_2(passthrough):
    assert ask(passthrough(ROUTES), "a.example.com", newest=ssl.TLSVersion.TLSv1_2) == "exact"


def test_the_page_of_a_service_says_what_it_does(passthrough):
    proxy = passthrough({"fallback": None, "exact": {"sni": ["a.test", "*.b.test"], "alpn": "h2"}},
                        proxy_protocol={"from": "10.0.0.0/8", "header": "optional"})
    with proxy.connect() as client:
        client.send("GET")
        assert tls.alert(client) == "unexpected_message"
    page = proxy.daemon.ctl("service", "show", "web").stdout
    lines = [" ".join(line.split()) for line in page.splitlines()]
    for line in ("mode tls", "pool fallback", "routes a.test, *.b.test with h2 to pool exact",
                 "timeouts idle 60m, half_closed 5m, client_hello 10s",
                 "1 without a ClientHello by the rules (hello_invalid)",
                 "proxy header optional, from 10.0.0.0/8, within 5s", "pool exact"):
        assert line in lines, page
    listed = proxy.daemon.ctl("service", "list").stdout.split("\n")[1].split()
    assert listed[:2] == ["web", "tls"] and listed[3] == "fallback"
    assert proxy.daemon.ctl_json("pool", "show", "exact")["services"] == ["web"]


def test_a_service_without_a_pool_has_a_page_too(passthrough):
    proxy = passthrough({"exact": {"sni": "a.test"}})
    page = proxy.daemon.ctl("service", "show", "web")
    assert page.rc == 0 and "pool exact" in page.stdout, page
    assert proxy.daemon.ctl("service", "list").rc == 0
    proxy.daemon.signal(10)  # SIGUSR1: the summary in the log
    wait_until(lambda: "name=web mode=tls" in proxy.daemon.log)
