# SPDX-License-Identifier: BSD-2-Clause
"""TLS to backends: who is believed, what is asked for, how connections begin and end."""
import os
import re
import ssl
import subprocess

import pytest

import certs
from certs import TlsScript
from http1 import OK
from lab import TIMEOUT_S, binary, wait_until

GET = "GET / HTTP/1.1\r\nHost: example.org\r\n\r\n"
V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


@pytest.fixture(name="front")
def make_front(http_proxy, ca):
    """front(script, tls={...}) -> Proxy, plain in front of scripts that speak TLS"""
    def make(*scripts, tls=None, **kw):
        pool = {"tls": {"ca": ca.pem, "name": "backend.test", **(tls or {})}, **kw.pop("pool", {})}
        pool["tls"] = {k: v for k, v in pool["tls"].items() if v}
        return http_proxy(backends=scripts, pool=pool, **kw)
    return make


def issue_address(ca, address):
    """A certificate for an address."""
    pair = ca.issue("x.test", file="address")
    stem = pair["cert"][:-4]
    with open(stem + ".ext", "w", encoding="ascii") as f:
        f.write(f"subjectAltName=IP:{address}\n")
    certs.openssl("x509", "-req", "-in", stem + ".csr", "-CA", ca.pem, "-CAkey", ca.key,
                  "-set_serial", "99", "-days", "30", "-extfile", stem + ".ext", "-out",
                  pair["cert"])
    return pair


@pytest.mark.parametrize("version", [V12, V13])
def test_requests_over_a_kept_connection(front, ca, version):
    script = TlsScript(ca.issue("backend.test"), version=version)
    proxy = front(script)
    with proxy.connect() as client:
        for method in ("GET", "POST") * 5:  # a POST looks first whether the connection lives
            assert client.ask(GET.replace("GET", method).replace(
                "\r\n\r\n", "\r\nContent-Length: 0\r\n\r\n")).body == b"hi"
    assert (script.connections, script.names) == (1, ["backend.test"])
    assert script.peers[0].sock.selected_alpn_protocol() == "http/1.1"


@pytest.mark.parametrize("version", [V12, V13])
def test_large_bodies_both_ways(front, ca, version):
    def echo(peer):
        while True:
            body = peer.message().body
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    proxy = front(TlsScript(ca.issue("backend.test"), echo, version))
    body = os.urandom(3 << 20)
    with proxy.connect() as client:
        for _ in range(3):
            assert client.ask(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" % (
                len(body), body)).body == body


def test_tls_on_both_sides(front, ca):
    proxy = front(TlsScript(ca.issue("backend.test")),
                  tls={}, **{"pool": {}})
    proxy.config["services"]["web"]["tls"] = {"certificates": [ca.issue("example.org")]}
    proxy.daemon.reload(proxy.config)
    with certs.connect(proxy.port, ca.context()) as client:
        assert client.ask(GET).body == b"hi"


# ---- who is believed ----

def fails(proxy, script):
    with proxy.connect() as client:
        reply = client.ask(GET)
    assert (reply.status, reply.body) == (
        502, b"502 Bad Gateway: no backend could be connected to\n")
    wait_until(lambda: script.refused)
    assert not script.reused


def test_another_name_is_refused(front, ca):
    script = TlsScript(ca.issue("other.test"))
    fails(front(script), script)


def test_another_authority_is_refused(front, ca, lab):
    script = TlsScript(certs.Authority(lab.path("evil")).issue("backend.test"), version=V12)
    fails(front(script), script)


def test_an_expired_certificate_is_refused(front, ca):
    script = TlsScript(ca.issue("backend.test", until="20020304050607Z"), version=V12)
    fails(front(script), script)


def test_a_plain_backend_is_refused(http_proxy, ca):
    seen = []

    def serve(peer):
        seen.append(peer.sock.recv(1000))
    proxy = http_proxy(serve, pool={"tls": {"ca": ca.pem, "name": "backend.test"}})
    assert proxy.ask(GET).status == 502
    assert seen and b"GET" not in seen[0]


def test_without_a_name_the_address_is_verified(front, ca):
    good = TlsScript(issue_address(ca, "127.0.0.1"))
    proxy = front(good, tls={"name": None})
    assert proxy.ask(GET).status == 200
    assert good.names == [None]
    bad = TlsScript(issue_address(ca, "127.0.0.2"), version=V12)
    fails(front(bad, tls={"name": None}), bad)


def test_none_believes_anybody(front, ca, lab):
    script = TlsScript(certs.Authority(lab.path("evil")).issue("other.test"))
    proxy = front(script, tls={"ca": "none"})
    assert proxy.ask(GET).status == 200
    assert "tls.ca: none believes whoever answers" in proxy.daemon.log


def test_a_client_certificate(front, ca, lab):
    clients = certs.Authority(lab.path("clients"))
    script = TlsScript(ca.issue("backend.test"), version=V12, ask_for=clients)
    ours = clients.issue("shunt.test", usage="clientAuth")
    assert front(script, tls={"client": ours}).ask(GET).status == 200
    assert script.subjects[0]["subject"] == ((("commonName", "shunt.test"),),)
    assert front(script).ask(GET).status == 502


# ---- sessions, ends, time ----

@pytest.mark.parametrize("version", [V12, V13])
def test_sessions_are_resumed(front, ca, version):
    def once(peer):
        peer.message()
        peer.send(OK.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"))
        peer.sock.unwrap()
    script = TlsScript(ca.issue("backend.test"), once, version)
    proxy = front(script)
    with proxy.connect() as client:
        for _ in range(5):
            assert client.ask(GET).status == 200
    assert script.reused == [False] + [True] * 4


def test_a_session_is_not_resumed_under_other_rules(front, ca, lab):
    """What one authority vouched for says nothing once another one is asked."""
    def once(peer):
        peer.message()
        peer.send(OK.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"))
    script = TlsScript(ca.issue("backend.test"), once, V12)
    proxy = front(script)
    assert proxy.ask(GET).status == 200
    proxy.config["pools"]["web"]["tls"]["ca"] = certs.Authority(lab.path("other")).pem
    proxy.daemon.reload(proxy.config)
    assert proxy.ask(GET).status == 502
    assert script.reused == [False]


def test_kept_connections_are_dropped_under_other_rules(front, ca, lab):
    script = TlsScript(ca.issue("backend.test"))
    proxy = front(script)
    with proxy.connect() as client:
        assert client.ask(GET).status == 200
        proxy.daemon.reload(proxy.config)  # nothing changed: kept
        assert client.ask(GET).status == 200
        assert script.connections == 1
        proxy.config["pools"]["web"]["tls"]["ca"] = certs.Authority(lab.path("other")).pem
        proxy.daemon.reload(proxy.config)
        assert client.ask(GET).status == 502


@pytest.mark.parametrize("said", [True, False])
def test_a_body_to_the_end_is_whole_only_if_the_backend_says_so(front, ca, said):
    def serve(peer):
        peer.message()
        peer.send("HTTP/1.1 200 OK\r\n\r\nhello")
        if said:
            peer.sock.unwrap()
    with front(TlsScript(ca.issue("backend.test"), serve)).connect() as client:
        client.send(GET)
        assert client.head().get("Transfer-Encoding") == "chunked"
        if said:
            assert client.chunked()[0] == b"hello"
        else:
            with pytest.raises(EOFError):
                client.chunked()


def test_a_handshake_is_part_of_connecting(http_proxy, ca):
    def silent(peer):
        peer.to_end()
    proxy = http_proxy(silent, pool={"tls": {"ca": ca.pem}, "connect_timeout": "200ms"})
    reply = proxy.ask(GET)
    assert (reply.status, b"timed out" in reply.body) == (504, True)


def test_an_idle_connection_that_the_backend_closes_is_dropped(front, ca):
    def once(peer):
        peer.message()
        peer.send(OK)
        peer.sock.unwrap()
    script = TlsScript(ca.issue("backend.test"), once)
    proxy = front(script)
    with proxy.connect() as client:
        for i in range(4):
            assert client.ask(GET).status == 200
            wait_until(lambda n=i: script.connections == n + 1)
    assert proxy.counter("local_errors") == 0


# ---- what is wrong in the configuration ----

@pytest.mark.parametrize("tls, expected", [
    ({}, "5:5: error: pool web: tls.ca is missing"),
    ({"ca": "x.pem"}, "6:11: error: pool web: tls.ca: expected an absolute path or none"),
    ({"ca": "/nowhere"}, "6:11: error: pool web: tls: cannot read /nowhere: No such file"),
    ({"ca": "/etc/hostname"}, "expected certificates of authorities in PEM form"),
    ({"ca": "none", "name": "10.0.0.1"}, "7:13: error: pool web: tls.name: expected a DNS name"),
    ({"ca": "none", "client": {"cert": "/nowhere"}}, "8:15: error: pool web: tls: cannot read"),
    ({"ca": "none"}, "6:11: warning: pool web: tls.ca: none believes whoever answers"),
])
def test_keys_are_checked(lab, tls, expected):
    path = lab.path("check.yaml")
    lines = ["pools:", "  web:", "    health: none",
             '    backends: [{name: b1, address: "127.0.0.1:1"}]',
             "    tls:" + ("" if tls else " {}")]
    for key, value in tls.items():
        if isinstance(value, dict):
            lines += [f"      {key}:"] + [f"        {k}: {v}" for k, v in value.items()]
        else:
            lines.append(f"      {key}: {value}")
    lines += ["services:", "  web: {listen: '127.0.0.1:1234/tcp', mode: http, pool: web}"]
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")
    done = subprocess.run([binary("shuntd"), "-c", path, "--check"], capture_output=True,
                          check=False, text=True, timeout=TIMEOUT_S)
    assert re.search(re.escape(expected), done.stdout + done.stderr), done
