# SPDX-License-Identifier: BSD-2-Clause
"""What the daemon cannot do it says, with the name of the thing, and changes nothing."""
import os

import pytest

from l4 import L4
from lab import binary, kernel_has_dispatcher


def start_fails(daemon, *words):
    daemon.spawn()
    assert daemon.wait_exit() == 1, daemon.log
    for word in words:
        assert word in daemon.log, daemon.log
    assert "Sanitizer" not in daemon.log


def test_an_interface_that_does_not_exist(topology, shuntd):
    net = topology(backends=1)
    it = L4(net, node={"interfaces": ["eth7"]})
    daemon = shuntd(it.config(), ns=net.balancer, start=False)
    start_fails(daemon, "eth7")
    assert not os.path.exists(daemon.pin_path), "tables were made all the same"


def test_a_reload_to_an_interface_that_does_not_exist_changes_nothing(l4, client):
    it = l4(backends=1)
    it.daemon.write_config(it.config(node={"interfaces": ["eth0", "eth7"]}))
    done = it.daemon.ctl("config", "apply", it.daemon.config_path)
    assert done.rc == 3 and "eth7" in done.stderr, done
    it.expect_served(client)


@pytest.mark.parametrize("missing", ["-all", "-bpf", "-net_admin"])
def test_a_missing_capability(topology, shuntd, missing):
    net = topology(backends=1)
    drop = missing + (",-sys_admin" if missing == "-bpf" else "")
    daemon = shuntd(L4(net).config(), ns=net.balancer, start=False,
                    wrap=["setpriv", f"--bounding-set={drop}"])
    start_fails(daemon, "CAP_NET_ADMIN" if missing == "-net_admin" else "CAP_BPF")


@pytest.mark.skipif(kernel_has_dispatcher(), reason="with a dispatcher: see test_dispatcher.py")
def test_another_program_on_the_interface(topology, shuntd):
    """Without a dispatcher in the kernel ours does not push the other one off."""
    net = topology(backends=1)
    other = binary("tests/net/xdp_pass.bpf.o")
    net.balancer.ip(f"link set dev eth0 xdpdrv object {other} section xdp")
    before = net.balancer.run(["ip", "-d", "-j", "link", "show", "eth0"]).stdout
    start_fails(shuntd(L4(net).config(), ns=net.balancer, start=False), "eth0")
    assert net.balancer.run(["ip", "-d", "-j", "link", "show", "eth0"]).stdout == before
