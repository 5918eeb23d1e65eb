# SPDX-License-Identifier: BSD-2-Clause
"""Every way to a backend carries real connections: tunnels, l2 and this host itself; back to the
router or by the routes, over several interfaces; all of them in one service."""
import hashlib
import os

import pytest

from l4 import HTTP_PORT
from lab import wait_until
from segment import Mixed

FAMILY_PAIRS = [(4, 4), (4, 6), (6, 4), (6, 6)]


@pytest.fixture
def mixed(topology, shuntd, backend):
    """mixed(ways={"b1": "gue", ...}, next_hop="fib", outer=4, ...) -> Mixed, steering."""
    def make(ways, serve=True, start=True, **kw):
        it = Mixed(topology(backends=len([name for name in ways if name != "self"])), ways, **kw)
        if serve:
            it.serve(backend)
        it.daemon = shuntd(it.config(), ns=it.net.balancer, start=start)
        return it
    return make


@pytest.mark.parametrize("family,outer", FAMILY_PAIRS)
def test_gue_back_to_the_router(mixed, client, family, outer):
    it = mixed({"b1": "gue", "b2": "gue"}, next_hop="reflect", outer=outer)
    it.expect_served(client, family)
    it.expect_udp(client, family)
    assert it.next_hops() == {"b1": "reflect", "b2": "reflect"}
    assert it.verdicts()["redirect"] == 0 and not any(it.drops().values())


@pytest.mark.parametrize("family,outer", [(4, 4), (4, 6), (6, 4), (6, 6)])
@pytest.mark.parametrize("way", ["ipip", "gue", "l2"])
def test_by_the_routes_over_another_interface(mixed, client, way, family, outer):
    it = mixed({"b1": way, "b2": way}, outer=outer)
    it.wait_resolved("b1", "b2")
    it.expect_served(client, family)
    it.expect_udp(client, family)
    verdicts = it.verdicts()
    assert verdicts["tx"] == 0 and verdicts["redirect"] == it.counters()["packets"] + \
        it.counters("echo-udp")["packets"]
    assert not any(it.drops().values())


@pytest.mark.parametrize("family", [4, 6])
def test_by_the_routes_over_the_same_interface(mixed, client, family):
    """The default route of the balancer leads where reflection would lead as well."""
    it = mixed({"b1": "ipip"}, next_hop="reflect", outer=family, pool={"next_hop": "fib"})
    it.wait_resolved("b1")
    it.expect_served(client, family)
    assert it.verdicts()["redirect"] == 0 and it.verdicts()["tx"] > 0


@pytest.mark.parametrize("family,outer", [
    pytest.param(4, 4, marks=pytest.mark.vm), (6, 4), (4, 6),
    pytest.param(6, 6, marks=pytest.mark.vm)])
def test_every_way_in_one_service(mixed, client, family, outer):
    it = mixed({"b1": "ipip", "b2": "gue", "b3": "l2", "self": "local"}, outer=outer)
    it.wait_resolved("b1", "b2", "b3")
    assert it.next_hops()["self"] is None
    got = it.expect_served(client, family, count=400)
    assert all(n > 50 for n in got.values()), got
    it.expect_udp(client, family)
    keep = client("keep", it.target(family), "--count", 100, ns=it.net.client)
    assert keep.result()["errors"] == {}
    assert keep.poke()["same"] == 100
    packets = {name: c["packets"] for name, c in it.backend_counters().items()}
    assert all(n > 50 for n in packets.values()), packets
    wait_until(lambda: it.verdicts()["pass_local"] == it.backend_counters()["self"]["packets"])


@pytest.mark.parametrize("way,outer", [("gue", 4), ("gue", 6), ("l2", 4)])
def test_full_sized_packets(mixed, tmp_path, way, outer):
    """An upload, so that packets of 1500 bytes are forwarded."""
    it = mixed({"b1": way}, outer=outer)
    it.wait_resolved("b1")
    body = os.urandom(1 << 20)
    (tmp_path / "body").write_bytes(body)
    done = it.net.client.run([
        "curl", "-sS", "-g", "-m", "30", "--data-binary", f"@{tmp_path}/body",
        f"http://{it.target(4, HTTP_PORT)}/sink"])
    assert hashlib.sha256(body).hexdigest() in done.stdout
    assert not any(it.drops().values())


def test_a_backend_changes_its_way(mixed, client):
    """Connections stay, and what is new comes by the new way."""
    it = mixed({"b1": "ipip", "b2": "l2"})
    it.wait_resolved("b1", "b2")
    keep = client("keep", it.target(4), "--count", 60, ns=it.net.client)
    keep.result()
    it.ways["b1"] = "l2"
    it.daemon.reload(it.config())
    assert keep.poke()["same"] == 60
    it.expect_served(client)
    assert "l2" in it.daemon.ctl("backend", "list", "echo").stdout
