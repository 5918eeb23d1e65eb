# SPDX-License-Identifier: BSD-2-Clause
"""Sessions that go on, keys that are rotated, certificates that are replaced."""
import copy
import os
import ssl
import subprocess
import threading
import time

import pytest

import certs
from lab import TIMEOUT_S, wait_until

GET = "GET / HTTP/1.1\r\nHost: example.org\r\n\r\n"
V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


def session_of(proxy, context, name="example.org", session=None):
    """(was it resumed?, the session) of a connection; TLS 1.3 brings tickets with the answer."""
    with proxy.open(context, name=name, session=session) as peer:
        assert peer.ask(GET).status == 200
        return peer.sock.session_reused, peer.sock.session


@pytest.mark.parametrize("version", [V12, V13])
def test_a_session_goes_on_at_any_worker(tls_proxy, ca, version):
    proxy = tls_proxy(workers=4)
    context = ca.context(version)
    _, session = session_of(proxy, context)
    assert session.has_ticket
    assert [session_of(proxy, context, session=session)[0] for _ in range(20)] == [True] * 20
    assert (proxy.counter("tls_resumed"), proxy.counter("tls_handshakes")) == (20, 21)


def test_a_resumed_handshake_brings_another_ticket(tls_proxy, ca):
    """A client that uses each ticket of TLS 1.3 once goes on all the same."""
    proxy = tls_proxy(workers=4)
    context = ca.context(V13)
    _, session = session_of(proxy, context)
    seen = {session.id}
    for _ in range(5):
        resumed, session = session_of(proxy, context, session=session)
        assert resumed and session.has_ticket
        seen.add(session.id)
    assert len(seen) == 6  # each its own


def test_a_client_without_tickets_at_any_worker(tls_proxy, ca):
    proxy = tls_proxy(workers=4)
    context = ca.context(V12)
    context.options |= ssl.OP_NO_TICKET
    _, session = session_of(proxy, context)
    assert session.id and not session.has_ticket
    assert [session_of(proxy, context, session=session)[0] for _ in range(20)] == [True] * 20


@pytest.mark.parametrize("tickets", [True, False])
def test_a_session_is_of_its_service_alone(tls_proxy, ca, free_port, tickets):
    proxy = tls_proxy()
    web, port = proxy.config["services"]["web"], free_port()
    proxy.config["services"]["other"] = {**copy.deepcopy(web), "listen": [f"127.0.0.1:{port}/tcp"]}
    proxy.daemon.reload(proxy.config)
    context = ca.context(V12)
    if not tickets:
        context.options |= ssl.OP_NO_TICKET
    _, session = session_of(proxy, context)
    with certs.connect(port, context, session=session) as peer:
        assert not peer.sock.session_reused
        assert peer.ask(GET).status == 200
    assert session_of(proxy, context, session=session)[0]


def test_ticket_keys_are_rotated(tls_proxy, ca):
    """A ticket is good for the rest of its key's time and once that again."""
    proxy = tls_proxy(workers=2, node={"ticket_rotation": "2s"})
    context = ca.context(V13)
    _, session = session_of(proxy, context)
    start = time.monotonic()
    assert session_of(proxy, context, session=session)[0]
    wait_until(lambda: not session_of(proxy, context, session=session)[0], 10)
    assert 2 <= time.monotonic() - start <= 5
    _, later = session_of(proxy, context)
    assert session_of(proxy, context, session=later)[0]


def test_sessions_survive_a_reload(tls_proxy, ca):
    proxy = tls_proxy(workers=2)
    for version in (V12, V13):
        context = ca.context(version)
        _, session = session_of(proxy, context)
        proxy.config["services"]["web"]["limits"] = {"header_count": 50 + int(version) % 10}
        proxy.daemon.reload(proxy.config)
        assert session_of(proxy, context, session=session)[0]


def test_a_session_goes_on_with_a_new_certificate(tls_proxy, ca):
    pair = ca.issue("example.org", file="pair")
    proxy = tls_proxy(tls={"certificates": [pair]})
    context = ca.context(V13)
    _, session = session_of(proxy, context)
    ca.issue("example.org", "new.example.org", file="pair")
    proxy.daemon.reload(proxy.config)
    assert session_of(proxy, context, session=session)[0]


# ---- replaced certificates ----

def test_a_reload_brings_new_certificates(tls_proxy, ca):
    pair = ca.issue("example.org", file="pair")
    proxy = tls_proxy(tls={"certificates": [pair]})
    with proxy.open() as before:
        assert before.ask(GET).status == 200
        ca.issue("example.org", "new.example.org", file="pair")
        assert certs.served(proxy.port, ca.context(), "example.org") == ["example.org"]
        proxy.daemon.reload(proxy.config)
        assert certs.served(proxy.port, ca.context(), "example.org") == [
            "example.org", "new.example.org"]
        assert before.ask(GET).status == 200  # its connection stays


def test_a_wrong_certificate_changes_nothing(tls_proxy, ca):
    pair = ca.issue("example.org", file="pair")
    proxy = tls_proxy(tls={"certificates": [pair]})
    with open(pair["cert"], encoding="ascii") as f:
        old = f.read()
    with open(pair["cert"], "w", encoding="ascii") as f:
        f.write(old[:200])
    result = proxy.daemon.ctl("config", "apply", proxy.daemon.config_path)
    assert result.rc != 0 and "certificate 1 in it is malformed" in result.stdout + result.stderr
    assert certs.served(proxy.port, ca.context(), "example.org") == ["example.org"]
    os.unlink(pair["cert"])
    result = proxy.daemon.ctl("config", "apply", proxy.daemon.config_path)
    assert result.rc != 0 and "No such file or directory" in result.stdout + result.stderr
    with proxy.open() as client:
        assert client.ask(GET).status == 200


class Load:
    """Connections all the time; any error is kept."""

    def __init__(self, proxy, context, count=4):
        self.proxy, self.context = proxy, context
        self.errors, self.done, self.stop = [], 0, threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(i % 2,)) for i in range(count)]
        for thread in self.threads:
            thread.start()

    def _run(self, resume):
        session = None
        while not self.stop.is_set():
            try:
                with self.proxy.open(self.context, session=session if resume else None) as peer:
                    for _ in range(3):
                        assert peer.ask(GET).status == 200
                    session = peer.sock.session
                self.done += 1
            except Exception as exc:  # pylint: disable=broad-except
                self.errors.append(exc)

    def finish(self):
        self.stop.set()
        for thread in self.threads:
            thread.join()
        return self.errors


@pytest.mark.parametrize("version", [V12, V13])
def test_certificates_are_replaced_under_load(tls_proxy, ca, version):
    pairs = [ca.issue("example.org", kind=kind) for kind in ("ecdsa", "rsa")]
    proxy = tls_proxy(workers=2, tls={"certificates": [pairs[0]]})
    load = Load(proxy, ca.context(version))
    for i in range(15):
        before = load.done
        proxy.config["services"]["web"]["tls"]["certificates"] = [pairs[i % 2]]
        proxy.daemon.reload(proxy.config)
        wait_until(lambda b=before: load.done > b + 8 or load.errors)
    assert load.finish() == []
    assert proxy.counter("tls_failures") == 0
    assert proxy.counter("tls_resumed") > 10


# ---- what is shown ----

def test_expiry_is_a_number(tls_proxy, ca):
    proxy = tls_proxy(tls={"certificates": [
        ca.issue("example.org", "*.example.org", days=10),
        ca.issue("old.test", kind="rsa", until="20020304050607Z")]})
    tls = proxy.counter("tls")
    assert tls["policy"] == "intermediate"
    new, old = tls["certificates"]
    assert new["names"] == ["example.org", "*.example.org"]
    assert (new["key"], new["bits"]) == ("ECDSA", 256)
    assert 9.9 * 86400 < new["expires_in_seconds"] <= 10 * 86400
    assert (old["key"], old["bits"], old["not_after"]) == ("RSA", 2048, "2002-03-04T05:06:07Z")
    assert old["expires_in_seconds"] < -20 * 365 * 86400
    page = proxy.daemon.ctl("service", "show", "web").stdout
    assert "ECDSA 256 for example.org and others, expires in" in page
    assert "RSA 2048 for old.test, expired" in page


def test_a_plain_service_shows_none(http_proxy):
    assert http_proxy().counter("tls") is None


def test_early_data_is_off(tls_proxy, ca):
    """No ticket offers it."""
    proxy = tls_proxy()
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{proxy.port}", "-tls1_3", "-CAfile", ca.pem,
         "-ign_eof"], input=b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        capture_output=True, check=False, timeout=TIMEOUT_S)
    assert b"Max Early Data: 0" in done.stdout
