# SPDX-License-Identifier: BSD-2-Clause
"""Somebody else writes into the kernel's tables: it is noticed, put back, counted and named."""
import json
import subprocess

import pytest

from lab import PIN_DIR, wait_until


class Maps:
    """The pinned tables of a daemon, as bpftool has them: keys and values are lists of bytes."""

    def __init__(self, daemon):
        self.base = f"{daemon.pin_path}/{PIN_DIR}/"

    def run(self, *args):
        return subprocess.run(["bpftool", "-j", "map", *args], capture_output=True, text=True,
                              check=True).stdout

    def rows(self, name):
        def flat(row, key):
            return tuple(int(b, 16) for b in row[key])
        return {flat(row, "key"): flat(row, "value")
                for row in json.loads(self.run("dump", "pinned", self.base + name))
                if isinstance(row["value"], list)}

    def put(self, name, key, value):
        self.run("update", "pinned", self.base + name, "key", *map(str, key), "value",
                 *map(str, value))

    def delete(self, name, key):
        self.run("delete", "pinned", self.base + name, "key", *map(str, key))


@pytest.fixture
def drifting(l4):
    it = l4(backends=2, start=False, node={"reconcile": "1s"})
    config = it.config()
    # A range has rows in the index of addresses.
    config["services"]["range"] = {"listen": [f"{it.net.vip4(40)}:100-200/udp"], "mode": "l4",
                                   "pool": "echo"}
    it.daemon.write_config(config)
    it.daemon.start()
    return it, Maps(it.daemon)


def drift(it):
    return it.daemon.ctl_json("status")["l4"]["drift"]


def used(rows):
    return {key: value for key, value in rows.items() if any(value)}


def change(rows):
    """A row that is in use, and another value for it."""
    key, value = sorted((used(rows) or rows).items())[0]
    return key, value[:-1] + (value[-1] ^ 0xff,)


@pytest.mark.parametrize("table", ["sh_backends", "sh_be_meta", "sh_svc_rings", "sh_svc_meta",
                                   "sh_services", "sh_addrs", "sh_vips"])
def test_a_row_that_was_changed_comes_back(drifting, client, table):
    it, maps = drifting
    before = maps.rows(table)
    assert drift(it)["repaired"] == 0
    maps.put(table, *change(before))
    wait_until(lambda: drift(it)["repaired"] >= 1, 20)
    assert maps.rows(table) == before
    found = drift(it)
    assert found["last"].split()[0] == table and found["passes"] >= 1
    assert f"the kernel's table {table} was changed by another" in it.daemon.log
    assert "were put back" in it.daemon.ctl("status").stdout
    it.expect_served(client)


@pytest.mark.parametrize("table", ["sh_services", "sh_addrs", "sh_vips"])
def test_a_row_that_was_deleted_comes_back_and_one_that_was_added_goes(drifting, client, table):
    it, maps = drifting
    before = maps.rows(table)
    for key in before:
        maps.delete(table, key)
    extra = tuple(b ^ 1 for b in sorted(before)[0])
    if table != "sh_addrs":
        maps.put(table, extra, before[sorted(before)[0]])
    wait_until(lambda: maps.rows(table) == before, 20)
    it.expect_served(client)


def test_nothing_is_written_where_nothing_differs(drifting):
    it, _ = drifting
    passes = drift(it)["passes"]
    wait_until(lambda: drift(it)["passes"] >= passes + 2, 20)
    assert it.daemon.ctl("backend", "drain", "echo", "b1").rc == 0
    passes = drift(it)["passes"]
    wait_until(lambda: drift(it)["passes"] >= passes + 2, 20)
    assert drift(it)["repaired"] == 0 and drift(it)["last"] is None
