# SPDX-License-Identifier: BSD-2-Clause
"""Certificates of clients: who gets in, and what the backend is told."""
import ssl

import pytest

import certs
from http1 import OK

GET = "GET / HTTP/1.1\r\nHost: example.org\r\n\r\n"
V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
SUBJECT = "X-Forwarded-Client-Subject"


@pytest.fixture(name="clients")
def make_clients(lab):
    return certs.Authority(lab.path("clients"), "clients")


def revoke(authority, *pairs):
    """A file of its revocation list."""
    stem = authority.path("crl")
    with open(stem + ".cnf", "w", encoding="ascii") as f:
        f.write(f"[ca]\ndefault_ca=d\n[d]\ndatabase={stem}.db\ndefault_md=sha256\n"
                "default_crl_days=30\n")
    with open(stem + ".db", "a", encoding="ascii"):
        pass
    config = ["-config", stem + ".cnf", "-cert", authority.pem, "-keyfile", authority.key]
    for pair in pairs:
        certs.openssl("ca", *config, "-revoke", pair["cert"])
    certs.openssl("ca", *config, "-gencrl", "-out", stem + ".pem")
    return stem + ".pem"


def see(requests):
    def serve(peer):
        while True:
            requests.append(peer.message())
            peer.send(OK)
    return serve


def known_as(ca, pair, version=None):
    """A context of a client that has a certificate."""
    context = ca.context(version)
    if pair:
        context.load_cert_chain(pair["cert"], pair["key"])
    return context


def is_let_in(proxy, context, session=None):
    """TLS 1.3 clients hear of it only after their handshake."""
    try:
        with proxy.open(context, session=session) as client:
            return client.ask(GET).status == 200
    except (ssl.SSLError, ConnectionError, EOFError):
        return False


@pytest.mark.parametrize("version", [V12, V13])
def test_a_certificate_is_required(tls_proxy, ca, clients, lab, version):
    seen = []
    proxy = tls_proxy(see(seen), tls={"clients": {"ca": clients.pem}})
    evil = certs.Authority(lab.path("evil"), "clients")  # of the same name
    assert is_let_in(proxy, known_as(ca, clients.issue("alice"), version))
    for pair in (None, evil.issue("alice"), ca.issue("alice"),
                 clients.issue("alice", until="20020304050607Z"),
                 clients.issue("alice", usage="serverAuth")):
        assert not is_let_in(proxy, known_as(ca, pair, version)), pair
    assert [m.get(SUBJECT) for m in seen] == ["CN=alice"]
    assert proxy.counter("tls_failures") == 5


def test_a_certificate_is_optional(tls_proxy, ca, clients, lab):
    seen = []
    proxy = tls_proxy(see(seen), tls={"clients": {"ca": clients.pem, "verify": "optional"}})
    evil = certs.Authority(lab.path("evil"), "clients")
    assert is_let_in(proxy, ca.context())
    assert is_let_in(proxy, known_as(ca, clients.issue("alice")))
    assert not is_let_in(proxy, known_as(ca, evil.issue("alice")))
    assert [m.get(SUBJECT) for m in seen] == [None, "CN=alice"]


FORGED = ["X-Forwarded-Client-Subject", "x-forwarded-client-subject", "X_Forwarded_Client_Subject",
          "X-Forwarded-Client_Subject"]


@pytest.mark.parametrize("who", ["nobody", "alice", "plain"])
def test_the_subject_cannot_be_forged(tls_proxy, http_proxy, ca, clients, who):
    seen = []
    forged = "".join(f"{name}: CN=root\r\n" for name in FORGED)
    request = f"GET / HTTP/1.1\r\nHost: example.org\r\n{forged}\r\n"
    if who == "plain":
        assert http_proxy(see(seen)).ask(request).status == 200
    else:
        proxy = tls_proxy(see(seen), tls={"clients": {"ca": clients.pem, "verify": "optional"}})
        with proxy.open(known_as(ca, clients.issue("alice") if who == "alice" else None)) as client:
            assert client.ask(request).status == 200
    told = [(k, v) for k, v in seen[0].fields if "subject" in k.lower()]
    assert told == ([(SUBJECT, "CN=alice")] if who == "alice" else [])


@pytest.mark.parametrize("subject, told", [
    ("a, b=c", r"CN=a\, b=c"), ("zoë", r"CN=zo\C3\AB"),
    ("x\r\nHost: evil", r"CN=x\0D\0AHost: evil"),
])
def test_a_subject_is_escaped(tls_proxy, ca, clients, subject, told):
    seen, stem = [], clients.path("odd")
    with open(stem + ".cnf", "w", encoding="utf-8") as f:
        text = subject.replace("\r", r"\r").replace("\n", r"\n").replace(",", r"\,")
        f.write(f"[req]\nprompt=no\nutf8=yes\nstring_mask=utf8only\ndistinguished_name=n\n"
                f"[n]\nCN={text}\n")
    certs.openssl("req", "-new", *certs.KEYS["ecdsa"], "-nodes", "-config", stem + ".cnf",
                  "-keyout", stem + ".key", "-out", stem + ".csr")
    certs.openssl("x509", "-req", "-in", stem + ".csr", "-CA", clients.pem, "-CAkey", clients.key,
                  "-set_serial", "7", "-days", "30", "-out", stem + ".pem")
    proxy = tls_proxy(see(seen), tls={"clients": {"ca": clients.pem}})
    assert is_let_in(proxy, known_as(ca, {"cert": stem + ".pem", "key": stem + ".key"}))
    assert seen[0].get(SUBJECT) == told


@pytest.mark.parametrize("version", [V12, V13])
def test_a_revoked_certificate_is_refused(tls_proxy, ca, clients, version):
    good, bad = clients.issue("good"), clients.issue("bad")
    proxy = tls_proxy(tls={"clients": {"ca": clients.pem, "crl": revoke(clients, bad)}})
    assert is_let_in(proxy, known_as(ca, good, version))
    assert not is_let_in(proxy, known_as(ca, bad, version))


@pytest.mark.parametrize("version", [V12, V13])
def test_a_session_ends_when_its_certificate_is_revoked(tls_proxy, ca, clients, version):
    seen, alice = [], clients.issue("alice")
    proxy = tls_proxy(see(seen), tls={"clients": {"ca": clients.pem, "crl": revoke(clients)}})
    context = known_as(ca, alice, version)
    with proxy.open(context) as client:
        assert client.ask(GET).status == 200
        session = client.sock.session
    with proxy.open(context, session=session) as client:
        assert client.sock.session_reused
        assert client.ask(GET).status == 200
    assert [m.get(SUBJECT) for m in seen] == ["CN=alice"] * 2  # known when it is resumed, too
    revoke(clients, alice)
    proxy.daemon.reload(proxy.config)
    assert not is_let_in(proxy, context, session)


def test_a_session_does_not_carry_over_to_a_stricter_service(tls_proxy, ca, clients):
    proxy = tls_proxy()
    context = ca.context(V12)
    with proxy.open(context) as client:
        assert client.ask(GET).status == 200
        session = client.sock.session
    proxy.config["services"]["web"]["tls"]["clients"] = {"ca": clients.pem}
    proxy.daemon.reload(proxy.config)
    assert not is_let_in(proxy, context, session)


@pytest.mark.parametrize("stricter", [True, False], ids=["stricter", "the same"])
def test_an_open_connection_does_not_stay_where_more_is_asked(tls_proxy, ca, clients, stricter):
    proxy = tls_proxy(see([]), tls={"clients": {"ca": clients.pem, "verify": "optional"}})
    tls = proxy.config["services"]["web"]["tls"]
    with proxy.open(ca.context()) as client:
        assert client.ask(GET).status == 200
        if not stricter:
            tls["certificates"] = [ca.issue("example.org")]
            proxy.daemon.reload(proxy.config)
            assert client.ask(GET).status == 200
            return
        tls["clients"]["verify"] = "required"
        proxy.daemon.reload(proxy.config)
        with pytest.raises((EOFError, OSError)):
            client.ask(GET)
    assert not is_let_in(proxy, ca.context())
    assert is_let_in(proxy, known_as(ca, clients.issue("alice")))


@pytest.mark.parametrize("key, expected", [
    ("ca", "expected certificates of authorities in PEM form"),
    ("crl", "expected revocation lists in PEM form")])
def test_files_are_checked(tls_proxy, clients, key, expected):
    proxy = tls_proxy(tls={"clients": {"ca": clients.pem}})
    proxy.config["services"]["web"]["tls"]["clients"][key] = clients.key
    proxy.daemon.write_config(proxy.config)
    done = proxy.daemon.ctl("config", "apply", proxy.daemon.config_path)
    assert done.rc != 0 and f"{clients.key}: {expected}" in done.stdout + done.stderr
