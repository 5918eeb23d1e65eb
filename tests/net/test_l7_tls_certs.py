# SPDX-License-Identifier: BSD-2-Clause
"""Which certificate a client gets, what a policy allows, and what is said of wrong files."""
import os
import re
import ssl
import subprocess

import pytest
import yaml

import certs
from lab import TIMEOUT_S, binary

GET = "GET / HTTP/1.1\r\nHost: example.org\r\n\r\n"
V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


# ---- by name ----

def test_the_certificate_is_that_of_the_name(tls_proxy, ca):
    proxy = tls_proxy(tls={"certificates": [
        ca.issue("example.org", "www.example.org"), ca.issue("*.example.org"),
        ca.issue("deep.x.example.org", "Upper.Example.NET")]})
    for name, expected in {
            "example.org": "example.org", "www.example.org": "example.org",
            "other.example.org": "*.example.org", "deep.x.example.org": "deep.x.example.org",
            "upper.example.net": "deep.x.example.org", "UPPER.EXAMPLE.NET": "deep.x.example.org",
    }.items():
        assert certs.served(proxy.port, ca.context(), name)[0] == expected, name


@pytest.mark.parametrize("name", [
    None, "unknown.test", "a.b.example.org", "127.0.0.1", "org", "a" * 63 + ".test"])
def test_other_names_get_the_first_certificate(tls_proxy, ca, name):
    proxy = tls_proxy(tls={"certificates": [ca.issue("first.test"), ca.issue("*.example.org")]})
    context = ca.context()
    context.check_hostname = False
    assert certs.served(proxy.port, context, name) == ["first.test"]


def key_of(proxy, context, name="example.org"):
    """Is the key of the certificate that is served RSA's or ECDSA's?"""
    with proxy.open(context, name=name) as peer:
        der = peer.sock.getpeercert(binary_form=True)
        assert peer.ask(GET).status == 200
    text = subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", "-text"], input=der,
                          capture_output=True, check=True).stdout
    return "rsa" if b"rsaEncryption" in text else "ecdsa"


@pytest.mark.parametrize("order", ["rsa ecdsa", "ecdsa rsa"])
def test_rsa_and_ecdsa_side_by_side(tls_proxy, ca, order):
    proxy = tls_proxy(tls={"certificates": [
        ca.issue("example.org", kind=kind) for kind in order.split()]})
    assert key_of(proxy, ca.context(V13)) == "ecdsa"
    assert key_of(proxy, ca.context(V12)) == "ecdsa"
    assert key_of(proxy, ca.context(V12, "ECDHE-RSA-AES128-GCM-SHA256")) == "rsa"
    assert key_of(proxy, ca.context(V12, "ECDHE-ECDSA-AES128-GCM-SHA256")) == "ecdsa"


def test_a_wildcard_fills_in_the_kind_that_the_exact_name_lacks(tls_proxy, ca):
    proxy = tls_proxy(tls={"certificates": [
        ca.issue("other.test"), ca.issue("*.example.org", kind="ecdsa"),
        ca.issue("www.example.org", kind="rsa")]})
    rsa, ecdsa = (ca.context(V12, f"ECDHE-{k}-AES128-GCM-SHA256") for k in ("RSA", "ECDSA"))
    assert key_of(proxy, rsa, "www.example.org") == "rsa"
    assert key_of(proxy, ecdsa, "www.example.org") == "ecdsa"
    with pytest.raises(ssl.SSLError):  # no RSA certificate is for that name
        key_of(proxy, rsa, "ftp.example.org")


def test_ed25519(tls_proxy, ca):
    proxy = tls_proxy(tls={"certificates": [ca.issue("example.org", kind="ed25519")]})
    with proxy.open(ca.context(V13)) as client:
        assert client.ask(GET).status == 200


def test_a_chain_is_sent_whole(tls_proxy, ca):
    """The client knows the root alone."""
    middle = certs.Authority(ca.folder, "middle")
    with open(middle.path("v3"), "w", encoding="ascii") as f:
        f.write("basicConstraints=critical,CA:TRUE\n")
    certs.openssl("req", "-new", "-key", middle.key, "-subj", "/CN=middle", "-out",
                  middle.path("middle.csr"))
    certs.openssl("x509", "-req", "-in", middle.path("middle.csr"), "-CA", ca.pem, "-CAkey", ca.key,
                  "-set_serial", "77", "-days", "30", "-extfile", middle.path("v3"), "-out",
                  middle.pem)
    leaf = middle.issue("example.org")
    with open(leaf["cert"], "a", encoding="ascii") as f, open(middle.pem, encoding="ascii") as m:
        f.write(m.read())
    with tls_proxy(tls={"certificates": [leaf]}).open() as client:
        assert client.ask(GET).status == 200


def test_certificate_and_key_in_one_file(tls_proxy, ca):
    pair = ca.issue("example.org")
    with open(pair["cert"], "a", encoding="ascii") as f, open(pair["key"], encoding="ascii") as k:
        f.write(k.read())
    with tls_proxy(tls={"certificates": [{"cert": pair["cert"]}]}).open() as client:
        assert client.ask(GET).status == 200


# ---- policies ----

def handshakes(port, *args):
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *args],
                          input=b"", capture_output=True, check=False, timeout=TIMEOUT_S)
    return done.returncode == 0 and b"Cipher is (NONE)" not in done.stdout


CHACHA13 = ("-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256")
AES13 = ("-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256")
AES12 = ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256")
CHACHA12 = ("-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305")
CBC12 = ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256")
X25519 = ("-groups", "X25519")
P256 = ("-groups", "P-256")
P384 = ("-groups", "P-384")


@pytest.mark.parametrize("policy, yes, no", [
    ("modern", [AES13, CHACHA13, AES13 + X25519, AES13 + P384], [AES12, CHACHA12, CBC12]),
    ("intermediate", [AES13, CHACHA13, AES12, CHACHA12, AES13 + X25519, AES13 + P384], [CBC12]),
    ("fips", [AES13, AES12, AES12 + P256, AES13 + P256],
     [CHACHA13, CHACHA12, CBC12, AES13 + X25519, AES13 + P384]),
])
def test_a_policy_allows_what_it_says(tls_proxy, policy, yes, no):
    proxy = tls_proxy(tls={"policy": policy})
    assert [args for args in yes if not handshakes(proxy.port, *args)] == []
    assert [args for args in no if handshakes(proxy.port, *args)] == []


def test_static_rsa_is_in_no_policy(tls_proxy, ca):
    proxy = tls_proxy(tls={"certificates": [ca.issue("example.org", kind="rsa")]})
    assert handshakes(proxy.port, "-tls1_2", "-cipher", "ECDHE-RSA-AES256-GCM-SHA384")
    assert not handshakes(proxy.port, "-tls1_2", "-cipher", "AES128-GCM-SHA256")


# ---- files that are wrong ----

CONFIG = """\
pools:
  web: {{health: none, backends: [{{name: b1, address: "127.0.0.1:1"}}]}}
services:
  web:
    listen: ["127.0.0.1:1234/tcp"]
    mode: http
    pool: web
    tls:
      policy: {policy}
      certificates:
        - cert: {good[cert]}
          key: {good[key]}
        - cert: {cert}
          key: {key}
"""


@pytest.fixture(name="check")
def make_check(lab, ca):
    """check(cert, key) -> (exit status, what is said), of a certificate beside a good one."""
    def check(cert, key, policy="intermediate"):
        path = lab.path("check.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(CONFIG.format(good=ca.issue("good.test"), cert=cert, key=key, policy=policy))
        done = subprocess.run([binary("shuntd"), "-c", path, "--check"], capture_output=True,
                              check=False, text=True, timeout=TIMEOUT_S)
        said = [line.replace(path, "FILE") for line in (done.stdout + done.stderr).splitlines()
                if re.search(r"(error|warning):", line)]
        return done.returncode, said
    return check


def write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="ascii") as f:
        f.write(text)
    return path


def test_the_key_must_be_that_of_the_certificate(check, ca):
    one, two = ca.issue("a.test"), ca.issue("b.test")
    rc, said = check(one["cert"], two["key"])
    assert rc == 1
    assert said == [f"FILE:14:16: error: service web: tls: {two['key']}: the key is not that of "
                    f"certificate {one['cert']}"]


@pytest.mark.parametrize("part, place", [("cert", "13:17"), ("key", "14:16")])
def test_a_file_must_be_there(check, ca, part, place):
    pair = {**ca.issue("a.test"), part: "/nowhere/x.pem"}
    assert check(**pair) == (1, [
        f"FILE:{place}: error: service web: tls: cannot read /nowhere/x.pem: "
        "No such file or directory"])


@pytest.mark.parametrize("text, expected", [
    ("", "has no certificate in PEM form"),
    ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
     "certificate 1 in it is malformed"),
    ("-----BEGIN CERTIFICATE-----\nno end\n", "certificate 1 in it is malformed"),
    ("hello\n" * 1000, "has no certificate in PEM form"),
    ("x" * (1 << 20) + "x", "File too large"),
], ids=["empty", "not DER", "no end", "no PEM", "large"])
def test_a_certificate_must_be_one(check, ca, text, expected):
    rc, said = check(write(ca.folder, "bad.pem", text), ca.issue("a.test")["key"])
    assert rc == 1 and len(said) == 1 and expected in said[0], said
    assert said[0].startswith("FILE:13:17: error: ")


def test_a_malformed_chain_is_an_error(check, ca):
    pair = ca.issue("a.test")
    with open(pair["cert"], "a", encoding="ascii") as f:
        f.write("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    rc, said = check(**pair)
    assert rc == 1 and "certificate 2 in it is malformed" in said[0]


def test_a_key_must_be_one(check, ca):
    pair = ca.issue("a.test")
    rc, said = check(pair["cert"], pair["cert"])
    assert rc == 1 and said[0].startswith("FILE:14:16: error: ")
    assert "has no private key in PEM form" in said[0]
    locked = ca.path("locked.key")
    certs.openssl("pkey", "-in", pair["key"], "-aes256", "-passout", "pass:x", "-out", locked)
    rc, said = check(pair["cert"], locked)
    assert rc == 1 and "the key is encrypted" in said[0]


def test_a_folder_is_no_file(check, ca):
    rc, said = check(ca.folder, ca.issue("a.test")["key"])
    assert rc == 1 and said[0].endswith(f"{ca.folder} is no regular file")


@pytest.mark.parametrize("kind, policy, expected", [
    ("rsa1024", "intermediate",
     "expected an RSA key of at least 2048 bits, found RSA of 1024 bits"),
    ("p384", "fips", "expected an RSA or P-256 key with policy fips, found ECDSA of 384 bits"),
    ("ed25519", "fips", "expected an RSA or P-256 key with policy fips, found EdDSA"),
])
def test_a_key_must_be_allowed(check, ca, kind, policy, expected):
    rc, said = check(**ca.issue("a.test", kind=kind), policy=policy)
    assert rc == 1 and len(said) == 1 and expected in said[0], said
    assert said[0].startswith("FILE:13:17: error: ")


def test_an_expired_certificate_is_a_warning(check, ca):
    pair = ca.issue("a.test", until="20020304050607Z")
    rc, said = check(**pair)
    assert rc == 0
    assert [line for line in said if "a.test" in line or pair["cert"] in line] == [
        f"FILE:13:17: warning: service web: {pair['cert']}: the certificate expired on "
        "2002-03-04 05:06:07 UTC"]


def test_a_key_that_everybody_can_read_is_a_warning(check, ca):
    pair = ca.issue("a.test")
    for mode, warned in ((0o600, False), (0o640, False), (0o604, True), (0o644, True)):
        os.chmod(pair["key"], mode)
        rc, said = check(**pair)
        assert rc == 0
        assert said == [f"FILE:14:16: warning: service web: {pair['key']}: every user of this host "
                        "may read the private key"] * warned


def test_a_key_in_the_file_of_its_certificate_is_one_too(tls_proxy, ca):
    pair = ca.issue("example.org")
    with open(pair["cert"], "a", encoding="ascii") as f, open(pair["key"], encoding="ascii") as key:
        f.write(key.read())
    os.chmod(pair["cert"], 0o644)
    proxy = tls_proxy(tls={"certificates": [{"cert": pair["cert"]}]})
    proxy.config["pools"]["web"]["tls"] = {"ca": ca.pem, "client": {"cert": pair["cert"]}}
    proxy.daemon.write_config(proxy.config)
    done = proxy.daemon.ctl("config", "check", proxy.daemon.config_path)
    said = done.stdout + done.stderr
    for whose in ("service web", "pool web"):
        assert f"{whose}: {pair['cert']}: every user of this host may read the private key" in said


def test_an_expired_certificate_is_served(tls_proxy, ca):
    proxy = tls_proxy(tls={"certificates": [ca.issue("example.org", until="20020304050607Z")]})
    context = ca.context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with proxy.open(context) as client:
        assert client.ask(GET).status == 200


@pytest.mark.parametrize("tls, expected", [
    ({"policy": "modern"}, "tls.certificates is missing"),
    ({"certificates": []}, "tls.certificates: expected a list of mappings"),
    ({"certificates": [{"cert": "a.pem"}]}, "tls.certificates.cert: expected an absolute path"),
    ({"certificates": [{"key": "/a.pem"}]}, "tls.certificates.cert is missing"),
    ({"certificates": [{"cert": "/a", "keys": "/b"}]}, 'did you mean "key"?'),
    ({"certificates": [{"cert": "/a"}], "policy": "old"}, "expected modern, intermediate or fips"),
])
def test_keys_are_checked(lab, tls, expected):
    path = lab.path("check.yaml")
    with open(path, "w", encoding="utf-8") as f:
        yaml.safe_dump({"pools": {"web": {"health": "none", "backends": [
            {"name": "b1", "address": "127.0.0.1:1"}]}}, "services": {"web": {
                "listen": "127.0.0.1:1234/tcp", "mode": "http", "pool": "web", "tls": tls}}}, f)
    done = subprocess.run([binary("shuntd"), "-c", path, "--check"], capture_output=True,
                          check=False, text=True, timeout=TIMEOUT_S)
    assert done.returncode == 1 and expected in done.stdout + done.stderr, done
