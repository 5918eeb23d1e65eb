# SPDX-License-Identifier: BSD-2-Clause
"""Checks that go the way of clients' packets: what is wrong with a backend for direct server return
is found, though its server answers at its own address."""
import json
import subprocess

import pytest

from l4 import L4, ECHO_PORT
from lab import BPFFS, PATIENCE, binary, unique, wait_until
from segment import Mixed

# A machine that is slow must not make a backend seem down while clients are there.
WAIT_MS = int(200 * PATIENCE)
CHECK = {"every": f"{WAIT_MS}ms", "timeout": f"{WAIT_MS}ms", "rise": 2, "fall": 2}
BOTH = {"tcp": {"port": ECHO_PORT}, "via": "both", **CHECK}
TUNNEL = {"tcp": {}, "via": "tunnel", **CHECK}


class Checked(L4):
    """Two backends, b1 with a tunnel's end that a test takes away."""

    def __init__(self, net, **kw):
        super().__init__(net, **kw)
        self.pins = f"{BPFFS}/{unique('decap')}"

    def decap(self, *args):
        return self.net.backends["b1"].run(
            [binary("shunt-decap"), *args, "-i", "eth0", "--pin-path", self.pins])

    def attach(self):
        self.decap("attach", "--service", self.vip(4), "--service", self.vip(6))
        self.net.lab.at_close(self.decap, "detach")

    def health(self, name="b1"):
        return {b["name"]: b for b in self.daemon.ctl_json("health")["backends"]}[name]

    def wait(self, state, *words):
        """Until b1 is so, with all of the words in the reason; b2 is up all the time."""
        wait_until(lambda: self.health()["state"] == state and
                   all(word in self.health()["result"] for word in words), 20,
                   what=lambda: f"{state}, {words}; it is {self.health()}")
        wait_until(lambda: self.health("b2")["state"] == "up", 20,
                   what=lambda: f"b2 up; it is {self.health('b2')}")


@pytest.fixture
def checked(topology, shuntd, backend):
    def make(way, health, outer=4, start=True, **kw):
        it = Checked(topology(), outer=outer, pool={"forward": way, "health": health}, **kw)
        it.serve(backend, ["b2"])
        it.serve(backend, ["b1"], decap=False)
        it.attach()
        if start:
            it.daemon = shuntd(it.config(), ns=it.net.balancer)
            it.wait("up", "2 addresses answer through the tunnel")
        return it
    return make


@pytest.mark.parametrize("way,outer", [("ipip", 4), ("ipip", 6), ("gue", 4), ("gue", 6)])
def test_what_is_missing_is_found(checked, client, way, outer):
    """And is there again: each time clients are served by those that can."""
    it = checked(way, BOTH, outer)
    b1 = it.net.backends["b1"]
    it.expect_served(client, 4)
    it.decap("detach")
    it.wait("down", "connected in", "but no answer through the tunnel from", it.vip(4), "1 more")
    it.expect_served(client, 4, names=["b2"])
    it.expect_served(client, 6, names=["b2"])
    it.decap("attach", "--service", it.vip(4), "--service", it.vip(6))
    it.wait("up", "connected in", "2 addresses answer through the tunnel")
    it.expect_served(client, 6)
    for family, prefix in ((4, 32), (6, 128)):
        b1.ip(f"addr del {it.vip(family)}/{prefix} dev lo")
        it.wait("down", "but no answer through the tunnel from", it.target(family))
        assert "more" not in it.health()["result"]
        b1.ip(f"addr add {it.vip(family)}/{prefix} dev lo" + (" nodad" if family == 6 else ""))
        it.wait("up")


def test_no_server_at_the_service_address(checked):
    """The tunnel is well: it says what is not."""
    it = checked("ipip", TUNNEL)
    it.servers["b1"].kill()
    it.wait("down", "refuses connections through the tunnel")
    assert "connected" not in it.health()["result"]


def test_a_failed_direct_check_is_the_reason(checked):
    it = checked("ipip", BOTH)
    it.servers["b1"].kill()
    it.wait("down", "connect: connection refused")
    assert "tunnel" not in it.health()["result"]


def test_nothing_is_left_half_open(checked):
    """A backend that answered is told at once that nothing follows."""
    it = checked("ipip", TUNNEL)
    checks = it.health()["checks"]
    wait_until(lambda: it.health()["checks"] > checks + 5, 20)

    def half_open():
        return it.net.backends["b1"].run(["ss", "-Htn", "state", "syn-recv"]).stdout
    wait_until(lambda: not half_open(), 10, what=half_open)


@pytest.mark.vm
def test_a_balancer_that_has_the_address_itself(checked, shuntd):
    """Its stack would drop the answers, from an address of its own."""
    it = checked("ipip", TUNNEL, start=False)
    it.net.balancer.ip(f"addr add {it.vip(4)}/32 dev lo", f"addr add {it.vip(6)}/128 dev lo nodad")
    it.daemon = shuntd(it.config(), ns=it.net.balancer)
    it.wait("up", "2 addresses answer through the tunnel")


def test_datagrams_alone_are_checked_by_echo(checked, shuntd):
    it = checked("gue", TUNNEL, start=False)
    config = it.config()
    del config["services"]["echo"]
    it.daemon = shuntd(config, ns=it.net.balancer)
    it.wait("up", "2 addresses answer through the tunnel")
    it.net.backends["b1"].ip(f"addr del {it.vip(4)}/32 dev lo")
    it.wait("down", f"no answer through the tunnel from {it.vip(4)} within {WAIT_MS} ms")


@pytest.mark.parametrize("family", [4, 6])
def test_frames_for_a_backend_of_the_own_network(topology, shuntd, backend, family):
    it = Mixed(topology(), {"b1": "l2", "b2": "l2"}, outer=family,
               pool={"health": TUNNEL})
    it.serve(backend)
    it.daemon = shuntd(it.config(), ns=it.net.balancer)

    def health(name):
        return {b["name"]: b for b in it.daemon.ctl_json("health")["backends"]}[name]
    wait_until(lambda: health("b1")["state"] == health("b2")["state"] == "up", 20,
               what=lambda: f"both up: {health('b1')}, {health('b2')}")
    assert f"{it.target(family)} answers by its MAC address" in health("b1")["result"]
    it.net.backends["b1"].ip(f"addr del {it.vip(family)}/{32 if family == 4 else 128} dev lo")
    wait_until(lambda: health("b1")["state"] == "down", 20)
    assert f"no answer by its MAC address from {it.target(family)}" in health("b1")["result"]
    assert health("b2")["state"] == "up"


def test_a_reload_turns_it_on_and_off(checked, shuntd):
    it = checked("ipip", {**BOTH, "via": "direct"}, start=False)
    it.daemon = shuntd(it.config(), ns=it.net.balancer)
    it.decap("detach")
    it.wait("up", "connected in")
    it.daemon.reload(it.config(pool={"forward": "ipip", "health": BOTH}))
    it.wait("down", "no answer through the tunnel")
    it.daemon.reload(it.config())
    it.wait("up", "connected in")
    assert "tunnel" not in it.health()["result"]


@pytest.mark.parametrize("pool,error", [
    ({"forward": "nat", "health": BOTH},
     "health.via: both is for pools with forward: ipip, gue or l2"),
    ({"forward": "ipip", "health": {"http": {"port": 80}, "via": "tunnel"}},
     "health.via: tunnel asks no more than a tcp check; for a check by http too write both"),
])
def test_what_cannot_be_checked_so_is_refused(tmp_path, pool, error):
    path = tmp_path / "shunt.yaml"
    path.write_text(json.dumps({
        "pools": {"echo": {**pool, "backends": [{"name": "b1", "address": "10.0.0.1"}]}},
        "services": {"echo": {"listen": "203.0.113.10:7/tcp", "pool": "echo"}}}))
    done = subprocess.run([binary("shuntd"), "-c", path, "--check"], capture_output=True,
                          text=True, check=False)
    assert done.returncode == 1 and error in done.stderr, done
