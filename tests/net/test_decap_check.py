# SPDX-License-Identifier: BSD-2-Clause
"""shunt-decap check: each mistake is found, alone, and is gone after the command that it names."""
import json
import os

import pytest
from lab import BUILD
from test_decap import HOST4, INNERS, SENDER4, SENDER6, VIP4, VIP6, Host

CLIENT4 = "198.51.100.1"  # what check takes for a client, where it is not told
SERVICES = ["--service", VIP4, "--service", VIP6]


class Checked(Host):
    """A backend host on which nothing is wrong. It has a second link to the sender, eth1, by which
    nothing is sent as long as a test does not say so."""

    def __init__(self, lab, backend):
        super().__init__(lab, backend)
        lab.link(self.sender, "eth1", self.ns, "eth1")
        self.sender.ip("addr add 10.8.0.1/24 dev eth1")
        self.ns.ip("addr add 10.8.0.2/24 dev eth1", f"route add default via {SENDER4}",
                   f"route add ::/0 via {SENDER6}")
        self.ns.sysctl({"net.ipv4.conf.all.arp_ignore": 1, "net.ipv4.conf.all.arp_announce": 2})
        self.run("attach", "-i", "eth0", *SERVICES)

    def check(self, *args):
        """All that is found, and what is wrong: subject -> findings."""
        done = self.run("check", "-o", "json", *(args or SERVICES), check=False)
        assert done.stderr == ""
        found = json.loads(done.stdout)
        wrong = {}
        for finding in found["findings"]:
            if finding["level"] == "fail":
                assert finding["why"]
                wrong.setdefault(finding["subject"], []).append(finding)
        assert done.returncode == (1 if wrong else 0)
        assert (found["worst"] == "fail") == bool(wrong)
        return found["findings"], wrong

    def level(self, subject, *args):
        """The worst level among the findings about it."""
        levels = ["ok", "note", "warn", "fail"]
        found = [levels.index(f["level"]) for f in self.check(*args)[0] if f["subject"] == subject]
        return levels[max(found)]

    def mend(self, command):
        """Do what it says, as a person would."""
        path = f"{BUILD}:{os.environ['PATH']}"
        self.ns.run(["sh", "-ec", command], env={**os.environ, "PATH": path})

    def answers_arp(self):
        """Does somebody on the segment who asks for the service address hear from the host?"""
        self.sender.ip(f"route replace {VIP4} dev eth0", "neigh flush dev eth0")
        return self.sender.run(["ping", "-c1", "-W1", VIP4], check=False).returncode == 0


@pytest.fixture
def host(lab, backend):
    return Checked(lab, backend)


def sh(command):
    return lambda host: host.ns.run(["sh", "-ec", command])


def one_service_only(host):
    host.run("attach", "-i", "eth0", "--service", VIP4)


# By name: what goes wrong, what it is called, which of its remedies is taken, what check is told.
MISTAKES = {
    "not attached": (lambda host: host.run("detach", "-i", "eth0"), "attached", 0, []),
    "service not attached": (one_service_only, "services", 0, []),
    "no IPv4 address": (sh(f"ip addr del {VIP4}/32 dev lo"), "address", 0, []),
    "no IPv6 address": (sh(f"ip addr del {VIP6}/128 dev lo"), "address", 0, []),
    "IPv4 address on the segment": (
        sh(f"ip addr del {VIP4}/32 dev lo; ip addr add {VIP4}/24 dev eth0"),
        "address-place", 0, []),
    "IPv6 address on the segment": (
        sh(f"ip addr del {VIP6}/128 dev lo; ip addr add {VIP6}/64 dev eth0 nodad"),
        "address-place", 0, []),
    "arp_ignore": (sh("sysctl -qw net.ipv4.conf.all.arp_ignore=0"), "arp-ignore", 0, []),
    "arp_announce": (sh("sysctl -qw net.ipv4.conf.all.arp_announce=1"), "arp-announce", 0, []),
    "no IPv4 route back": (sh("ip route del default"), "reply-route", 0, []),
    "no IPv6 route back": (sh("ip -6 route del default"), "reply-route", 0, []),
    "rp_filter strict": (
        sh("ip route replace default via 10.8.0.1; sysctl -qw net.ipv4.conf.eth0.rp_filter=1"),
        "rp-filter", 0, []),
    "rp_filter strict for all": (
        sh("ip route replace default via 10.8.0.1; sysctl -qw net.ipv4.conf.all.rp_filter=1"),
        "rp-filter", 0, []),
    "MTU, mended by the link": (sh("ip link set eth0 mtu 1500"), "mtu", 0, []),
    "MTU, mended by the route": (sh("ip link set eth0 mtu 1500"), "mtu", 1, []),
    "MTU for GUE": (sh("ip link set eth0 mtu 1527"), "mtu", 0, ["--tunnel", "gue"]),
    "MTU for a tunnel over IPv6": (
        sh("ip link set eth0 mtu 1539"), "mtu", 1, ["--balancer", SENDER6]),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_found_and_mended(host, name):
    break_it, subject, remedy, args = MISTAKES[name]
    args = [*SERVICES, "-i", "eth0", *args]
    assert host.check(*args)[1] == {}
    break_it(host)
    wrong = host.check(*args)[1]
    assert set(wrong) == {subject}
    commands = {finding["fixes"][remedy] for finding in wrong[subject]}
    for command in commands:
        gateway = SENDER6 if " -6 " in command else SENDER4
        host.mend(command.replace("ROUTER", gateway))
    assert host.check(*args)[1] == {}
    for inner in INNERS:
        assert host.ask(HOST4, inner)


@pytest.mark.vm
def test_a_sound_host(host):
    found, wrong = host.check("--service", f"{VIP4}:7", "--service", f"[{VIP6}]:7")
    assert wrong == {}
    assert {f["subject"] for f in found if f["level"] == "ok"} >= {
        "attached", "address", "listener", "reply-route", "arp-ignore", "arp-announce",
        "rp-filter", "mtu"}
    assert host.level("counters") == "note"
    assert host.ask(HOST4, INNERS[0])
    assert host.level("counters") == "ok"


@pytest.mark.vm
def test_rp_filter_as_packets_meet_it(host):
    """Clients come in by eth0, the way back to them is eth1."""
    client = (CLIENT4, VIP4)
    host.sender.ip(f"addr add {CLIENT4}/32 dev lo")
    host.ns.ip("route replace default via 10.8.0.1")
    assert host.check()[1] == {} and host.ask(HOST4, client)
    host.ns.sysctl({"net.ipv4.conf.eth0.rp_filter": 1})
    assert not host.ask(HOST4, client)
    finding, = host.check()[1]["rp-filter"]
    assert host.level("rp-drops") == "warn"
    host.mend(finding["fixes"][0])
    assert host.check()[1] == {} and host.ask(HOST4, client)
    # Told of a client that is a neighbour, it sees that strict would do.
    host.ns.sysctl({"net.ipv4.conf.eth0.rp_filter": 1})
    assert host.level("rp-filter", *SERVICES, "--client", SENDER4) == "warn"


def test_rp_filter_for_the_tunnel_itself(host):
    args = [*SERVICES, "-i", "eth0", "--balancer", "172.16.0.0/12"]
    host.ns.ip("route add 172.16.0.0/12 via 10.8.0.1")
    host.ns.sysctl({"net.ipv4.conf.eth0.rp_filter": 1})
    assert host.check(*args)[1] == {}  # the program is there before the filter
    host.run("detach", "-i", "eth0")
    wrong = host.check(*args)[1]
    assert set(wrong) == {"attached", "rp-filter-tunnel"}
    host.mend(wrong["rp-filter-tunnel"][0]["fixes"][0])
    assert set(host.check(*args)[1]) == {"attached"}


def test_arp_as_the_segment_meets_it(host):
    assert host.check()[1] == {} and not host.answers_arp()
    host.ns.sysctl({"net.ipv4.conf.all.arp_ignore": 0})
    assert set(host.check()[1]) == {"arp-ignore"} and host.answers_arp()
    host.ns.sysctl({"net.ipv4.conf.all.arp_ignore": 3})
    assert set(host.check()[1]) == {"arp-ignore"} and host.answers_arp()
    host.ns.ip(f"addr del {VIP4}/32 dev lo", f"addr add {VIP4}/32 dev lo scope host")
    assert host.check()[1] == {} and not host.answers_arp()


def test_local_routes_and_quiet_interfaces_count_as_addresses(host):
    host.ns.ip(f"addr del {VIP4}/32 dev lo", f"addr del {VIP6}/128 dev lo",
               f"route add local {VIP4}/32 dev lo", "link add quiet type veth",
               "link set quiet arp off up", f"addr add {VIP6}/128 dev quiet nodad")
    assert host.check()[1] == {}


def test_a_server_that_is_not_there(host, backend):
    assert host.level("listener", "--service", f"[{VIP6}]:7") == "ok"
    wrong = host.check("--service", f"{VIP4}:9")[1]
    assert set(wrong) == {"listener"}
    assert wrong["listener"][0]["what"] == f"nothing listens at {VIP4}:9, by TCP or UDP"
    backend("all", ns=host.ns, tcp=["0.0.0.0:9"])
    assert host.level("listener", "--service", f"{VIP4}:9") == "ok"
    assert host.level("listener", "--service", f"[{VIP6}]:9") == "fail"


def test_an_interface_that_is_down(host):
    host.ns.ip("link set eth0 down")
    wrong = host.check(*SERVICES, "-i", "eth0")[1]
    assert wrong["link"][0]["fixes"] == ["ip link set dev eth0 up"]


def test_the_rest_of_a_route_stays_when_it_is_mended(host):
    route = f"default via {SENDER4} dev eth0 proto static src {HOST4} metric 100 mtu lock 1500"
    host.ns.ip("route del default", f"route add {route} initcwnd 20", "link set eth0 mtu 1500")
    finding, = host.check("--service", VIP4)[1]["mtu"]
    host.mend(finding["fixes"][1])
    now = host.ns.run(["ip", "route", "show", "default"]).stdout.split()
    assert sorted(now) == sorted([*route.split(), "advmss", "1440", "initcwnd", "20"])


def test_generic_mode_is_a_warning(host):
    host.run("detach", "-i", "eth0")
    host.run("attach", "-i", "eth0", *SERVICES, "--mode", "generic")
    found, wrong = host.check()
    assert wrong == {}
    fix, = [f["fixes"][0] for f in found if f["subject"] == "attached" and f["level"] == "warn"]
    host.mend(fix)
    assert host.status()[0]["mode"] == "tc" and host.level("attached") == "ok"


def test_packet_filter_rules_are_pointed_at(host):
    assert host.level("firewall") == "ok"
    host.ns.run(["nft", "add table inet t; "
                        "add chain inet t in { type filter hook input priority 0; }"])
    assert host.level("firewall") == "note"


def test_what_it_looks_at_by_default(host):
    """Services and interface of what is attached, else the way to the clients."""
    whats = [f["what"] for f in json.loads(host.run("check", "-o", "json").stdout)["findings"]]
    assert "tunnel headers come off at eth0 (xdp-native)" in whats
    assert f"{VIP6} is an address of this host" in whats
    host.run("detach", "-i", "eth0")
    host.ns.ip("route replace default via 10.8.0.1")
    whats = [f["what"] for f in host.check("--service", VIP4)[0]]
    assert "nothing takes tunnel headers off at eth1" in whats


def test_for_people(host):
    host.ns.ip(f"addr del {VIP4}/32 dev lo")
    done = host.run("check", check=False)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert f"ok    {VIP6} is an address of this host" in lines
    line, = [text for text in lines if text.startswith("fail")]
    assert line.split(" -- ") == [f"fail  {VIP4} is not an address of this host",
                                  "the host does not take what is unpacked for it",
                                  f"ip addr replace {VIP4}/32 dev lo"]


@pytest.mark.parametrize("args, status, text", [
    (["check", "-i", "eth9", *SERVICES], 1, "there is no interface eth9"),
    (["check", "--balancer", "10.0.0.1/8"], 2, "not an IP address or prefix: 10.0.0.1/8"),
    (["check", "--client", "everybody"], 2, "--client: not an IP address: everybody"),
    (["check", "--tunnel", "gre"], 2, "expected ipip or gue, not gre"),
    (["attach", "-i", "eth0", "--service", f"{VIP4}:80"], 2, "for check alone"),
    (["attach", "-i", "eth0", "-i", "eth1", *SERVICES], 2, "one --interface at a time"),
])
def test_errors(host, args, status, text):
    assert text in host.fails(*args, status=status)


def test_nothing_is_known(host):
    host.run("detach", "-i", "eth0")
    assert "give --service" in host.fails("check", status=2)
    host.ns.ip("route del default")
    assert "give --interface" in host.fails("check", "--service", VIP4, status=2)
