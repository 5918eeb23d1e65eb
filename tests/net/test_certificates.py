# SPDX-License-Identifier: BSD-2-Clause
"""shuntctl cert list: what is said of certificates that are good, near their end, or past it."""
import re
import time

import pytest

import ocsp
from lab import wait_until

DAY = 24 * 3600


def until(days):
    """For a certificate that was made in 2001."""
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + days * DAY + 3600))


def listed(proxy):
    return proxy.daemon.ctl_json("cert", "list")["certificates"]


def test_a_page_of_all_certificates(tls_proxy, ca):
    pair = ca.issue("example.org", "www.example.org")
    good = ocsp.staple(ca, pair, since=-3600, until=2 * DAY + 9000)
    proxy = tls_proxy(tls={"certificates": [good, ca.issue("*.other.org", until=until(3))]})
    done = proxy.daemon.ctl("cert", "list")
    assert done.rc == 0 and not done.stderr, done
    head, first, second = done.stdout.splitlines()
    assert head.split() == ["SERVICE", "CERTIFICATE", "NAMES", "KEY", "UNTIL", "LEFT", "OCSP",
                            "WARNING"]
    assert re.fullmatch(r"web +\S+pem +example.org, www.example.org +ECDSA 256 +20\d\d-\d\d-\d\d +"
                        r"(29d23h|30d) +good, (60m|1h)\S* old, 2d\d+h left +-", first), first
    assert re.fullmatch(r"web +\S+pem +\*.other.org +ECDSA 256 +\S+ +3d(0h|1h)? +- +expires soon",
                        second), second
    assert [c["warning"] for c in listed(proxy)] == [None, "expires soon"]
    shown = proxy.daemon.ctl_json("service", "show", "web")["http"]["tls"]["certificates"]
    assert [c["warning"] for c in shown] == [None, "expires soon"] and "service" not in shown[0]


@pytest.mark.parametrize("kind, warning", [
    ({"days": 30}, None),
    ({"until": until(13)}, "expires soon"),
    ({"until": until(14)}, None),  # and one hour
    ({"days": 4}, None),  # short-lived, and new
])
def test_when_a_certificate_is_near_its_end(tls_proxy, ca, kind, warning):
    proxy = tls_proxy(tls={"certificates": [ca.issue("example.org", **kind)]})
    assert [c["warning"] for c in listed(proxy)] == [warning]


@pytest.mark.parametrize("kind, warning", [
    ({"since": -60, "until": 3600}, None),
    ({"since": -3600, "until": 3600}, None),
    ({"since": -3600, "until": 600}, "its OCSP response expires soon"),
    ({"since": -3600, "until": -60}, "its OCSP response has expired"),
    ({"status": "revoked"}, "its OCSP response says that it is revoked"),
    ({"status": "unknown"}, "its OCSP responder does not know it"),
])
def test_when_an_ocsp_response_is(tls_proxy, ca, kind, warning):
    proxy = tls_proxy(tls={"certificates": [ocsp.staple(ca, ca.issue("example.org"), **kind)]})
    assert [c["warning"] for c in listed(proxy)] == [warning]


def test_an_expired_certificate_and_one_with_a_file_of_no_use(tls_proxy, ca):
    pair = ocsp.staple(ca, ca.issue("example.org"))
    proxy = tls_proxy(tls={"certificates": [pair, ca.issue("old.org", until=until(-1))]})
    ocsp.put(pair["ocsp"], b"nonsense")
    wanted = ["the file of its OCSP response cannot be used", "has expired"]
    wait_until(lambda: [c["warning"] for c in listed(proxy)] == wanted)
    page = proxy.daemon.ctl("cert", "list").stdout
    assert re.search(r" -\d+[dh]\S* +- +has expired", page), page


def test_no_certificates(http_proxy):
    done = http_proxy().daemon.ctl("cert", "list")
    assert done.rc == 0 and done.stdout == "no certificates\n"


def test_metrics_of_ocsp_responses(admin, ca):
    now = time.time()
    pair = ocsp.staple(ca, ca.issue("example.org"), since=-3600, until=7200)
    plain = ca.issue("plain.org")
    a = admin(tls={"certificates": [pair, plain]})
    metrics = a.metrics()
    labels = f'{{service="web",cert="{pair["cert"]}"}}'
    assert abs(metrics["shunt_ocsp_this_update_seconds" + labels] - now + 3600) < 60
    assert abs(metrics["shunt_ocsp_next_update_seconds" + labels] - now - 7200) < 60
    assert metrics["shunt_ocsp_good" + labels] == 1
    assert sum("shunt_certificate_not_after_seconds" in name for name in metrics) == 2
    assert sum("shunt_ocsp_good" in name for name in metrics) == 1
