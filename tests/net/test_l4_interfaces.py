# SPDX-License-Identifier: BSD-2-Clause
"""Several interfaces, and one that goes and comes back."""
from l4 import wait_served
from lab import wait_until

SPARE = ("link add spare type veth peer name spare2", "link set spare up", "link set spare2 up",
         "addr add 10.99.0.1/24 dev spare", "addr add fd00:99::1/64 dev spare nodad")


def attached(it):
    return sorted(i["name"] for i in it.daemon.ctl_json("status")["l4"]["interfaces"])


def test_an_interface_goes_and_comes_back(l4, client):
    it = l4(backends=2)
    it.net.balancer.ip(*SPARE)
    it.daemon.reload(it.config(node={"interfaces": ["eth0", "spare"]}))
    assert attached(it) == ["eth0", "spare"]
    keep = client("keep", it.target(4), "--count", 50, ns=it.net.client)
    keep.result()

    it.net.balancer.ip("link del spare")
    wait_until(lambda: attached(it) == ["eth0"], 10)
    # What does not need it goes on: commands are obeyed, and connections stay.
    done = it.daemon.ctl("backend", "drain", "echo", "b1")
    assert done.rc == 0, done
    wait_served(it, client, {"b2"})
    assert keep.poke()["same"] == 50

    it.net.balancer.ip(*SPARE)
    wait_until(lambda: attached(it) == ["eth0", "spare"], 15)
    assert keep.poke()["same"] == 50
