# SPDX-License-Identifier: BSD-2-Clause
"""Packets reach backends, in the shares that the weights ask for, and come back directly."""
import hashlib
import os

import pytest

from l4 import HTTP_PORT, shares


@pytest.mark.parametrize("family,outer", [
    pytest.param(4, 4, marks=[pytest.mark.vm, pytest.mark.vm_every]), (4, 6), (6, 4),
    pytest.param(6, 6, marks=pytest.mark.vm)])
def test_tcp_and_udp_reach_every_backend(l4, client, family, outer):
    it = l4(backends=2, outer=outer)
    it.expect_served(client, family)
    udp = client("udp", it.target(family), "--flows", 60, ns=it.net.client).result()
    assert udp["lost"] == 0 and set(udp["by"]) == {"b1", "b2"}


@pytest.mark.vm
def test_answers_do_not_come_back_through_the_balancer(l4, client):
    it = l4(backends=1)
    before = it.net.balancer.link_counters("eth0")["tx_bytes"]
    url = f"http://{it.target(4, HTTP_PORT)}/bytes/1000000"
    assert client("http", url, "--requests", 3, "--connections", 1,
                  ns=it.net.client).result()["ok"] == 3
    sent = it.net.balancer.link_counters("eth0")["tx_bytes"] - before
    assert sent < 1000000  # requests and acknowledgements only


@pytest.mark.parametrize("family", [4, 6])
def test_full_sized_packets_fit_the_tunnel(l4, family, tmp_path):
    """An upload, so that packets of 1500 bytes are encapsulated."""
    it = l4(backends=1, outer=6)
    body = os.urandom(1 << 20)
    (tmp_path / "body").write_bytes(body)
    done = it.net.client.run([
        "curl", "-sS", "-g", "-m", "30", "--data-binary", f"@{tmp_path}/body",
        f"http://{it.target(family, HTTP_PORT)}/sink"])
    assert hashlib.sha256(body).hexdigest() in done.stdout
    assert not any(it.drops().values())


@pytest.mark.parametrize("family", [4, 6])
def test_10000_connections_land_by_the_weights(l4, client, family):
    """Of 10000 different flows; their standard deviation is half a percent, at most."""
    weights = {"b1": 1, "b2": 2, "b3": 5}
    it = l4(backends=3, weights=weights)
    got = shares(it.expect_served(client, family, count=10000, args=["--distinct"]))
    for name, weight in weights.items():
        assert abs(got[name] - weight / 8) < 0.02, got
    counted = shares({name: c["new_flows"] for name, c in it.backend_counters().items()})
    assert all(abs(counted[name] - got[name]) < 0.001 for name in weights), (counted, got)
    assert it.counters()["new_flows"] == 10000


def test_the_ring_holds_the_weights(l4):
    it = l4(backends=3, weights={"b1": 1, "b2": 2, "b3": 5})
    slots = {name: c["slots"]["echo"] for name, c in it.backend_counters().items()}
    assert sum(slots.values()) == 65537
    for name, weight in it.weights.items():
        assert abs(slots[name] / 65537 - weight / 8) < 0.005 * weight / 8, slots


def test_every_packet_of_a_service_is_counted(l4, client):
    it = l4(backends=2)
    it.expect_served(client, count=100)
    service, backends = it.counters(), it.backend_counters()
    # Of each connection at least SYN, ACK and RST pass the balancer.
    assert service["packets"] >= 300
    for key in ("packets", "bytes", "new_flows"):
        assert sum(b[key] for b in backends.values()) == service[key]
    assert it.verdicts()["tx"] == service["packets"]


@pytest.mark.parametrize("tracking", ["on-change", "always", "never"])
def test_a_connection_stays_where_it_is(l4, client, tracking):
    it = l4(backends=3, service={"tracking": tracking})
    keep = client("keep", it.target(4), "--count", 100, ns=it.net.client)
    assert keep.result()["errors"] == {}
    assert keep.poke() == {"same": 100, "moved": 0, "errors": {}}
    flows = it.daemon.ctl_json("status", "--flows")["l4"]["tables"]["flows"]
    assert flows == (100 if tracking == "always" else 0)
