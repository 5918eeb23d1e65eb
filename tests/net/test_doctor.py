# SPDX-License-Identifier: BSD-2-Clause
"""shuntctl doctor: what it finds on a host where one thing is wrong."""
import ctypes
import json
import os
import re

import pytest

from lab import binary, wait_until

VIP = "203.0.113.10:80/tcp"
WARNINGS, ERRORS = 6, 1  # exit codes


class Host:
    """A balancer with eth0, whose other end answers nobody."""

    def __init__(self, lab, shuntd, change=lambda config: None, lines=(), queues=None, **daemon):
        self.ns = lab.namespace("box")
        self.ns.ip("link add eth0 mtu 1600 numrxqueues 8 numtxqueues 8 type veth "
                   "peer name peer0 numtxqueues 1",
                   "link set lo up", "link set eth0 up", "link set peer0 up",
                   "addr add 192.0.2.9/24 dev eth0", *lines)
        self.ns.run(["ethtool", "-L", "eth0", "rx", str(queues or min(os.cpu_count(), 8))])
        config = {
            "node": {"interfaces": ["eth0"]},
            "pools": {
                "far": {"health": "none", "backends": [{"name": "b1", "address": "192.0.2.1"},
                                                       {"name": "b2", "address": "192.0.2.2"}]},
                "web": {"health": "none", "forward": "proxy",
                        "backends": [{"name": "w1", "address": "127.0.0.1:81"}]}},
            "services": {
                "l4": {"mode": "l4", "pool": "far", "listen": [VIP]},
                "web": {"mode": "http", "pool": "web", "listen": ["127.0.0.1:80/tcp"]}},
        }
        change(config)
        self.daemon = shuntd(config, ns=self.ns, **daemon)

    def findings(self, subject, level=None):
        """What is said about it. The whole is of a form that all have."""
        done = json.loads(self.daemon.ctl("-o", "json", "doctor").stdout)
        levels = ["ok", "warning", "error"]
        assert done["worst"] == max((f["level"] for f in done["findings"]), key=levels.index)
        for f in done["findings"]:
            assert f["what"] and (f["level"] == "ok") == (not f["why"]) == (not f["fix"]), f
        return [f["what"] for f in done["findings"]
                if f["subject"] == subject and level in (None, f["level"])]

    def is_well(self, subject):
        return self.findings(subject) == self.findings(subject, "ok") != []


@pytest.fixture
def host(lab, shuntd):
    def make(change=lambda config: None, **kw):
        return Host(lab, shuntd, change, **kw)
    return make


def clock_is_synchronised():
    """As the kernel has it; TIME_ERROR is 5, STA_UNSYNC 0x40 in the fifth member of the struct."""
    timex = (ctypes.c_long * 64)()
    state = ctypes.CDLL(None, use_errno=True).adjtimex(timex)
    return state != 5 and not ctypes.c_int.from_buffer(timex, 5 * ctypes.sizeof(ctypes.c_long)) \
        .value & 0x40


def test_a_host_that_is_well(host):
    it = host()
    for subject in ("daemon", "config", "pool", "tables", "neighbour", "mtu", "interface", "xdp",
                    "queues", "offload", "rp-filter", "files", "memlock"):
        assert it.is_well(subject), it.daemon.ctl("doctor")
    assert it.is_well("clock") == clock_is_synchronised()
    done = it.daemon.ctl("doctor")
    assert done.rc == (0 if clock_is_synchronised() else WARNINGS) and not done.stderr
    assert "ok       xdp: eth0 has XDP in native mode\n" in done.stdout
    assert it.daemon.ctl("-o", "json", "doctor").rc == done.rc


def test_of_what_is_wrong_why_it_matters_and_what_to_do(host):
    done = host(lambda c: c["node"].update(xdp_mode="generic")).daemon.ctl("doctor")
    assert done.rc == WARNINGS
    assert re.search(r"^warning  xdp: eth0 has XDP in generic mode\n {9}packets are .*\n"
                     r" {9}-> node.xdp_mode: native", done.stdout, re.MULTILINE), done


def test_an_interface_without_the_program_or_without_an_other_end(host):
    it = host()
    it.ns.ip("link set peer0 down")
    assert it.findings("interface", "error") == ["eth0 has no carrier"]
    it.ns.ip("link set eth0 down")
    assert it.findings("interface", "error") == ["eth0 is down"]
    assert it.daemon.ctl("doctor").rc == ERRORS
    it.ns.ip("link set eth0 up", "link set peer0 up")
    assert it.is_well("interface")
    it.ns.run([binary("shunt-load"), "detach", "-i", "eth0", "--pin-path", it.daemon.pin_path])
    assert it.findings("xdp", "error") == ["no program of ours is attached to eth0"]
    assert "not attached" in it.findings("daemon", "error")[0]
    it.ns.ip("link del eth0")
    assert it.findings("interface", "error") == ["eth0 does not exist"]


def test_fewer_queues_than_processors(host):
    it = host(queues=1)
    found = it.findings("queues", "warning")
    assert found == ([f"eth0 has 1 receive queues, the host {os.cpu_count()} processors"]
                     if os.cpu_count() > 1 else [])


@pytest.mark.vm
def test_vlan_tags_that_are_taken_off(host):
    it = host()
    assert it.findings("vlan") == []  # there are none
    added = it.ns.run("ip link add link eth0 name eth0.7 type vlan id 7".split(), check=False)
    if "Unknown device type" in added.stderr:
        pytest.skip("this kernel has no VLAN devices")
    it.ns.run(["ethtool", "-K", "eth0", "rxvlan", "on"])
    assert it.findings("vlan", "warning") == ["eth0 has VLANs, and takes their tags off at once"]
    it.ns.run(["ethtool", "-K", "eth0", "rxvlan", "off"])
    assert it.is_well("vlan")


def test_packets_that_are_put_together_before_generic_xdp(host):
    it = host(lambda c: c["node"].update(xdp_mode="generic"))
    it.ns.run(["ethtool", "-K", "eth0", "gro", "on"])
    assert it.findings("offload", "warning") == [
        "eth0 puts packets together (GRO) before generic XDP"]
    it.ns.run(["ethtool", "-K", "eth0", "gro", "off"])
    assert it.is_well("offload")


def test_a_strict_filter_of_sources(host):
    it = host()
    it.ns.sysctl({"net.ipv4.conf.eth0.rp_filter": 1})
    assert it.findings("rp-filter", "warning") == ["eth0 is strict about sources (rp_filter 1)"]
    it.ns.sysctl({"net.ipv4.conf.all.rp_filter": 2})  # the greater one is in force
    assert it.is_well("rp-filter")


@pytest.mark.parametrize("forward, address, overhead", [
    ("ipip", "192.0.2.1", 20), ("gue", "192.0.2.1", 28), ("ipip", "2001:db8::1", 40),
    ("gue", "2001:db8::1", 48)])
def test_a_tunnel_that_does_not_fit(host, forward, address, overhead):
    def change(config):
        config["pools"]["far"].update(forward=forward, backends=[{"name": "b", "address": address}])
    it = host(change, lines=["addr add 2001:db8::9/64 dev eth0 nodad"])
    it.ns.ip(f"link set eth0 mtu {1500 + overhead}")
    assert it.is_well("mtu")
    it.ns.ip(f"link set eth0 mtu {1499 + overhead}")
    assert it.findings("mtu", "warning") == [
        f"far: clients' packets of 1500 bytes and {overhead} of tunnel header do not fit MTU "
        f"{1499 + overhead}"]


def test_a_tunnel_for_which_the_mss_is_made_smaller(host):
    it = host(lambda c: c["services"]["l4"].update(mss="auto"))
    it.ns.ip("link set eth0 mtu 1500")
    assert it.is_well("mtu")


def test_a_backend_that_nobody_is(host):
    it = host(lambda c: c["pools"]["far"].update(forward="l2", next_hop="fib"))
    wait_until(lambda: it.findings("neighbour", "error") == [
        "the way to far/b1: no-neighbour", "the way to far/b2: no-neighbour"])
    it.ns.ip("neigh replace 192.0.2.1 lladdr 02:00:00:00:00:01 dev eth0 nud permanent")
    wait_until(lambda: it.findings("neighbour", "error") == ["the way to far/b2: no-neighbour"])
    assert it.findings("neighbour", "ok") == ["far: the ways to 1 backends are known"]


def test_full_tables(host):
    it = host(lambda c: c["node"].update(limits={"backends": 16}))
    assert it.is_well("tables")
    for n in range(3, 14):
        assert it.daemon.ctl("backend", "add", "far", f"b{n}", f"192.0.2.{n}").rc == 0
    assert it.is_well("tables")
    assert it.daemon.ctl("backend", "add", "far", "b14", "192.0.2.14").rc == 0
    assert it.findings("tables", "warning") == ["14 backends, and room for 15"]
    assert it.daemon.ctl("backend", "add", "far", "b15", "192.0.2.15").rc == 0
    assert it.findings("tables", "error") == ["15 backends, and room for 15"]
    assert it.daemon.ctl("backend", "add", "far", "b16", "192.0.2.16").rc == 3


def test_backends_that_are_not_in_use(host):
    it = host()
    assert it.daemon.ctl("backend", "drain", "far/b1").rc == 0
    assert it.findings("pool", "warning") == ["far: 1 of 2 backends are in use"]
    assert it.findings("config", "warning") == ["the file differs from what is in force"]
    assert it.daemon.ctl("backend", "disable", "far/b2", "--save").rc == 0
    assert it.findings("pool", "error") == ["far: 0 of 2 backends are in use"]
    assert it.is_well("config")
    assert it.daemon.ctl("doctor").rc == ERRORS


def test_what_takes_effect_at_the_next_start(host):
    it = host()
    with open(it.daemon.config_path, encoding="utf-8") as f:
        text = f.read()
    with open(it.daemon.config_path, "w", encoding="utf-8") as f:
        f.write(text.replace("workers: 2", "workers: 1"))
    assert it.daemon.ctl("config", "apply", it.daemon.config_path).rc == 0
    assert "1 changes take effect when shuntd starts again" in it.findings("config", "warning")


def test_a_prefix_that_is_not_local(host):
    it = host(lambda c: c["services"]["web"].update(listen=["198.51.100.0/24:80/tcp"]))
    assert it.findings("sockets", "error") == [
        "not all of 198.51.100.0/24:80/tcp is local to this host"]
    it.ns.ip("route add local 198.51.100.0/24 dev lo")
    assert it.findings("sockets") == []


def test_certificates_near_their_end(tls_proxy, ca):
    proxy = tls_proxy(tls={"certificates": [ca.issue("example.org")]})
    assert "ok       certificate: none of 1 certificates" in proxy.daemon.ctl("doctor").stdout
    old = ca.issue("old.org", until="20250101000000Z")
    proxy.config["services"]["web"]["tls"]["certificates"].append(old)
    proxy.daemon.reload(proxy.config)
    done = proxy.daemon.ctl("doctor")
    assert f"error    certificate: service web: {old['cert']}: has expired\n" in done.stdout
    assert done.rc == ERRORS


@pytest.mark.parametrize("limit, change, level, what", [
    (1024, {}, "warning", "at most 1024 open files"),
    (20000, {}, "ok", "files are open, of at most 20000"),
    (20000, {"connections": 10001}, "warning", "overload.connections allows 10001 connections"),
    (20000, {"connections": 10000}, "ok", "files are open, of at most 20000"),
])
def test_open_files(host, limit, change, level, what):
    it = host(lambda c: c.update(overload=change) if change else None,
              wrap=["prlimit", f"--nofile={limit}:{limit}"])
    found, = it.findings("files", level)
    assert what in found


def test_a_daemon_that_is_not_there_is_4(lab, shuntd):
    daemon = shuntd({"pools": {}, "services": {}}, ns=lab.namespace("box"), start=False)
    done = daemon.ctl("doctor")
    assert done.rc == 4 and not done.stdout and done.stderr


def test_flows_that_found_no_room(l4, client):
    it = l4(backends=2, service={"tracking": "always"},
            node={"limits": {"flows": 1024, "pending": 1024}})

    def filled():
        client("connect", it.target(4), "--count", 1500, ns=it.net.client).result()
        counters = it.counters()
        return counters["untracked"] + counters["insert_limited"] > 0
    wait_until(filled, 60)
    counters = it.counters()
    found, = findings_of(it, "tables", "warning")
    assert found == f"{counters['untracked']} packets found no room for an entry of their flow, " \
        f"{counters['insert_limited']} were over the limit of new entries"


def findings_of(it, subject, level):
    return [f["what"] for f in json.loads(it.daemon.ctl("-o", "json", "doctor").stdout)["findings"]
            if (f["subject"], f["level"]) == (subject, level)]
