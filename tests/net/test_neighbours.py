# SPDX-License-Identifier: BSD-2-Clause
"""Next hops by this host's routes: neighbours are kept, missing ones are told of and counted."""
import pytest

from l4 import wait_served
from lab import wait_until
from segment import Mixed

QUICK = {"base_reachable_time_ms": 1000, "delay_first_probe_time": 1, "retrans_time_ms": 200}


@pytest.fixture
def mixed(topology, shuntd, backend):
    """mixed(ways={"b1": "l2", ...}, backends=2, ...) -> Mixed, steering."""
    def make(ways, backends=None, start=True, **kw):
        it = Mixed(topology(backends=backends or len(ways)), ways, **kw)
        it.serve(backend)
        it.daemon = shuntd(it.config(), ns=it.net.balancer, start=start)
        return it
    return make


def l2(mixed, outer=4, **kw):
    it = mixed({"b1": "l2", "b2": "l2"}, outer=outer, **kw)
    it.wait_resolved("b1", "b2")
    return it


def quick(it):
    """Have the kernel look at its neighbours more often than it would."""
    for family in ("ipv4", "ipv6"):
        it.net.balancer.sysctl({f"net.{family}.neigh.eth1.{key}": value
                                for key, value in QUICK.items()})


@pytest.mark.parametrize("outer", [4, pytest.param(6, marks=pytest.mark.vm)])
def test_the_kernel_keeps_them(mixed, outer):
    it = l2(mixed, outer=outer)
    for name in ("b1", "b2"):
        entry = it.segment.neighbours()[it.segment.address(name, outer)]
        assert "managed" in entry, entry


@pytest.mark.parametrize("outer", [4, 6])
def test_a_flush_under_traffic(mixed, client, outer):
    it = l2(mixed, outer=outer)
    keep = client("keep", it.target(4), "--count", 40, ns=it.net.client)
    keep.result()
    for _ in range(3):
        # It does not come to an end, since what it removes is made again.
        it.net.balancer.run(["ip", "neigh", "flush", "dev", "eth1"], check=False)
        it.wait_resolved("b1", "b2")
        assert keep.poke()["same"] == 40
    it.expect_served(client)


@pytest.mark.parametrize("outer", [4, 6])
def test_another_mac_address_is_followed(mixed, client, outer):
    """Nobody announces it: the kernel finds out because it keeps looking."""
    it = mixed({"b1": "l2", "b2": "l2"}, outer=outer, start=False)
    quick(it)
    it.daemon.start()
    it.wait_resolved("b1", "b2")
    before = it.segment.neighbours()[it.segment.address("b1", outer)]["lladdr"]
    it.net.backends["b1"].ip("link set eth1 address 02:00:00:00:0b:01")

    def followed():
        entry = it.segment.neighbours().get(it.segment.address("b1", outer), {})
        return entry.get("lladdr", before) != before
    wait_until(followed, 40, what=lambda: f"another address than {before}")
    wait_served(it, client, {"b1", "b2"})


def test_a_backend_that_is_not_there(mixed, client):
    it = mixed({"b1": "l2", "b2": "l2"}, start=False)
    gone = it.segment.address("b2")
    it.net.backends["b2"].ip(f"addr del {gone}/24 dev eth1")
    quick(it)
    it.daemon.start()
    it.wait_next_hops({"b1": "resolved", "b2": "no-neighbour"})
    told = f"backend echo/b2: the next hop {gone} on eth1 does not answer"
    wait_until(lambda: told in it.daemon.log, 20, what="a word in the log")
    result = client("udp", it.target(4), "--flows", 40, ns=it.net.client).result()
    assert set(result["by"]) == {"b1"} and result["lost"] > 0
    assert it.drops("echo-udp")["no_neighbour"] >= result["lost"]
    assert "no-neighbour" in it.daemon.ctl("backend", "list", "echo").stdout

    it.net.backends["b2"].ip(f"addr add {gone}/24 dev eth1")
    it.wait_resolved("b2")
    it.expect_served(client)
    assert it.daemon.log.count(told) == 1


def test_routes_that_lead_nowhere(mixed, client):
    """No route; one through a router, for l2; one by an interface that is not the node's."""
    it = mixed({"b1": "l2"}, start=False)
    balancer, addr = it.net.balancer, it.segment.address("b1")
    balancer.ip("route add unreachable 10.40.0.11/32")
    it.daemon.start()
    it.wait_next_hops({"b1": "no-route"})
    wait_until(lambda: f"there is no route to {addr}" in it.daemon.log, 10)
    result = client("udp", it.target(4), "--flows", 5, ns=it.net.client).result()
    assert result["lost"] == 5 and it.drops("echo-udp")["no_route"] >= 5

    router = it.net.router_address(balancer, 4)
    balancer.ip("route del unreachable 10.40.0.11/32", f"route add 10.40.0.11/32 via {router}")
    it.wait_next_hops({"b1": "not-direct"})
    wait_until(lambda: "there is a router before it" in it.daemon.log, 10)
    before = it.drops("echo-udp")["no_route"]
    assert client("udp", it.target(4), "--flows", 5, ns=it.net.client).result()["lost"] == 5
    assert it.drops("echo-udp")["no_route"] >= before + 5

    balancer.ip("link add spare type veth peer name spare2", "link set spare up",
                "link set spare2 up", "route replace 10.40.0.11/32 dev spare")
    it.wait_next_hops({"b1": "not-listed"})
    wait_until(lambda: "that node.interfaces does not list" in it.daemon.log, 10)

    balancer.ip("route del 10.40.0.11/32")
    it.wait_resolved("b1")
    it.expect_served(client)


@pytest.mark.parametrize("outer", [4, 6])
def test_a_route_with_two_routers(mixed, outer):
    """Both are kept: the kernel takes one or the other by the packet."""
    it = mixed({"b1": "ipip"}, backends=3, outer=outer)
    first, second = it.segment.address("b2", outer), it.segment.address("b3", outer)
    net = "10.99.0.0/24" if outer == 4 else "fd00:99::/64"
    it.net.balancer.ip(f"route add {net} nexthop via {first} dev eth1 "
                       f"nexthop via {second} dev eth1")
    config = it.config()
    config["pools"]["echo"]["backends"][0]["address"] = "10.99.0.1" if outer == 4 else "fd00:99::1"
    it.daemon.reload(config)
    it.wait_resolved("b1")
    assert {first, second} <= set(it.segment.neighbours())


def managed(it):
    """Addresses that the kernel keeps for us."""
    return {dst for dst, entry in it.segment.neighbours().items() if "managed" in entry}


def test_they_outlive_the_daemon(mixed, client):
    it = l2(mixed)
    both = {it.segment.address(name) for name in ("b1", "b2")}
    it.daemon.sigkill()
    it.expect_served(client)
    assert managed(it) == both
    # The next one takes them over, or off where it does not need them.
    it.daemon.start()
    it.wait_resolved("b1", "b2")
    it.expect_served(client)
    it.daemon.sigkill()
    it.ways = {"b1": "ipip", "b2": "ipip"}
    it.pool = {"forward": "ipip", "next_hop": "reflect"}
    it.daemon.write_config(it.config())
    it.daemon.start()
    assert not managed(it)


def test_a_removed_backend_is_kept_as_long_as_its_flows(mixed, client):
    it = l2(mixed)
    first = it.segment.address("b1")
    keep = client("keep", it.target(4), "--count", 40, ns=it.net.client)
    keep.result()
    it.daemon.reload(it.config(weights={"b2": 1}))
    assert first in managed(it)
    assert keep.poke()["same"] == 40
    # Without tracking it has none: it goes with its row.
    it.daemon.reload(it.config(service={"tracking": "never"}))
    it.daemon.reload(it.config(weights={"b2": 1}, service={"tracking": "never"}))
    wait_until(lambda: managed(it) == {it.segment.address("b2")}, 40)


@pytest.mark.parametrize("outer", [4, 6])
def test_the_link_of_the_way_out_goes_and_comes_back(mixed, client, outer):
    it = l2(mixed, outer=outer)
    own = it.segment.address("lb", 6)
    it.net.balancer.ip("link set eth1 down")
    it.net.balancer.ip("link set eth1 up", f"addr replace {own}/64 dev eth1 nodad")
    wait_served(it, client, {"b1", "b2"})
