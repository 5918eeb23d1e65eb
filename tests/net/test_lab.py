# SPDX-License-Identifier: BSD-2-Clause
"""The stage itself: what every other test here relies on."""
import os
import subprocess

from lab import Lab


def netns_names():
    out = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True)
    return {line.split()[0] for line in out.stdout.splitlines() if line}


def test_router_joins_client_balancer_and_backends(topology):
    net = topology(backends=2)
    for box in (net.balancer, *net.backends.values()):
        net.client.run(["ping", "-c1", "-W5", box.addr4])
        net.client.run(["ping", "-c1", "-W5", box.addr6])


def test_a_full_inner_packet_fits_the_tunnel_links(topology):
    net = topology(backends=1)
    backend = net.backends["b1"]
    net.balancer.run(["ping", "-c1", "-W5", "-Mdo", "-s1560", net.router_address(backend, 4)])
    net.balancer.run(["ping", "-c1", "-W5", "-Mdo", "-s1540", net.router_address(backend, 6)])


def test_servers_and_clients_talk_in_both_families(topology, backend, client):
    net = topology(backends=1)
    b1 = net.backends["b1"]
    server = backend("b1", ns=b1, http=[f"{b1.addr4}:80", f"[{b1.addr6}]:80"],
                     tcp=[f"{b1.addr4}:7", f"[{b1.addr6}]:7"],
                     udp=[f"{b1.addr4}:7", f"[{b1.addr6}]:7"])
    for addr in (b1.addr4, f"[{b1.addr6}]"):
        tcp = client("connect", f"{addr}:7", "--count", 50, ns=net.client).result()
        assert tcp == {"by": {"b1": 50}, "errors": {}}
        udp = client("udp", f"{addr}:7", "--flows", 20, ns=net.client).result()
        assert udp["by"] == {"b1": 20} and udp["lost"] == 0
        http = client("http", f"http://{addr}/bytes/100000", "--requests", 20,
                      ns=net.client).result()
        assert http["ok"] == 20 and http["by"] == {"b1": 20}
    assert server.stats()["tcp_connections"] == 100


def test_kept_connections_say_who_answers(topology, backend, client):
    net = topology(backends=1)
    b1 = net.backends["b1"]
    backend("b1", ns=b1, tcp=[f"{b1.addr4}:7"])
    keep = client("keep", f"{b1.addr4}:7", "--count", 30, ns=net.client)
    assert keep.result()["by"] == {"b1": 30}
    assert keep.poke() == {"same": 30, "moved": 0, "errors": {}}
    assert keep.poke() == {"same": 30, "moved": 0, "errors": {}}


def test_health_answers_what_was_set(backend, free_port, client):
    port = free_port()
    server = backend("b1", http=[f"127.0.0.1:{port}"])
    url = f"http://127.0.0.1:{port}/healthz"
    assert client("http", url, "--requests", 1).result()["status"] == {"200": 1}
    server.set_health(503)
    assert client("http", url, "--requests", 1).result()["status"] == {"503": 1}


def test_nothing_is_left_behind():
    before = netns_names()
    lab = Lab()
    try:
        ns = lab.namespace("x")
        proc = ns.popen(["sleep", "1000"])
        assert ns.name in netns_names()
    finally:
        lab.close()
    assert proc.poll() is not None
    assert ns.name not in netns_names() and before <= netns_names() | before
    assert not os.path.exists(lab.dir)
