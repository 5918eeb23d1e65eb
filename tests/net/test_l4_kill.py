# SPDX-License-Identifier: BSD-2-Clause
"""The daemon is killed at random moments while its configuration changes: what is in force after
the next start is one of the generations, whole, and packets are steered all the while."""
import glob
import hashlib
import os
import random
import subprocess
import time

import yaml

from lab import TIMEOUT_S, binary, wait_until

KILLS = int(os.environ.get("SHUNT_TEST_KILLS", "8"))
SEED = int(os.environ.get("SHUNT_TEST_SEED", "0")) or random.randrange(1, 1 << 30)


def test_a_kill_at_any_moment_leaves_a_whole_generation(lab, l4, client):
    print(f"SHUNT_TEST_SEED={SEED}")
    rng = random.Random(SEED)
    state = lab.path("state")
    it = l4(backends=3, daemon={"args": ["--state", state]})
    daemon = it.daemon
    steady = client("steady", it.target(4), "--flows", 20, "--rate", 500, ns=it.net.client)
    steady.result()
    number, seen, unsaved_bad = 1, set(), []
    template = yaml.safe_load(daemon.ctl("config", "show").stdout)

    def document(n):
        """A configuration in which everything says n, so that a mixture shows."""
        for b in template["pools"]["echo"]["backends"]:
            b["weight"] = n
        template["node"]["icmp_rate"] = n
        path = lab.path("next.yaml")
        with open(path, "w", encoding="utf-8") as f:
            yaml.safe_dump(template, f)
        return path

    def changes():
        """The daemon is asked for one change after the other, until it is there no more."""
        script = ('n=$1; while :; do sed "s/\\(weight\\|icmp_rate\\): .*/\\1: $n/" "$2" |'
                  ' "$3" --socket "$4" config apply --save - || exit 0; n=$((n % 900 + 1)); done')
        return subprocess.Popen(["sh", "-c", script, "sh", str(number), document(number),
                                 binary("shuntctl"), daemon.socket],
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    for _ in range(KILLS):
        writer = changes()
        # The first one is on its way, from there on any moment.
        writer.stdout.readline()
        end = time.monotonic() + rng.random() * 0.25
        wait_until(lambda end=end: time.monotonic() >= end, 5, interval=0.001)
        daemon.sigkill()
        writer.communicate(timeout=TIMEOUT_S)
        daemon.restart()
        shown = yaml.safe_load(daemon.ctl("config", "show").stdout)
        says = {b["weight"] for b in shown["pools"]["echo"]["backends"]}
        says.add(shown["node"]["icmp_rate"])
        assert len(says) == 1, shown
        if daemon.ctl_json("status")["started_from_generation"] is not None:
            unsaved_bad.append(says)
        seen |= says
        number = max(says) % 900 + 1
        slots = {name: b["slots"]["echo"] for name, b in it.backend_counters().items()}
        assert set(slots) == {"b1", "b2", "b3"}
        assert max(slots.values()) - min(slots.values()) < sum(slots.values()) / 10, slots

    assert len(seen) > 1
    assert not unsaved_bad  # the file is replaced whole, too
    for path in glob.glob(os.path.join(state, "*.yaml")):
        with open(path, encoding="utf-8") as f:
            head, body = f.read().split("\n\n", 1)
        assert f"# hash: {hashlib.sha256(body.encode()).hexdigest()}" in head
    result = steady.finish()
    assert result["errors"] == {} and result["moved"] == 0, result
    assert result["tcp_back"] == result["tcp_sent"] > 0
    assert result["udp_back"] == result["udp_sent"] > 0
