# SPDX-License-Identifier: BSD-2-Clause
"""A backend needs nothing of Shunt's: the kernel's own tunnel devices understand what it sends.
A second opinion on every outer header (the first is shunt-decap's)."""
import os

import pytest

pytestmark = [
    pytest.mark.vm,
    pytest.mark.skipif(not os.environ.get("SHUNT_VM"),
                       reason="needs the modules ipip, sit and ip6_tunnel (run by make test-vm)"),
]

# By (family of the service, family of the tunnel): module, and the device that takes any sender.
DEVICES = {
    (4, 4): ("ipip", "tunl0"),
    (6, 4): ("sit", "sit0"),
    (4, 6): ("ip6_tunnel", "ip6tnl0"),
    (6, 6): ("ip6_tunnel", "ip6tnl0"),
}


@pytest.mark.parametrize("family,outer", [
    pytest.param(*pair, marks=pytest.mark.vm_every if pair[0] == pair[1] else ())
    for pair in DEVICES])
def test_a_tunnel_device_unpacks_what_is_steered(l4, client, family, outer):
    it = l4(backends=2, outer=outer, decap=False)
    module, device = DEVICES[family, outer]
    for ns in it.net.backends.values():
        ns.run(["modprobe", module])
        if device == "ip6tnl0":
            ns.run(["ip", "-6", "tunnel", "change", "ip6tnl0", "mode", "any"])
        ns.ip(f"link set {device} up")
        ns.sysctl({f"net.ipv4.conf.{device}.rp_filter": 0})
    it.expect_served(client, family)
    for ns in it.net.backends.values():
        assert ns.link_counters(device)["rx_packets"] > 0
