# SPDX-License-Identifier: BSD-2-Clause
"""shunt-load by hand: attach, look, detach."""
import json
import os
import subprocess

import pytest

from lab import BPFFS, binary, kernel_has_dispatcher, unique

SMALL = ["--ring-slots", "65536", "--flows", "1024", "--pending", "1024"]


class Tool:
    """shunt-load in a namespace with one interface, eth0, and a pin path of its own."""

    def __init__(self, lab):
        self.ns, peer = lab.namespace("host"), lab.namespace("peer")
        lab.link(self.ns, "eth0", peer, "eth0")
        self.pin_path = f"{BPFFS}/{unique('load')}"
        lab.at_close(self.purge)

    def __call__(self, verb, *args, check=True):
        pin = [] if verb == "probe" else ["--pin-path", self.pin_path]
        return self.ns.run([binary("shunt-load"), verb, *args, *pin], check=check)

    def status(self):
        return json.loads(self("status", "-o", "json").stdout)

    def xdp(self):
        """What the kernel says of eth0: None or {"mode": ...}."""
        return json.loads(self.ns.run(["ip", "-j", "-d", "link", "show", "eth0"]).stdout)[0].get(
            "xdp")

    def purge(self):
        if os.path.isdir(self.pin_path):
            self("detach", "--all", "--purge")


@pytest.fixture
def tool(lab):
    return Tool(lab)


@pytest.mark.vm
def test_attach_says_where_and_how(tool):
    tool("attach", "-i", "eth0", *SMALL)
    interface = tool.status()["interfaces"][0]
    assert interface["name"] == "eth0" and interface["mode"] == "native"
    assert interface["kind"] == ("dispatcher" if kernel_has_dispatcher() else "single")
    assert tool.xdp()["mode"] == 1
    assert "native" in tool("status").stdout and interface["kind"] in tool("status").stdout


def test_attach_twice_changes_nothing(tool):
    tool("attach", "-i", "eth0", *SMALL)
    before = tool.status()
    tool("attach", "-i", "eth0", *SMALL)
    assert tool.status() == before


def test_generic_mode_when_asked_for(tool):
    tool("attach", "-i", "eth0", "--mode", "generic", *SMALL)
    assert tool.status()["interfaces"][0]["mode"] == "generic"


@pytest.mark.vm
def test_detach_keeps_the_tables_and_purge_does_not(tool):
    tool("attach", "-i", "eth0", *SMALL)
    tool("detach", "-i", "eth0")
    assert tool.status()["interfaces"] == [] and tool.xdp() is None
    tool("detach", "--all", "--purge")
    assert not os.path.exists(tool.pin_path) or os.listdir(tool.pin_path) == []
    assert tool("status", check=False).returncode == 1


def test_an_interface_that_does_not_exist(tool):
    done = tool("attach", "-i", "eth7", *SMALL, check=False)
    assert done.returncode == 1 and "eth7" in done.stderr


def test_a_missing_capability_is_named(tool):
    done = subprocess.run(
        tool.ns.command(["setpriv", "--bounding-set=-all", binary("shunt-load"), "attach", "-i",
                         "eth0", "--pin-path", tool.pin_path, *SMALL]),
        capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "CAP_BPF" in done.stderr.upper().replace("-", "_"), done


@pytest.mark.parametrize("args", [["fly"], [], ["attach"], ["attach", "-i", "eth0", "--mode", "x"],
                                  ["attach", "--frobnicate"], ["detach"], ["status", "-o", "xml"]])
def test_wrong_usage(args):
    done = subprocess.run([binary("shunt-load"), *args], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 2 and done.stderr


@pytest.mark.vm
def test_probe_finds_all_that_is_needed(tool):
    items = json.loads(tool("probe", "-o", "json").stdout)
    assert all(item["ok"] for item in items if item["required"]), items
    assert {"btf", "cap-bpf", "xdp-dispatcher"} & {item["name"] for item in items}
