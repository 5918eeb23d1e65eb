# SPDX-License-Identifier: BSD-2-Clause
"""One of two backends behind a path that loses a third of its packets, on a processor that is taken
at times: next to no request fails. How late answers come is for the benchmark (bench-lossy)."""
import json
import os
import subprocess

import pytest

from lab import PATIENCE, PYTHON, ROOT

pytestmark = [
    pytest.mark.vm,
    pytest.mark.skipif(not os.environ.get("SHUNT_VM"),
                       reason="needs the module sch_netem (run by make test-vm)"),
]


def test_few_requests_fail(tmp_path):
    result = tmp_path / "lossy.json"
    argv = [PYTHON, os.path.join(ROOT, "bench/proxy/lossy.py"), "--quick", "--seconds", "20",
            "--json", str(result)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120 * PATIENCE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads(result.read_text())["results"]
    assert rows["bare"]["p99_ms"] >= 200, rows  # packets are lost: TCP sends again no sooner
    assert rows["shunt"]["failed"] < 0.005, rows
