# SPDX-License-Identifier: BSD-2-Clause
"""OCSP responses: which are sent, which are refused, and how new ones are taken."""
import os
import re
import subprocess

import pytest
import yaml

import certs
import ocsp
from lab import TIMEOUT_S, binary, wait_until

NONE = "no response sent"


def asked(proxy, ca, *args):
    """What openssl says of the response that it got: "good", "revoked", or that there was none."""
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{proxy.port}", "-servername", "example.org",
         "-CAfile", ca.pem, "-status", *args], stdin=subprocess.DEVNULL, capture_output=True,
        check=False, timeout=TIMEOUT_S)
    text = done.stdout.decode(errors="replace")
    assert "Verify return code: 0 (ok)" in text, text + done.stderr.decode()
    found = re.search(r"OCSP response: *(no response sent)|Cert Status: (\w+)", text)
    assert found, text
    return found[1] or found[2]


def serial(proxy, *args):
    """Of the certificate that the response is about."""
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{proxy.port}", "-status", *args],
        stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=TIMEOUT_S)
    return int(re.search(rb"Serial Number: (\w+)", done.stdout.split(b"OCSP Response Data")[1])[1],
               16)


def counts(proxy):
    return proxy.counter("ocsp_stapled"), proxy.counter("ocsp_withheld")


def issue_with_chain(ca):
    """Its file has the issuer's certificate too."""
    pair = ca.issue("example.org")
    with open(pair["cert"], "a", encoding="ascii") as f, open(ca.pem, encoding="ascii") as chain:
        f.write(chain.read())
    return pair


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_who_asks_gets_it(tls_proxy, ca, version):
    proxy = tls_proxy(tls={"certificates": [ocsp.staple(ca, ca.issue("example.org"))]})
    assert asked(proxy, ca, version) == "good"
    with proxy.open() as client:  # who does not ask gets none
        assert client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").status == 200
    assert counts(proxy) == (1, 0)
    page = proxy.daemon.ctl("service", "show", "web").stdout
    assert "OCSP response good, expires in" in page
    assert "OCSP responses: 1 sent, 0 not sent" in page


def test_a_response_of_openssl(tls_proxy, ca):
    """As a responder makes them; the certificate's chain has the issuer, so it is verified."""
    pair = issue_with_chain(ca)
    text = certs.openssl("x509", "-in", pair["cert"], "-noout", "-serial").decode()
    index, path = ca.path("index"), ca.path("answer.der")
    with open(index, "w", encoding="ascii") as f:
        f.write(f"V\t351231235959Z\t\t{text.strip().split('=')[1]}\tunknown\t/CN=example.org\n")
    certs.openssl("ocsp", "-index", index, "-rsigner", ca.pem, "-rkey", ca.key, "-CA", ca.pem,
                  "-issuer", ca.pem, "-cert", pair["cert"], "-respout", path, "-ndays", "2",
                  "-noverify")
    assert asked(tls_proxy(tls={"certificates": [{**pair, "ocsp": path}]}), ca) == "good"


def test_each_certificate_has_its_own(tls_proxy, ca):
    pairs = [ocsp.staple(ca, ca.issue("example.org", kind=kind)) for kind in ("rsa", "ecdsa")]
    pairs.append(ca.issue("bare.test"))
    proxy = tls_proxy(tls={"certificates": pairs})
    serials = [int(certs.openssl("x509", "-in", p["cert"], "-noout", "-serial").split(b"=")[1], 16)
               for p in pairs]
    for cipher, expected in (("RSA", serials[0]), ("ECDSA", serials[1])):
        assert serial(proxy, "-tls1_2", "-cipher", f"ECDHE-{cipher}-AES128-GCM-SHA256",
                      "-servername", "example.org") == expected
    assert serial(proxy, "-tls1_3", "-servername", "example.org") == serials[1]
    assert asked(proxy, ca, "-servername", "bare.test") == NONE
    assert counts(proxy) == (3, 0)


@pytest.mark.parametrize("kw, state, warning", [
    ({"since": -7200, "until": -3600}, "expired", "the OCSP response expired on "),
    ({"since": 3600, "until": 7200}, "not valid yet", "the OCSP response is not valid before "),
    ({"status": "revoked"}, "revoked", "says that the certificate is revoked"),
    ({"status": "unknown"}, "unknown", "says that the certificate is unknown"),
])
def test_what_is_not_good_is_not_sent(tls_proxy, ca, kw, state, warning):
    proxy = tls_proxy(tls={"certificates": [ocsp.staple(ca, ca.issue("example.org"), **kw)]})
    assert asked(proxy, ca) == NONE
    assert counts(proxy) == (0, 1)
    assert proxy.counter("tls")["certificates"][0]["ocsp"]["state"] == state
    said = proxy.daemon.ctl("config", "check", proxy.daemon.config_path)
    assert said.rc == 0 and warning in said.stdout + said.stderr
    assert f"OCSP response {state}, expire" in proxy.daemon.ctl("service", "show", "web").stdout


def test_it_expires_while_it_is_served(tls_proxy, ca):
    proxy = tls_proxy(tls={"certificates": [ocsp.staple(ca, ca.issue("example.org"), until=5)]})
    assert asked(proxy, ca) == "good"
    wait_until(lambda: asked(proxy, ca) == NONE, 20)
    wait_until(lambda: proxy.daemon.log.count("the OCSP response has expired") == 1)


# ---- new ones ----

@pytest.mark.parametrize("reloaded", [False, True])
def test_a_new_one_is_taken(tls_proxy, ca, reloaded):
    """Without a reload; also by contexts that were carried over in one."""
    pair = ocsp.staple(ca, ca.issue("example.org"), until=-1)
    proxy = tls_proxy(workers=2, tls={"certificates": [pair]})
    if reloaded:
        proxy.config["services"]["web"]["limits"] = {"header_count": 50}
        proxy.daemon.reload(proxy.config)
    assert asked(proxy, ca) == NONE
    with proxy.open() as before:
        ocsp.put(pair["ocsp"], ocsp.response(ca, pair))
        wait_until(lambda: proxy.daemon.log.count("new OCSP response service=web") == 1)
        assert [asked(proxy, ca) for _ in range(6)] == ["good"] * 6  # at each worker
        assert before.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").status == 200
    assert proxy.counter("tls")["certificates"][0]["ocsp"]["state"] == "good"
    assert proxy.counter("tls_failures") == 0


def test_a_reload_takes_a_new_one(tls_proxy, ca):
    pair = ocsp.staple(ca, ca.issue("example.org"), until=-1)
    proxy = tls_proxy(tls={"certificates": [pair]})
    ocsp.put(pair["ocsp"], ocsp.response(ca, pair))
    proxy.daemon.reload(proxy.config)
    assert asked(proxy, ca) == "good"
    proxy.config["services"]["web"]["tls"]["certificates"] = [
        {k: v for k, v in pair.items() if k != "ocsp"}]
    proxy.daemon.reload(proxy.config)
    assert asked(proxy, ca) == NONE


@pytest.mark.parametrize("bad", ["half", "another's", "gone"])
def test_a_bad_one_leaves_the_old_one(tls_proxy, ca, bad):
    pair = ocsp.staple(ca, ca.issue("example.org"))
    proxy = tls_proxy(tls={"certificates": [pair]})
    if bad == "gone":
        os.unlink(pair["ocsp"])
    elif bad == "half":
        ocsp.put(pair["ocsp"], ocsp.response(ca, pair)[:50])
    else:
        ocsp.put(pair["ocsp"], ocsp.response(ca, ca.issue("example.org")))
    wait_until(lambda: proxy.daemon.log.count("the OCSP response stays what it was") == 1)
    assert asked(proxy, ca) == "good"
    page = proxy.daemon.ctl("service", "show", "web").stdout
    assert "what is in its file now cannot be used: " in page
    ocsp.put(pair["ocsp"], ocsp.response(ca, pair, until=7200))
    wait_until(lambda: proxy.daemon.log.count("new OCSP response") == 1)
    assert "cannot be used" not in proxy.daemon.ctl("service", "show", "web").stdout
    assert proxy.daemon.log.count("the OCSP response stays what it was") == 1


# ---- what is refused ----

@pytest.fixture(name="check")
def make_check(lab):
    """check(pair) -> (exit status, lines of errors and warnings)"""
    def check(pair):
        path = lab.path("check.yaml")
        with open(path, "w", encoding="utf-8") as f:
            yaml.safe_dump({"pools": {"web": {"health": "none", "backends": [
                {"name": "b1", "address": "127.0.0.1:1"}]}}, "services": {"web": {
                    "listen": "127.0.0.1:1234/tcp", "mode": "http", "pool": "web",
                    "tls": {"certificates": [pair]}}}}, f, sort_keys=False)
        done = subprocess.run([binary("shuntd"), "-c", path, "--check"], capture_output=True,
                              check=False, text=True, timeout=TIMEOUT_S)
        said = (done.stdout + done.stderr).replace(path, "FILE")
        return done.returncode, [x for x in said.splitlines() if re.search("(error|warning):", x)]
    return check


@pytest.mark.parametrize("wrong, expected", [
    ("gone", "No such file or directory"),
    ("no DER", "expected an OCSP response in DER form"),
    ("more behind it", "expected an OCSP response in DER form"),
    ("an error", "the OCSP responder answered with an error"),
    ("another's", "the OCSP response is not for that certificate"),
    ("another issuer's", "the OCSP response is not for that certificate"),
    ("for ever", "the OCSP response does not say when it expires"),
    ("large", "an OCSP response must not be larger than 16 KiB"),
])
def test_it_must_be_one_for_the_certificate(check, ca, lab, wrong, expected):
    pair = issue_with_chain(ca)
    good = ocsp.response(ca, pair)
    other = certs.Authority(lab.path("other"), "other")
    data = {
        "no DER": lambda: b"hello", "more behind it": lambda: good + b"\0",
        "an error": lambda: bytes.fromhex("30030a0106"),
        "another's": lambda: ocsp.response(ca, ca.issue("example.org")),
        "another issuer's": lambda: ocsp.response(other, pair),
        "for ever": lambda: ocsp.response(ca, pair, until=None),
        "large": lambda: bytes(20000),
    }
    path = ca.path("answer")
    if wrong in data:
        ocsp.put(path, data[wrong]())
    rc, said = check({**pair, "ocsp": path})
    assert rc == 1 and len(said) == 1 and expected in said[0], said
    assert re.match(r"FILE:\d+:15: error: service web: tls: ", said[0]), said


@pytest.mark.parametrize("signer", ["its issuer", "another"])
def test_the_signature_is_that_of_the_issuer(check, ca, lab, signer):
    pair = issue_with_chain(ca)
    evil = certs.Authority(lab.path("evil"), "ca") if signer == "another" else None
    rc, said = check(ocsp.staple(ca, pair, signer=evil))
    if signer == "another":
        assert rc == 1 and "the OCSP response is not signed by the certificate's issuer" in said[0]
    else:
        assert (rc, said) == (0, [])
