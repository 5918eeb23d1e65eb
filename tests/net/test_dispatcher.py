# SPDX-License-Identifier: BSD-2-Clause
"""Shunt beside another XDP program on one interface, by libxdp's dispatcher."""
import json

import pytest

from captures import XDP_TX, Capturing, pairs
from l4 import L4
from lab import binary, kernel_has_dispatcher

pytestmark = [
    pytest.mark.vm,
    pytest.mark.vm_every,
    pytest.mark.xdist_group("xdp-loader"),  # runs once at a time, and fails otherwise
    pytest.mark.skipif(not kernel_has_dispatcher(),
                       reason="no libxdp dispatcher in this kernel (run by make test-vm)"),
]


class Other:
    """The other program (xdp_count.bpf.c), loaded by xdp-loader."""

    def __init__(self, ns):
        self.ns = ns
        ns.run(["xdp-loader", "load", "--mode", "native", "eth0",
                binary("tests/net/xdp_count.bpf.o")])
        prog = self.programs()["xdp_count"]
        shown = json.loads(ns.run(["bpftool", "-j", "prog", "show", "id", str(prog)]).stdout)
        self.map_id = shown["map_ids"][0]

    def unload(self, *args, check=True):
        return self.ns.run(["xdp-loader", "unload", "eth0", *args], check=check)

    def programs(self):
        """What runs on eth0, as xdp-loader sees it: name -> program id."""
        out = self.ns.run(["xdp-loader", "status", "eth0"]).stdout
        rows = [line.split() for line in out.splitlines() if line.startswith(" =>")]
        # " =>  PRIO  NAME  ID  TAG  ACTIONS"
        return {row[2]: int(row[3]) for row in rows}

    def seen(self):
        out = self.ns.run(["bpftool", "-j", "map", "lookup", "id", str(self.map_id),
                           "key", "0", "0", "0", "0"]).stdout
        value = json.loads(out)["value"]
        return int.from_bytes(bytes(int(b, 16) for b in value), "little")


@pytest.fixture
def beside(topology, shuntd, backend):
    """beside(service's keys) -> L4 and Other, both on the balancer's eth0; the other one was there
    first."""
    def make(**service):
        net = topology(backends=2)
        it = L4(net, service=service)
        it.serve(backend)
        other = Other(net.balancer)
        net.lab.at_close(lambda: other.programs() and other.unload("--all"))
        it.daemon = shuntd(it.config(), ns=net.balancer)
        return it, other
    return make


def test_both_programs_see_the_packets(beside, client):
    it, other = beside()
    interface = it.daemon.ctl_json("status")["l4"]["interfaces"][0]
    assert interface["kind"] == "dispatcher" and interface["mode"] == "native"
    assert {"xdp_count", "steer_xdp"} <= set(other.programs())
    before = other.seen()
    it.expect_served(client)
    assert other.seen() - before >= it.counters()["packets"] > 0


def test_ours_is_captured_beside_the_other(beside, client):
    it, _ = beside()
    capture = Capturing(it.daemon)
    it.expect_served(client, count=10)
    found = pairs(capture.stop().packets())
    assert len(found) >= 40
    assert all(p.verdict == XDP_TX and q.length == p.length + 20 for p, q in found.values())


def test_replacing_ours_leaves_the_other_running(beside, client):
    it, other = beside(tracking="always")
    keep = client("keep", it.target(4), "--count", 50, ns=it.net.client)
    keep.result()
    assert it.daemon.terminate() == 0
    it.daemon.write_config(it.config(node={"hash_seed": "00112233445566778899aabbccddeeff"}))
    before, id_before = other.seen(), other.programs()["xdp_count"]
    it.daemon.restart()
    assert it.daemon.ctl_json("status")["l4"]["program_replaced"]
    assert keep.poke()["same"] == 50
    assert other.programs()["xdp_count"] == id_before
    assert list(other.programs()).count("steer_xdp") == 1
    assert other.seen() > before


def test_detaching_ours_leaves_the_other_running(beside, client):
    it, other = beside()
    it.expect_served(client)
    assert it.daemon.terminate() == 0
    it.net.balancer.run([binary("shunt-load"), "detach", "--all", "--purge", "--pin-path",
                         it.daemon.pin_path])
    assert set(other.programs()) == {"xdp_count"}
    before = other.seen()
    it.net.client.run(["ping", "-c1", "-W5", it.net.balancer.addr4])
    assert other.seen() > before


def test_the_other_goes_and_ours_stays(beside, client):
    """Where xdp-loader's own dispatcher is too old for the kernel (bpf/dispatcher.bpf.c) it
    cannot make one for ours alone: it says so, and both stay."""
    it, other = beside()
    done = other.unload("--id", str(other.programs()["xdp_count"]), check=False)
    left = {"steer_xdp"} if done.returncode == 0 else {"steer_xdp", "xdp_count"}
    assert set(other.programs()) == left, done
    it.expect_served(client)
    assert it.daemon.restart().ctl("status").rc == 0
    assert set(other.programs()) == left
    it.expect_served(client)
