# SPDX-License-Identifier: BSD-2-Clause
"""Packets that are not simply TCP or UDP for a service: fragments, ICMP, and what does not fit."""
import hashlib
import json
import os
import re

import pytest

from l4 import ECHO_PORT, HTTP_PORT
from lab import HERE, PYTHON

FAMILIES = pytest.mark.parametrize("family", [4, 6])


def upload(it, family, tmp_path, size=1 << 20):
    """Bytes from the client to a backend, in packets as large as the client thinks possible."""
    body = os.urandom(size)
    (tmp_path / "body").write_bytes(body)
    done = it.net.client.run([
        "curl", "-sS", "-g", "-m", "30", "--data-binary", f"@{tmp_path}/body",
        f"http://{it.target(family, HTTP_PORT)}/sink"])
    assert hashlib.sha256(body).hexdigest() in done.stdout


# ---- fragments

@FAMILIES
def test_big_datagrams_are_answered(l4, family):
    it = l4(backends=3)
    done = it.net.client.run([PYTHON, f"{HERE}/big_datagrams.py", it.vip(family), str(ECHO_PORT),
                              "9000", "40"])
    result = json.loads(done.stdout)
    assert result["lost"] == 0 and set(result["by"]) == {"b1", "b2", "b3"}, result
    assert it.counters("echo-udp")["fragments"] >= 40 * 7
    assert not any(it.drops("echo-udp").values())


@FAMILIES
@pytest.mark.parametrize("order", ["0,1,2", "0,2,1"])
def test_fragments_behind_the_first_one_may_come_in_any_order(l4, family, order):
    it = l4(backends=3)
    done = it.net.client.run([PYTHON, f"{HERE}/fragments.py",
                              it.net.client.addr4 if family == 4 else it.net.client.addr6,
                              it.vip(family), str(ECHO_PORT), order])
    assert done.stdout.strip() in it.servers


@FAMILIES
def test_a_fragment_before_the_first_one_is_dropped_by_name(l4, family):
    it = l4(backends=3)
    done = it.net.client.run([PYTHON, f"{HERE}/fragments.py",
                              it.net.client.addr4 if family == 4 else it.net.client.addr6,
                              it.vip(family), str(ECHO_PORT), "2,0,1"], check=False)
    assert done.returncode == 1, done
    drops = [it.drops(name)["fragment"] for name in ("echo", "echo-udp")]
    assert sorted(drops) == [0, 1]


# ---- echo

@pytest.mark.parametrize("family", [4, 6])
def test_service_addresses_answer_echo_requests(l4, family):
    it = l4(backends=1)
    ping = ["ping", "-q", "-c", "3", "-i", "0.2", "-W", "5"]
    for size in ("0", "56", "1400"):
        it.net.client.run([*ping, "-s", size, it.vip(family)])
    assert it.verdicts()["answered"] == 9
    # Another address that is routed here, and the balancer's own, are not ours to answer for.
    other = it.net.vip4(99) if family == 4 else it.net.vip6(99)
    assert it.net.client.run(["ping", "-q", "-c", "1", "-W", "1", other], check=False).returncode
    own = it.net.balancer.addr4 if family == 4 else it.net.balancer.addr6
    it.net.client.run([*ping, own])
    assert it.verdicts()["answered"] == 9


def test_echo_can_be_switched_off(l4):
    it = l4(backends=1)
    ping = ["ping", "-q", "-c", "1", "-W", "1", it.vip(4)]
    it.net.client.run(ping)
    it.daemon.reload(it.config(node={"echo": "off"}))
    assert it.net.client.run(ping, check=False).returncode


# ---- packets too big

@FAMILIES
@pytest.mark.parametrize("outer", [4, 6])
def test_a_client_is_told_what_fits_the_tunnel(l4, family, outer, tmp_path):
    it = l4(backends=2, outer=outer, pool={"mtu": 1400})
    upload(it, family, tmp_path)
    assert it.drops()["too_big"] > 0
    assert it.counters()["icmp_sent"] > 0


@FAMILIES
@pytest.mark.parametrize("outer", [4, 6])
def test_a_client_is_told_what_fits_behind_the_balancer(l4, family, outer, tmp_path):
    """A router on the way to the backends, of which the balancer knows nothing, has less room."""
    it = l4(backends=2, outer=outer)
    it.net.router.ip(*(f"link set {name} mtu 1420" for name in it.net.backends))
    upload(it, family, tmp_path)
    assert not any(it.drops().values())
    assert it.counters()["icmp_sent"] > 0


@FAMILIES
def test_a_syn_is_made_to_ask_for_smaller_segments(l4, client, family):
    it = l4(backends=1, service={"mss": 900})
    keep = client("keep", it.target(family), "--count", 3, ns=it.net.client)
    assert keep.result()["errors"] == {}
    seen = it.net.backends["b1"].run(["ss", "-tin", "state", "established"]).stdout
    sizes = [int(n) for n in re.findall(r"\bmss:(\d+)", seen)]
    assert len(sizes) == 3 and all(800 < n <= 900 for n in sizes), seen
    assert it.counters()["mss_lowered"] == 3


def test_mss_auto_leaves_nothing_too_big(l4, tmp_path):
    """What the client is to send is the server's matter; here both ask for no more than fits."""
    it = l4(backends=1, pool={"mtu": 1400}, service={"mss": "auto"})
    it.net.backends["b1"].ip(
        f"route change default via {it.net.router_address(it.net.backends['b1'], 4)} "
        "mtu lock 1500 advmss 1340")
    upload(it, 4, tmp_path)
    assert it.counters()["mss_lowered"] > 0
    assert not any(it.drops().values())


# ---- errors

@FAMILIES
def test_errors_about_answers_reach_the_backend_that_sent_them(l4, client, family):
    """The last link to the client takes less than the servers think. What the router says of it
    goes to the service's address, so to the balancer: downloads end only if it finds its way on."""
    it = l4(backends=3)
    for ns in it.net.backends.values():
        ns.ip(f"route change default via {it.net.router_address(ns, 4)} mtu 1500",
              f"route change ::/0 via {it.net.router_address(ns, 6)} mtu 1500")
    it.net.router.ip("link set c1 mtu 1300")
    result = client("http", f"http://{it.target(family, HTTP_PORT)}/bytes/200000",
                    "--requests", 30, "--connections", 30, ns=it.net.client).result()
    assert result["ok"] == 30, result
    assert it.counters()["icmp_errors"] >= 3
    assert it.counters()["icmp_sent"] == 0
