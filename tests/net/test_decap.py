# SPDX-License-Identifier: BSD-2-Clause
"""shunt-decap on a backend: tunnel packets reach the local service, and how the command behaves."""
import json
import os

import pytest
from lab import BPFFS, HERE, PYTHON, binary, unique

VIP4, VIP6 = "203.0.113.10", "2001:db8:113::10"
SENDER4, SENDER6 = "10.9.0.1", "fd00:9::1"
HOST4, HOST6 = "10.9.0.2", "fd00:9::2"

OUTERS = (HOST4, HOST6)
INNERS = ((SENDER4, VIP4), (SENDER6, VIP6))


class Host:
    """A backend host "host" with one link to "sender"; its tools keep their pins to themselves."""

    def __init__(self, lab, backend):
        self.sender, self.ns = lab.namespace("sender"), lab.namespace("host")
        self.pins = f"{BPFFS}/{unique('decap')}"
        lab.link(self.sender, "eth0", self.ns, "eth0", 1600)
        self.sender.ip(f"addr add {SENDER4}/24 dev eth0", f"addr add {SENDER6}/64 dev eth0 nodad",
                       f"route add {VIP4} via {HOST4}", f"route add {VIP6} via {HOST6}")
        self.ns.ip(f"addr add {HOST4}/24 dev eth0", f"addr add {HOST6}/64 dev eth0 nodad",
                   f"addr add {VIP4}/32 dev lo", f"addr add {VIP6}/128 dev lo")
        backend("host", ns=self.ns, udp=[f"{VIP4}:7", f"[{VIP6}]:7"])
        lab.at_close(lambda: self.run("detach", "-i", "eth0", check=False))

    def run(self, *args, check=True, **kw):
        return self.ns.run([binary("shunt-decap"), *args, "--pin-path", self.pins], check, **kw)

    def fails(self, *args, status=1, **kw):
        """Run, expect to fail with this status, return what it said."""
        done = self.run(*args, check=False, **kw)
        assert done.returncode == status, done
        assert done.stdout == ""
        return done.stderr

    def status(self):
        return json.loads(self.run("status", "-o", "json").stdout)["interfaces"]

    def counter(self, name):
        return self.status()[0]["counters"][name]

    def ask(self, outer, inner, kind="ipip"):
        """Did a datagram through the tunnel find an answer?"""
        argv = [PYTHON, os.path.join(HERE, "tunnel.py"), outer, inner[0], inner[1], "7", kind]
        done = self.sender.run(argv, check=False)
        assert done.stderr == ""
        assert (done.returncode, done.stdout) in ((0, "host hello\n"), (1, ""))
        return done.returncode == 0


@pytest.fixture
def host(lab, backend):
    return Host(lab, backend)


HOW = {"xdp-native": [], "xdp-generic": ["--mode", "generic"], "tc": ["--tc"]}


@pytest.mark.parametrize("how", [
    pytest.param("xdp-native", marks=pytest.mark.vm), "xdp-generic", "tc"])
def test_tunnel_packets_reach_the_service(host, how):
    host.run("attach", "-i", "eth0", "--service", VIP4, "--service", VIP6, *HOW[how])
    for outer in OUTERS:
        for inner in INNERS:
            assert host.ask(outer, inner), (outer, inner)
    state, = host.status()
    assert state["interface"] == "eth0" and state["attached"] and state["mode"] == how
    assert state["services"] == [VIP4, VIP6]
    assert state["counters"]["decapsulated"] == 4
    assert all(n == 0 for name, n in state["counters"].items() if name.startswith("dropped"))


@pytest.mark.parametrize("how", [
    "xdp-native", "xdp-generic", pytest.param("tc", marks=pytest.mark.vm)])
def test_gue_packets_reach_the_service(host, how):
    host.run("attach", "-i", "eth0", "--service", VIP4, "--service", VIP6, *HOW[how])
    for kind in ("gue", "gue0"):
        for outer in OUTERS:
            for inner in INNERS:
                assert host.ask(outer, inner, kind), (kind, outer, inner)
    state, = host.status()
    assert state["kinds"]["gue"]["decapsulated"] == state["counters"]["decapsulated"] == 8
    assert state["kinds"]["ipip"]["decapsulated"] == 0
    assert all(n == 0 for name, n in state["counters"].items() if name.startswith("dropped"))


@pytest.mark.parametrize("how", HOW)
def test_gue_at_another_port_or_none(host, how):
    services = ["--service", VIP4, "--service", VIP6]
    host.run("attach", "-i", "eth0", *services, "--gue-port", "6666", *HOW[how])
    assert host.ask(HOST4, INNERS[1], "gue:6666") and not host.ask(HOST4, INNERS[1], "gue")
    assert host.status()[0]["gue_port"] == 6666
    host.run("attach", "-i", "eth0", *services, "--gue-port", "0", *HOW[how])
    assert not host.ask(HOST4, INNERS[1], "gue:6666")
    assert host.ask(HOST4, INNERS[1])
    assert ["gue-port", "off"] in [line.split() for line in host.run("status").stdout.splitlines()]


def test_without_it_nothing_answers(host):
    assert not host.ask(HOST4, INNERS[0])


@pytest.mark.parametrize("how", HOW)
def test_other_addresses_stay_packed(host, how):
    host.run("attach", "-i", "eth0", "--service", VIP6, *HOW[how])
    assert not host.ask(HOST4, INNERS[0])
    assert host.ask(HOST4, INNERS[1])
    assert host.counter("decapsulated") == 1


@pytest.mark.parametrize("how", HOW)
def test_attach_again_changes_addresses_in_place(host, how):
    host.run("attach", "-i", "eth0", "--service", VIP4, *HOW[how])
    assert host.ask(HOST4, INNERS[0])
    done = host.run("attach", "-i", "eth0", "--service", VIP6, *HOW[how])
    assert done.stdout == f"eth0: updated ({how}), 1 service address\n"
    assert not host.ask(HOST4, INNERS[0])
    assert host.ask(HOST4, INNERS[1])
    state, = host.status()
    assert state["services"] == [VIP6] and state["counters"]["decapsulated"] == 2


@pytest.mark.parametrize("how", HOW)
def test_detach_leaves_nothing(host, how):
    host.run("attach", "-i", "eth0", "--service", VIP4, *HOW[how])
    assert host.run("detach", "-i", "eth0").stdout == "eth0: detached\n"
    assert not os.path.exists(host.pins)
    assert host.status() == []
    assert not host.ask(HOST4, INNERS[0])
    link = host.ns.run(["ip", "-d", "link", "show", "eth0"]).stdout
    assert "xdp" not in link
    assert host.ns.run(["tc", "filter", "show", "dev", "eth0", "ingress"]).stdout.strip() == ""
    assert host.run("detach", "-i", "eth0").stdout == "eth0: was not attached\n"


def test_status_for_people(host):
    assert host.run("status").stdout == "attached to no interface\n"
    host.run("attach", "-i", "eth0", "--service", VIP4)
    lines = host.run("status").stdout.splitlines()
    assert lines[0].startswith("eth0: attached (xdp-native), program ")
    assert lines[1].split() == ["services", VIP4]
    assert lines[2].split() == ["gue-port", "6080"]
    assert lines[3].split() == ["packets", "all", "other", "ipip", "gue"]
    assert ["decapsulated", "0", "0", "0", "0"] in [line.split() for line in lines]


def test_two_ways_at_once_are_refused(host):
    host.run("attach", "-i", "eth0", "--service", VIP4)
    text = host.fails("attach", "-i", "eth0", "--service", VIP4, "--tc")
    assert "attached to eth0 by xdp-native, not tc: detach it first" in text
    assert host.ask(HOST4, INNERS[0])


def test_same_name_in_two_namespaces(host, lab):
    other = lab.namespace("other")
    lab.link(other, "eth0", host.sender, "other")
    host.run("attach", "-i", "eth0", "--service", VIP4)
    argv = [binary("shunt-decap"), "--pin-path", host.pins]
    other.run([*argv, "attach", "-i", "eth0", "--service", VIP6])
    assert host.status()[0]["services"] == [VIP4]
    other.run([*argv, "detach", "-i", "eth0"])
    assert host.ask(HOST4, INNERS[0])


def test_interface_names_with_a_dot(host):
    host.ns.ip("link set eth0 down", "link set eth0 name eth0.5", "link set eth0.5 up")
    host.run("attach", "-i", "eth0.5", "--service", VIP4)
    assert host.status()[0]["interface"] == "eth0.5"
    host.run("detach", "-i", "eth0.5")
    assert not os.path.exists(host.pins)


def test_interface_that_went_away(host):
    host.run("attach", "-i", "eth0", "--service", VIP4)
    host.ns.ip("link del eth0")
    state, = host.status()
    assert not state["attached"]
    assert "not attached any more" in host.run("status").stdout
    assert host.run("detach", "-i", "eth0").stdout == "eth0: detached\n"
    assert not os.path.exists(host.pins)


def test_interface_that_came_back(host, lab):
    host.run("attach", "-i", "eth0", "--service", VIP4)
    host.ns.ip("link del eth0")
    lab.link(host.sender, "again", host.ns, "eth0")
    done = host.run("attach", "-i", "eth0", "--service", VIP6)
    assert done.stdout == "eth0: attached (xdp-native), 1 service address\n"
    state, = host.status()
    assert state["attached"] and state["services"] == [VIP6]


def test_no_such_interface(host):
    assert host.fails("attach", "-i", "eth9", "--service", VIP4) == \
        "shunt-decap: there is no interface eth9\n"
    assert "no interface eth9" in host.fails("detach", "-i", "eth9")
    assert not os.path.exists(host.pins)


def test_driver_without_native_mode(host):
    text = host.fails("attach", "-i", "lo", "--service", VIP4)
    assert "the driver of lo has no native XDP: use --tc, or --mode generic" in text
    assert not os.path.exists(host.pins)
    host.run("attach", "-i", "lo", "--service", VIP4, "--mode", "generic")
    host.run("detach", "-i", "lo")


def test_beside_another_xdp_program(host):
    prog = os.path.join(os.path.dirname(binary("x")), "tests/net/xdp_pass.bpf.o")
    host.ns.ip(f"link set dev eth0 xdpdrv object {prog} section xdp")
    text = host.fails("attach", "-i", "eth0", "--service", VIP4)
    assert "eth0 has another XDP program: use --tc" in text
    host.run("attach", "-i", "eth0", "--service", VIP4, "--tc")
    assert host.ask(HOST4, INNERS[0])


def test_without_privileges(host):
    argv = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--reuid=65534", "--clear-groups",
            binary("shunt-decap"), "attach", "-i", "eth0", "--service", VIP4]
    if not os.access(binary("shunt-decap"), os.X_OK):
        pytest.skip("the build folder is not for others to read")
    done = host.ns.run([*argv, "--pin-path", host.pins], check=False)
    assert done.returncode == 1
    assert "needs root" in done.stderr


def test_pin_path_outside_of_bpffs(lab, host):
    done = host.ns.run([binary("shunt-decap"), "attach", "-i", "eth0", "--service", VIP4,
                        "--pin-path", lab.path("pins")], check=False)
    assert done.returncode == 1 and "not in a BPF file system" in done.stderr


@pytest.mark.parametrize("args, text", [
    ([], "expected a command"),
    (["attatch"], "unknown command: attatch"),
    (["attach", "-i", "eth0"], "attach needs at least one --service"),
    (["attach", "--service", VIP4], "attach needs --interface"),
    (["attach", "-i", "eth0", "--service", "203.0.113"], "not an IP address: 203.0.113"),
    (["attach", "-i", "eth0", "--service", VIP4, "--mode", "fast"], "native or generic, not fast"),
    (["attach", "-i", "eth0", "--service", VIP4, "--mode", "native", "--tc"], "leave it out"),
    (["attach", "eth0", "--service", VIP4], "unexpected argument: eth0"),
    (["attach", "-i", "eth0", "--service", VIP4, "--gue-port", "65536"], "0 to 65535, not 65536"),
    (["detach"], "detach needs --interface"),
    (["status", "-o", "xml"], "table or json, not xml"),
    (["status", "--nonsense"], "unrecognized option"),
])
def test_usage_errors(host, args, text):
    assert text in host.fails(*args, status=2)


def test_help_and_version(host):
    assert "shunt-decap attach -i IFACE" in host.run("--help").stdout
    assert host.run("--version").stdout.startswith("shunt-decap 0.")
