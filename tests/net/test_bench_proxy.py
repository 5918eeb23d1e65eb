# SPDX-License-Identifier: BSD-2-Clause
"""The benchmark of the proxy runs, counts what it measures and hides nothing. No times here."""
import json
import os
import subprocess

import pytest

from lab import PATIENCE, PYTHON, ROOT, binary


def bench(*args, env=None):
    argv = [PYTHON, os.path.join(ROOT, "bench/proxy/run.py"), "--quick", *args]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120 * PATIENCE,
                          env={**os.environ, **(env or {})}, check=False)
    return done.returncode, done.stdout + done.stderr


def measure(tmp_path, only, *args):
    result = tmp_path / "proxy.json"
    code, output = bench("--only", only, "--json", str(result), *args)
    assert code == 0, output
    return {row["target"]: row for row in json.loads(result.read_text())["results"]}, output


@pytest.mark.parametrize("only, targets", [
    ("close", {"floor", "shunt", "nginx", "haproxy"}),
    ("resumed", {"shunt", "nginx", "haproxy"}),
])
def test_requests_and_handshakes(tmp_path, only, targets):
    rows, output = measure(tmp_path, only)
    assert set(rows) == targets, output
    for row in rows.values():
        assert row["us"] > 0 and row["rps"] > 0 and row["x_best"] > 0, row
        assert row["errors"] == 0, row
    assert rows["shunt"]["goal"] and rows["shunt"]["met"] in (True, False)


def test_another_build_is_measured_in_turn(tmp_path):
    other, ran = tmp_path / "other", tmp_path / "ran"
    other.write_text(f"#!/bin/sh\ntouch {ran}\nexec {binary('shuntd')} \"$@\"\n")
    other.chmod(0o755)
    rows, output = measure(tmp_path, "close", "--before", str(other), "--without",
                           "floor,nginx,haproxy")
    assert set(rows) == {"shunt", "before"} and ran.exists(), output
    assert rows["before"]["x_before"] == 1 and rows["shunt"]["x_before"] > 0, rows
    assert "goal" not in rows["shunt"], rows  # that of this scenario is set beside the others


def test_idle_connections(tmp_path):
    rows, output = measure(tmp_path, "idle-ws")
    assert set(rows) == {"shunt", "nginx", "haproxy"}, output
    assert all(row["bytes"] > 0 for row in rows.values()), rows


def test_overload(tmp_path):
    result = tmp_path / "overload.json"
    done = subprocess.run([PYTHON, os.path.join(ROOT, "bench/proxy/overload.py"), "--quick",
                           "--only", "shunt", "--json", str(result)],
                          capture_output=True, text=True, timeout=120 * PATIENCE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(result.read_text())["results"]["shunt"]
    assert said["best"]["goodput"] > 0 and said["over"]["goodput"] > 0, said
    assert set(said["high"]) == {"200"}, said


def test_chaos(tmp_path):
    result = tmp_path / "chaos.json"
    done = subprocess.run([PYTHON, os.path.join(ROOT, "bench/proxy/chaos.py"), "--quick", "--json",
                           str(result)], capture_output=True, text=True, timeout=120 * PATIENCE,
                          check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(result.read_text())
    assert set(said) == {"bare", "resilient", "haproxy"}
    assert said["resilient"]["good"] > said["bare"]["good"], said


def test_reloads_under_all_kinds_of_traffic(tmp_path):
    result = tmp_path / "reload.json"
    done = subprocess.run([PYTHON, os.path.join(ROOT, "bench/proxy/reload.py"), "--quick", "--only",
                           "shunt", "--json", str(result)], capture_output=True, text=True,
                          timeout=120 * PATIENCE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    row = json.loads(result.read_text())["results"]["shunt"]
    lanes = {**row["lanes"], "steered": row["steered"]}
    assert set(lanes) == {"http1", "http2", "websocket", "tcp", "steered"}
    for name, lane in lanes.items():
        assert lane["done"] > 20 and lane["errors"] == 0 and not lane.get("lost"), (name, lane)
    assert row["reloads"] > 5 and row["generations"] > 5, row


def test_http2_and_grpc(tmp_path):
    rows, output = measure(tmp_path, "h2,grpc")
    assert set(rows) == {"shunt", "nginx", "haproxy"}, output
    assert all(row["us"] > 0 and row["errors"] == 0 for row in rows.values()), output


def test_wrong_arguments_are_refused():
    code, output = bench("--only", "keepalive,nothing")
    assert code == 2 and "no such scenario: nothing" in output
    code, output = bench("--proxy-cpu", "4095")
    assert code == 1 and "there is no processor 4095" in output


def test_a_proxy_that_does_not_start_ends_the_run(tmp_path):
    """Not a row that is missing: an error, with what the proxy says."""
    fake = tmp_path / "nginx"
    fake.write_text("#!/bin/sh\necho no thanks\nexit 3\n")
    fake.chmod(0o755)
    code, output = bench("--only", "keepalive",
                         env={"PATH": f"{tmp_path}:{os.environ['PATH']}:/usr/sbin"})
    assert code == 1 and "nginx ended with 3: no thanks" in output, output
