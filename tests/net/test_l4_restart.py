# SPDX-License-Identifier: BSD-2-Clause
"""The kernel's part goes on without the daemon, and the daemon finds it again."""
import os
import subprocess
import time

import pytest

from l4 import L4
from lab import BPFFS, PIN_DIR, binary, wait_until

STEADY_S = float(os.environ.get("SHUNT_TEST_STEADY_S", "30"))


def elapsed(seconds):
    """A condition that holds after so many seconds: traffic has to flow for a while."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


@pytest.mark.parametrize("family", [4, 6])
def test_killing_and_restarting_loses_no_packet(l4, client, family):
    it = l4(backends=3)
    steady = client("steady", it.target(family), "--flows", 40, "--rate", 1000,
                    ns=it.net.client)
    assert steady.result()["ready"] == 80
    wait_until(elapsed(STEADY_S / 6), STEADY_S)
    for _ in range(2):
        it.daemon.sigkill()
        wait_until(elapsed(STEADY_S / 6), STEADY_S)
        it.daemon.restart()
        wait_until(elapsed(STEADY_S / 6), STEADY_S)
    wait_until(elapsed(STEADY_S / 6), STEADY_S)
    result = steady.finish()

    assert result["errors"] == {} and result["moved"] == 0, result
    assert result["tcp_back"] == result["tcp_sent"] > STEADY_S * 300
    assert result["udp_back"] == result["udp_sent"] > STEADY_S * 300
    # The counters went on through both kills: each datagram is in them, once.
    assert it.counters("echo-udp")["packets"] == result["udp_sent"]
    assert it.counters("echo")["packets"] > result["tcp_sent"]
    for name in ("echo", "echo-udp"):
        assert not any(it.drops(name).values())
    total = sum(it.counters(name)["packets"] for name in ("echo", "echo-udp"))
    assert sum(b["packets"] for b in it.backend_counters().values()) == total
    assert it.verdicts()["tx"] == total


def test_flows_and_backends_survive_a_crash(l4, client):
    it = l4(backends=3, spare=1)
    keep = client("keep", it.target(4), "--count", 200, ns=it.net.client)
    keep.result()
    slots = {name: b["slots"] for name, b in it.backend_counters().items()}
    it.daemon.sigkill()
    assert keep.poke()["same"] == 200
    it.expect_served(client, names={"b1", "b2", "b3"})
    it.daemon.restart()
    assert keep.poke()["same"] == 200
    assert {name: b["slots"] for name, b in it.backend_counters().items()} == slots
    status = it.daemon.ctl_json("status")["l4"]
    assert status["tables_adopted"] and not status["program_replaced"]


def test_a_change_made_while_the_daemon_was_dead_takes_effect(l4, client):
    it = l4(backends=2, spare=1)
    keep = client("keep", it.target(4), "--count", 100, ns=it.net.client)
    keep.result()
    it.daemon.sigkill()
    it.daemon.write_config(it.config(weights={"b2": 1, "b3": 1}))
    it.daemon.restart()
    it.expect_served(client, names={"b2", "b3"})
    assert keep.poke()["same"] == 100


def test_steering_goes_on_after_sigterm(l4, client):
    it = l4(backends=2)
    assert it.daemon.terminate() == 0
    it.expect_served(client)
    it.daemon.restart()
    it.expect_served(client)


@pytest.mark.vm
def test_replacing_the_program_keeps_flows(l4, client):
    """Another hash seed needs another program, and by it all flows without an entry go elsewhere;
    entries stay."""
    it = l4(backends=3, service={"tracking": "always"})
    keep = client("keep", it.target(4), "--count", 200, ns=it.net.client)
    keep.result()
    it.daemon.sigkill()
    it.daemon.write_config(it.config(node={"hash_seed": "00112233445566778899aabbccddeeff"}))
    it.daemon.restart()
    assert it.daemon.ctl_json("status")["l4"]["program_replaced"]
    assert "node.hash_seed is another one" in it.daemon.log
    assert keep.poke()["same"] == 200
    it.expect_served(client)


def test_an_interface_that_is_no_longer_listed_is_left_alone(l4, client):
    it = l4(backends=1)
    it.expect_served(client)
    it.net.balancer.ip("link add spare type veth peer name spare2", "link set spare up",
                       "link set spare2 up", "addr add 10.99.0.1/24 dev spare",
                       "addr add fd00:99::1/64 dev spare nodad")
    it.daemon.reload(it.config(node={"interfaces": ["spare"]}))
    names = [i["name"] for i in it.daemon.ctl_json("status")["l4"]["interfaces"]]
    assert names == ["spare"]
    it.daemon.reload(it.config())
    it.expect_served(client)


def test_detach_and_purge_leave_nothing(l4):
    it = l4(backends=1)
    assert it.daemon.terminate() == 0
    it.net.balancer.run([binary("shunt-load"), "detach", "--all", "--purge", "--pin-path",
                         it.daemon.pin_path])
    assert not os.path.exists(it.daemon.pin_path) or os.listdir(it.daemon.pin_path) == []
    link = it.net.balancer.run(["ip", "-d", "link", "show", "eth0"]).stdout
    assert "xdp" not in link


def test_two_daemons_do_not_share_a_pin_path(l4, shuntd):
    it = l4(backends=1)
    other = shuntd(L4(it.net).config(), ns=it.net.balancer, start=False,
                   pin_path=it.daemon.pin_path)
    other.spawn()
    assert other.wait_exit() == 1
    assert it.daemon.pin_path in other.log
    assert it.daemon.ctl("status").rc == 0


def test_the_live_program_can_be_run_from_outside(l4, tmp_path):
    """BPF_PROG_TEST_RUN on the pinned program, over the live tables: a packet for the service comes
    out encapsulated. (A dispatcher runs a copy of it over the same tables, of a type that cannot
    be run alone.)"""
    it = l4(backends=1)
    frame = syn_frame(it.vip(4))
    (tmp_path / "in").write_bytes(frame)
    prog = f"{it.daemon.pin_path}/{PIN_DIR}/prog"
    done = subprocess.run(["bpftool", "prog", "run", "pinned", prog, "data_in",
                           str(tmp_path / "in"), "data_out", str(tmp_path / "out"),
                           "data_size_out", "2000", "repeat", "1"],
                          capture_output=True, text=True, check=True)
    assert "Return value: 3" in done.stdout, done  # XDP_TX
    out = (tmp_path / "out").read_bytes()
    assert out[34:34 + len(frame) - 14] == frame[14:]
    assert out[23] == 4  # the outer header carries IPv4


def syn_frame(vip):
    # Imported here: scapy takes a second, and only two tests use it.
    from scapy.all import IP, TCP, Ether  # pylint: disable=import-outside-toplevel
    return bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
                 / IP(src="10.10.1.2", dst=vip) / TCP(sport=1234, dport=7, flags="S"))


def test_nothing_is_pinned_outside_the_pin_path(l4):
    before = set(os.listdir(BPFFS))
    it = l4(backends=1)
    new = {name for name in set(os.listdir(BPFFS)) - before if not name.startswith("shunt-")}
    assert new <= {"xdp"}, new  # libxdp's own folder, where the kernel has its dispatcher
    assert it.daemon.ctl("status").rc == 0
