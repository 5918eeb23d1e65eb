# SPDX-License-Identifier: BSD-2-Clause
"""Requests for another host than the one that the connection is for."""
import pytest

import certs


def status(proxy, ca, sni, host, pair=None):
    context = ca.context()
    context.check_hostname = False
    if pair:
        context.load_cert_chain(pair["cert"], pair["key"])
    with proxy.open(context, name=sni) as client:
        head = f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"
        first = client.ask(head).status
        if first == 421:
            assert client.to_end() == b""
        else:
            assert client.ask(head).status == first
        return first


@pytest.fixture(name="several")
def make_several(tls_proxy, ca):
    """Certificates for a and b.test, for *.c.test, for d.test by RSA and ECDSA."""
    return tls_proxy(tls={"certificates": [
        ca.issue("a.test", "b.test"), ca.issue("*.c.test"), ca.issue("d.test", kind="rsa"),
        ca.issue("d.test", "e.test"), ca.issue("x.c.test")]})


@pytest.mark.parametrize("sni, host, expected", [
    ("a.test", "a.test", 200), ("a.test", "A.Test", 200), ("a.test", "a.test:8443", 200),
    ("a.test", "a.test.", 200),
    ("a.test", "b.test", 200),          # its certificate is for both: connections may be shared
    ("y.c.test", "z.c.test", 200), ("y.c.test", "x.c.test", 200),
    ("a.test", "nobody.test", 200),     # no other certificate is for it
    ("a.test", "127.0.0.1", 200), ("a.test", "[::1]:80", 200), ("a.test", "x" * 300, 200),
    (None, "d.test", 200), ("127.0.0.1", "a.test", 200),  # who did not say whom it expects
    ("d.test", "e.test", 200),
    ("a.test", "d.test", 421), ("a.test", "D.TEST:443", 421), ("a.test", "d.test.", 421),
    ("a.test", "y.c.test", 421), ("x.c.test", "y.c.test", 421), ("d.test", "a.test", 421),
    ("unknown.test", "d.test", 421),
])
def test_a_host_with_another_certificate(several, ca, sni, host, expected):
    assert status(several, ca, sni, host) == expected


def test_the_target_counts_as_the_host(several, ca):
    with several.open(ca.context(), name="a.test") as client:
        client.send("GET http://d.test/ HTTP/1.1\r\nHost: d.test\r\n\r\n")
        reply = client.message()
    assert (reply.status, reply.body) == (
        421, b"421 Misdirected Request: this connection is not for that host\n")
    assert several.counter("local_errors") == 1


@pytest.mark.parametrize("sni, host, expected", [
    ("a.test", "a.test", 200), ("a.test", "A.test.:443", 200), ("nobody.test", "nobody.test", 200),
    ("a.test", "b.test", 421), ("a.test", "nobody.test", 421), ("a.test", "127.0.0.1", 421),
    ("a.test", "x" * 300, 421), ("nobody.test", "a.test", 421),
    (None, "a.test", 200), (None, "127.0.0.1", 200), (None, "d.test", 421),
])
def test_where_clients_have_certificates(tls_proxy, ca, lab, sni, host, expected):
    clients = certs.Authority(lab.path("clients"), "clients")
    proxy = tls_proxy(tls={"clients": {"ca": clients.pem}, "certificates": [
        ca.issue("a.test", "b.test"), ca.issue("d.test")]})
    assert status(proxy, ca, sni, host, clients.issue("alice")) == expected


def test_a_plain_service_has_no_such_rule(http_proxy):
    assert http_proxy().ask("GET / HTTP/1.1\r\nHost: any.test\r\n\r\n").status == 200


def test_a_resumed_connection_is_for_its_own_name(several, ca):
    """A session may go on under another name; what counts is what is asked for now."""
    context = ca.context()
    context.check_hostname = False
    with several.open(context, name="a.test") as client:
        assert client.ask("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").status == 200
        session = client.sock.session
    with several.open(context, name="d.test", session=session) as client:
        assert client.ask("GET / HTTP/1.1\r\nHost: d.test\r\n\r\n").status == 200
        assert client.ask("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").status == 421
