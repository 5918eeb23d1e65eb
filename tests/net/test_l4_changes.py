# SPDX-License-Identifier: BSD-2-Clause
"""Backends come, drain, go and die; connections of the others never notice."""
import pytest

from l4 import ECHO_PORT, wait_served
from lab import wait_until


def ok(done):
    assert done.rc == 0, done


def test_1000_connections_stay_while_another_backend_comes_and_goes(l4, client):
    it = l4(backends=3, spare=1)
    keep = client("keep", it.target(4), "--count", 1000, ns=it.net.client)
    first = keep.result()
    assert first["errors"] == {} and set(first["by"]) == {"b1", "b2", "b3"}
    same = {"same": 1000, "moved": 0, "errors": {}}

    ok(it.daemon.ctl("backend", "add", "echo", "b4", it.backend_address("b4")))
    assert keep.poke() == same
    it.expect_served(client, names={"b1", "b2", "b3", "b4"})

    ok(it.daemon.ctl("backend", "drain", "echo", "b4"))
    assert keep.poke() == same
    it.expect_served(client, names={"b1", "b2", "b3"})

    ok(it.daemon.ctl("backend", "remove", "echo", "b4"))
    assert keep.poke() == same
    it.expect_served(client, names={"b1", "b2", "b3"})


@pytest.mark.parametrize("family", [4, 6])
def test_a_drained_backend_keeps_its_connections_and_gets_no_new_one(l4, client, family):
    it = l4(backends=2)
    keep = client("keep", it.target(family), "--count", 100, ns=it.net.client)
    assert set(keep.result()["by"]) == {"b1", "b2"}
    ok(it.daemon.ctl("backend", "drain", "echo", "b1"))
    assert keep.poke()["same"] == 100
    it.expect_served(client, family, names={"b2"})
    ok(it.daemon.ctl("backend", "undrain", "echo", "b1"))
    it.expect_served(client, family, names={"b1", "b2"})
    assert keep.poke()["same"] == 100


def test_a_removed_backend_keeps_its_connections(l4, client):
    it = l4(backends=2)
    keep = client("keep", it.target(4), "--count", 100, ns=it.net.client)
    assert set(keep.result()["by"]) == {"b1", "b2"}
    ok(it.daemon.ctl("backend", "remove", "echo", "b1"))
    assert keep.poke()["same"] == 100
    it.expect_served(client, names={"b2"})


def test_a_disabled_backend_gets_nothing_at_all(l4, client):
    it = l4(backends=2)
    ok(it.daemon.ctl("backend", "disable", "echo", "b1"))
    before = it.servers["b1"].stats()["tcp_connections"]
    it.expect_served(client, names={"b2"})
    assert it.servers["b1"].stats()["tcp_connections"] == before


def test_weight_0_takes_no_new_connection(l4, client):
    it = l4(backends=2)
    ok(it.daemon.ctl("backend", "weight", "echo", "b1", "0"))
    it.expect_served(client, names={"b2"})


def test_reload_adds_and_removes_without_moving_a_connection(l4, client):
    it = l4(backends=2, spare=1)
    keep = client("keep", it.target(4), "--count", 300, ns=it.net.client)
    keep.result()
    for weights in ({"b1": 1, "b2": 1, "b3": 3}, {"b2": 1, "b3": 1}, {"b1": 2, "b2": 1}):
        it.daemon.reload(it.config(weights=weights))
        assert keep.poke()["same"] == 300
        it.expect_served(client, names=set(weights))


def test_a_dead_backend_is_taken_out_and_brought_back(l4, client, backend):
    health = {"tcp": {"port": ECHO_PORT}, "every": "200ms", "timeout": "150ms",
              "rise": 2, "fall": 2}
    it = l4(backends=2, pool={"health": health})
    it.expect_served(client)
    it.servers.pop("b1").kill()
    wait_served(it, client, {"b2"})
    assert it.daemon.ctl_json("pool", "show", "echo")["backend_states"]["down"] == 1
    it.servers["b1"] = backend("b1", ns=it.net.backends["b1"],
                               tcp=[it.target(4), it.target(6),
                                    f"{it.net.backends['b1'].addr4}:{ECHO_PORT}"])
    wait_served(it, client, {"b1", "b2"})


def test_connections_of_a_dead_backend_are_chosen_anew(l4, client):
    """Its entries are void: what still sends there learns soon (a reset) that its peer is gone."""
    health = {"tcp": {"port": ECHO_PORT}, "every": "200ms", "timeout": "150ms",
              "rise": 2, "fall": 2}
    it = l4(backends=2, pool={"health": health}, service={"tracking": "always"})
    keep = client("keep", it.target(4), "--count", 100, ns=it.net.client)
    on_b1 = keep.result()["by"]["b1"]
    it.net.backends["b1"].ip("link set eth0 down")
    wait_until(lambda: it.daemon.ctl_json("pool", "show", "echo")["backend_states"]["down"] == 1,
               15, what="b1 to be down")
    result = keep.poke()
    assert result["same"] == 100 - on_b1 and result["moved"] == 0
    assert result["errors"] == {"ECONNRESET": on_b1}
    assert it.counters()["stale"] >= on_b1
