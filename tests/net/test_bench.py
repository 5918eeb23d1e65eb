# SPDX-License-Identifier: BSD-2-Clause
"""The benchmarks run: the one through veth pairs measures packets that a shuntd steered."""
import json
import os
import subprocess

import pytest

from lab import PATIENCE, PYTHON, ROOT


def bench(*args):
    done = subprocess.run([PYTHON, os.path.join(ROOT, "bench/veth/run.py"), "--quick", *args],
                          capture_output=True, text=True, timeout=60 * PATIENCE, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("args", [(), ("--family", "6", "--back", "tc")])
def test_quick_run_counts_what_arrives(tmp_path, args):
    result = tmp_path / "veth.json"
    code, output = bench("--json", str(result), *args)
    assert code == 0, output
    rows = json.loads(result.read_text())["results"]
    assert [row["case"] for row in rows] == ["floor", "on-change", "always", "never"]
    for row in rows:
        assert 0 < row["arrived"] <= row["steered"], row
        assert row["ns"] > 0 and row["x_floor"] > 0, row


def test_wrong_arguments_are_refused():
    code, output = bench("--flows", "1000")
    assert code == 2 and "not a power of two" in output
    code, output = bench("--cpu", "4095")
    assert code == 1 and "processor" in output


def test_the_benchmark_of_changes_runs(tmp_path):
    result = tmp_path / "apply.json"
    done = subprocess.run([PYTHON, os.path.join(ROOT, "bench/apply/run.py"), "--quick", "--json",
                           str(result)], capture_output=True, text=True, timeout=60 * PATIENCE,
                          check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(result.read_text())
    assert found["rows_written"]["most"] == 1  # a weight is one ring
    assert 0 < found["generations"] <= found["changes"]


def test_the_benchmark_of_starts_runs(tmp_path):
    result = tmp_path / "start.json"
    done = subprocess.run([PYTHON, os.path.join(ROOT, "bench/start/run.py"), "--quick", "--json",
                           str(result)], capture_output=True, text=True, timeout=120 * PATIENCE,
                          check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {row["case"]: row for row in json.loads(result.read_text())["results"]}
    assert set(rows) == {"proxy", "small", "cold", "warm", "nginx", "haproxy"}
    assert all(row["ms"] > 0 and row["rss"] >= row["pss"] > 0 for row in rows.values()), rows
    # A first start makes tables and verifies; there are tables where it steers.
    assert rows["warm"]["kernel_ms"] < rows["small"]["kernel_ms"], rows
    assert rows["proxy"]["tables"] == 0 < rows["small"]["tables"] < rows["cold"]["tables"], rows


def relay(*args):
    done = subprocess.run([PYTHON, os.path.join(ROOT, "bench/relay/run.py"), "--quick", *args],
                          capture_output=True, text=True, timeout=120 * PATIENCE, check=False)
    return done.returncode, done.stdout + done.stderr


def test_the_benchmark_of_ways_to_relay_names_those_that_it_lacks(tmp_path):
    result = tmp_path / "relay.json"
    code, output = relay("--bodies", "1024,65536", "--json", str(result))
    assert code == 0, output
    found = json.loads(result.read_text())
    ways = {row["way"] for row in found["results"]}
    assert {"direct", "copy", "splice", "seal"} <= ways, ways
    assert ways | set(found["lacks"]) == {"direct", "copy", "splice", "sockmap-body",
                                          "sockmap-tunnel", "seal", "ktls-copy", "ktls-splice"}
    for row in found["results"]:
        for cost in (row["one"], row["two"]):
            assert cost["mib_s"] > 0, row
            # The kernel does what a sockmap relays, and little of it is the thread's.
            if row["way"] == "sockmap-tunnel":
                assert cost["kernel_us"] > cost["relay_us"], row
            elif row["way"] != "direct":
                assert cost["relay_us"] > 0, row


@pytest.mark.parametrize("way", ["copy", "splice", "sockmap-body", "sockmap-tunnel", "seal"])
def test_a_way_that_changes_bytes_ends_the_benchmark(way):
    code, output = relay("--bodies", "65536", "--only", way, "--spoil")
    assert code == 1 and f"{way}, bodies of 65536: other bytes arrived" in output, output
