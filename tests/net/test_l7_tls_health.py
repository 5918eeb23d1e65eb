# SPDX-License-Identifier: BSD-2-Clause
"""Health checks in TLS: by default where backends are spoken TLS to, and as these are."""
import re
import ssl
import subprocess

import pytest

import certs
from certs import TlsScript
from http1 import Script, answer_ok
from lab import TIMEOUT_S, binary, wait_until

HTTP, TCP = {"http": {"path": "/up"}}, {"tcp": {}}
FAST = {"every": "200ms", "timeout": "200ms", "rise": 1, "fall": 1}


@pytest.fixture(name="checked")
def make_checked(http_proxy, ca):
    """checked(script, health, tls={...}) -> Proxy whose pool has one backend, which is checked"""
    def make(script, health, tls=None, **kw):
        pool = {"tls": {"ca": ca.pem, "name": "backend.test", **(tls or {})},
                "health": {**FAST, **health}}
        pool["tls"] = {k: v for k, v in pool["tls"].items() if v}
        return http_proxy(backends=[script], pool=pool, **kw)
    return make


def result(proxy):
    return proxy.daemon.ctl_json("health")["backends"][0]


def wait_for(proxy, state, pattern):
    wait_until(lambda: result(proxy)["state"] == state and re.fullmatch(
        pattern, result(proxy)["result"]), 20, what=lambda: f"{state} {pattern}: {result(proxy)}")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("health, good", [
    (HTTP, "200 OK in .* ms"), (TCP, "TLS handshake in .* ms")])
def test_a_good_certificate(checked, ca, health, good, version):
    seen = []

    def serve(peer):
        seen.append(peer.message())
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    script = TlsScript(ca.issue("backend.test"), serve, version=version)
    proxy = checked(script, health)
    wait_for(proxy, "up", good)
    wait_until(lambda: len(script.reused) > 3)
    assert set(script.names) == {"backend.test"}
    assert not any(script.reused)  # each check looks at the certificate
    assert {m.start for m in seen} == ({"GET /up HTTP/1.1"} if health is HTTP else set())
    assert not script.refused


@pytest.mark.parametrize("health", [HTTP, TCP], ids=["http", "tcp"])
@pytest.mark.parametrize("wrong, reason", [
    ("name", "TLS: hostname mismatch"),
    ("date", "TLS: certificate has expired"),
    ("authority", "TLS: (unable to get local issuer certificate|certificate signature failure)"),
    ("address", "TLS: IP address mismatch"),
])
def test_a_wrong_certificate(checked, ca, lab, health, wrong, reason):
    evil = certs.Authority(lab.path("evil"), "evil")
    pair = {"name": lambda: ca.issue("other.test"),
            "date": lambda: ca.issue("backend.test", until="20020304050607Z"),
            "authority": lambda: evil.issue("backend.test"),
            "address": lambda: ca.issue("backend.test")}[wrong]()
    script = TlsScript(pair)
    proxy = checked(script, health, tls={"name": None} if wrong == "address" else None)
    wait_for(proxy, "down", reason)
    wait_until(lambda: script.refused)  # it was told why
    assert "ALERT" in str(script.refused[0]) or "alert" in str(script.refused[0])
    page = proxy.daemon.ctl("health").stdout
    assert re.search(reason, page)
    assert proxy.daemon.log.count("backend is down pool=web backend=b1") == 1


def test_believing_anyone(checked, lab):
    evil = certs.Authority(lab.path("evil"), "evil")
    script = TlsScript(evil.issue("other.test", until="20020304050607Z"))
    wait_for(checked(script, HTTP, tls={"ca": "none"}), "up", "200 OK in .*")


@pytest.mark.parametrize("health", [HTTP, TCP], ids=["http", "tcp"])
def test_what_speaks_no_tls(checked, health):
    def serve(peer):
        peer.fill()
        peer.send("HTTP/1.1 400 Bad Request\r\n\r\n")
    wait_for(checked(Script(serve), health), "down", "TLS: wrong version number")


def test_what_says_nothing(checked, ca):
    def hold(peer):
        peer.to_end()
    proxy = checked(Script(hold), TCP)
    wait_for(proxy, "down", "no answer within 200 ms")
    proxy.config["pools"]["web"]["tls"]["ca"] = ca.pem
    proxy.daemon.reload(proxy.config)  # while a check is under way


def test_what_leaves_during_the_handshake(checked):
    wait_for(checked(Script(lambda peer: peer.fill()), HTTP), "down",
             "TLS: closed during the handshake|read: connection reset by peer")


def test_what_leaves_before_an_answer(checked, ca):
    script = TlsScript(ca.issue("backend.test"), lambda peer: peer.message())
    wait_for(checked(script, HTTP), "down", "closed before an answer")


def test_a_certificate_of_ours(checked, ca, lab):
    ours = certs.Authority(lab.path("ours"), "ours")
    script = TlsScript(ca.issue("backend.test"), ask_for=ours)
    proxy = checked(script, HTTP, tls={"client": ours.issue("shunt")})
    wait_for(proxy, "up", "200 OK in .*")
    del proxy.config["pools"]["web"]["tls"]["client"]
    proxy.daemon.reload(proxy.config)
    wait_for(proxy, "down", "TLS: .*alert certificate required|closed before.*|read: .*")


def test_a_reload_changes_who_is_believed(checked, ca, lab):
    other = certs.Authority(lab.path("other"), "other")
    proxy = checked(TlsScript(ca.issue("backend.test")), TCP)
    wait_for(proxy, "up", "TLS handshake in .*")
    tls = proxy.config["pools"]["web"]["tls"]
    for key, value, state in (("ca", other.pem, "down"), ("ca", ca.pem, "up"),
                              ("name", "other.test", "down"), ("name", "backend.test", "up")):
        tls[key] = value
        proxy.daemon.reload(proxy.config)
        wait_for(proxy, state, "TLS.*")


def test_switched_off(checked, ca):
    script = TlsScript(ca.issue("backend.test"))
    proxy = checked(script, {**TCP, "tls": "off"})
    wait_for(proxy, "up", "connected in .*")
    assert not script.names


@pytest.mark.parametrize("tls", ["auto", "on"])
def test_a_port_of_its_own(checked, ca, tls):
    """In the clear, unless it is said."""
    own = TlsScript(ca.issue("backend.test")) if tls == "on" else Script(answer_ok)
    proxy = checked(TlsScript(ca.issue("backend.test")),
                    {"http": {"port": own.port}, "tls": tls})
    wait_for(proxy, "up", "200 OK in .*")
    assert own.connections > 0


def test_no_check_said_is_a_handshake(checked, ca):
    proxy = checked(TlsScript(ca.issue("backend.test")), TCP)
    del proxy.config["pools"]["web"]["health"]
    proxy.daemon.reload(proxy.config)
    wait_for(proxy, "up", "TLS handshake in .*")


def test_where_backends_speak_no_tls_it_cannot_be_on(lab):
    path = lab.path("check.yaml")
    with open(path, "w", encoding="utf-8") as f:
        f.write("pools:\n  web:\n    health: {tcp: {}, tls: on}\n"
                "    backends: [{name: b1, address: '127.0.0.1:1'}]\nservices:\n"
                "  web: {listen: '127.0.0.1:1234/tcp', mode: http, pool: web}\n")
    done = subprocess.run([binary("shuntd"), "-c", path, "--check"], capture_output=True,
                          check=False, text=True, timeout=TIMEOUT_S)
    assert done.returncode == 1
    assert f"{path}:3:28: error: pool web: health.tls: its backends are not spoken TLS to" in (
        done.stdout + done.stderr)
