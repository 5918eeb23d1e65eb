# SPDX-License-Identifier: BSD-2-Clause
"""Entries on change: the pool is changed in all ways, and no connection notices."""
import pytest

from lab import wait_until


def ok(done):
    assert done.rc == 0, done


def moves(it, name="echo"):
    return it.service_show(name)["l4"]["moves"]


def entries(it):
    tables = it.daemon.ctl_json("status", "--flows")["l4"]["tables"]
    return tables["flows"] + tables["pending_flows"]


def keep(client, it, count, family=4):
    held = client("keep", it.target(family), "--count", count, ns=it.net.client)
    assert held.result()["errors"] == {}
    return held


def unbroken(held, count):
    assert held.poke() == {"same": count, "moved": 0, "errors": {}}


@pytest.mark.parametrize("family", [4, 6])
def test_changes_break_no_connection(l4, client, family):
    it = l4(backends=3, spare=1)
    assert it.service_show()["l4"]["tracking"] == {"tcp": "on-change"}
    assert it.service_show("echo-udp")["l4"]["tracking"] == {"udp": "always"}
    held = [keep(client, it, 200, family)]
    assert entries(it) == 0
    steps = [("add", "echo", "b4", it.backend_address("b4")), ("drain", "echo", "b1"),
             ("weight", "echo", "b2", "3"), ("undrain", "echo", "b1"), ("remove", "echo", "b3"),
             ("drain", "echo", "b4"), ("add", "echo", "b3", it.backend_address("b3")),
             ("remove", "echo", "b4"), ("weight", "echo", "b2", "0")]
    for number, step in enumerate(steps):
        ok(it.daemon.ctl("backend", *step, "--save"))
        for other in held:
            unbroken(other, 200 if other is held[0] else 30)
        held.append(keep(client, it, 30, family))
        if number == len(steps) // 2:
            it.daemon.sigkill()
            for other in held:
                unbroken(other, 200 if other is held[0] else 30)
            it.daemon.restart()
    for other in held:
        unbroken(other, 200 if other is held[0] else 30)
    now = moves(it)
    assert now["slots_moving"] > 0 and now["slots_moving"] + now["slots_settled"] == 65537
    # Those that began in a slot that moved, and no other.
    assert 0 < entries(it) <= 30 * len(steps)


def test_entries_are_only_of_moving_slots(l4, client):
    it = l4(backends=2, spare=1)
    held = keep(client, it, 100)
    assert moves(it)["slots_moving"] == 0 and entries(it) == 0
    ok(it.daemon.ctl("backend", "add", "echo", "b3", it.backend_address("b3")))
    moving = moves(it)["slots_moving"]
    assert 65537 / 3 * 0.9 < moving < 65537 / 3 * 1.2
    more = keep(client, it, 300)
    unbroken(held, 100)
    unbroken(more, 300)
    assert 300 / 3 * 0.6 < entries(it) < 300 / 3 * 1.5
    shown = it.daemon.ctl("service", "show", "echo").stdout
    assert f"{65537 - moving} settled, {moving} moving" in shown, shown


def test_slots_settle_when_their_connections_are_gone(l4, client):
    it = l4(backends=2, spare=1, service={"idle": {"established": "1s", "fin": "1s", "syn": "1s"}})
    ok(it.daemon.ctl("backend", "add", "echo", "b3", it.backend_address("b3"), "--save"))
    assert moves(it)["slots_moving"] > 0
    it.expect_served(client, names={"b1", "b2", "b3"})
    wait_until(lambda: moves(it)["slots_moving"] == 0, 60, what="all slots to settle")
    now = moves(it)
    assert now["slots_settled"] == 65537 and now["oldest_seconds"] is None
    wait_until(lambda: entries(it) == 0 and moves(it)["flow_entries"] == 0, 90,
               what="entries to be deleted")
    # A daemon that finds them so leaves them so.
    it.daemon.sigkill()
    it.daemon.restart()
    assert moves(it)["slots_moving"] == 0
    it.expect_served(client, names={"b1", "b2", "b3"})


def test_a_restarted_daemon_settles_what_it_finds_moving(l4, client):
    it = l4(backends=2, spare=1, service={"idle": {"established": "1s", "fin": "1s", "syn": "1s"}})
    ok(it.daemon.ctl("backend", "add", "echo", "b3", it.backend_address("b3"), "--save"))
    before = moves(it)["slots_moving"]
    it.daemon.sigkill()
    it.daemon.restart()
    assert 0 < moves(it)["slots_moving"] <= before
    wait_until(lambda: moves(it)["slots_moving"] == 0, 60, what="all slots to settle")
    it.expect_served(client, names={"b1", "b2", "b3"})


def test_connections_outlive_all_backends_draining(l4, client):
    """There is none for new connections, and those that are there stay."""
    it = l4(backends=2)
    held = keep(client, it, 100)
    for name in ("b1", "b2"):
        ok(it.daemon.ctl("backend", "drain", "echo", name, "--save"))
    unbroken(held, 100)
    it.daemon.sigkill()
    it.daemon.restart()
    unbroken(held, 100)
    ok(it.daemon.ctl("backend", "undrain", "echo", "b2"))
    unbroken(held, 100)
    it.expect_served(client, names={"b2"})


@pytest.mark.parametrize("first,then", [("on-change", "always"), ("always", "on-change"),
                                        ("never", "on-change"), ("never", "always")])
def test_switching_breaks_no_connection(l4, client, first, then):
    it = l4(backends=2, spare=1, service={"tracking": first})
    held = [keep(client, it, 100)]
    if first != "never":
        ok(it.daemon.ctl("backend", "add", "echo", "b3", it.backend_address("b3"), "--save"))
        held.append(keep(client, it, 100))
    weights = {"b1": 1, "b2": 1, **({"b3": 1} if first != "never" else {})}
    it.daemon.reload(it.config(service={"tracking": then}, weights=weights))
    assert it.service_show()["l4"]["tracking"] == {"tcp": then}
    for other in held:
        unbroken(other, 100)
    ok(it.daemon.ctl("backend", "drain", "echo", "b1"))
    ok(it.daemon.ctl("backend", "weight", "echo", "b2", "2"))
    ok(it.daemon.ctl("backend", "undrain", "echo", "b1"))
    for other in held:
        unbroken(other, 100)


def test_switching_to_never_lets_go_of_everything(l4, client):
    it = l4(backends=2, spare=1)
    ok(it.daemon.ctl("backend", "drain", "echo", "b1"))
    assert moves(it)["slots_moving"] > 0
    it.daemon.reload(it.config(service={"tracking": "never"}))
    assert moves(it)["slots_moving"] == 0
    it.expect_served(client, names={"b1", "b2"})


def test_another_ring_size_is_warned_of(l4):
    it = l4(backends=2)
    it.daemon.write_config(it.config(service={"ring_size": 32771}))
    checked = it.daemon.ctl("config", "check", it.daemon.config_path)
    assert "breaks connections" in checked.stdout + checked.stderr, checked
