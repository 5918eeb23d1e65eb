# SPDX-License-Identifier: BSD-2-Clause
"""Proxied services on prefixes, ranges of ports and any port; who gets their connections."""
import json
import os
import signal
import subprocess

import pytest

from lab import TIMEOUT_S, binary, wait_until


class Steered:
    """A shuntd in the balancer's namespace with http services NAME -> listen addresses; each has a
    backend of its own that answers with NAME."""

    def __init__(self, net, shuntd, backend, services, workers=4, start=True, **node):
        self.net, self.balancer = net, net.balancer
        host = net.backends["b1"]
        for i, name in enumerate(services):
            backend(name, ns=host, http=[f"{host.addr4}:{8001 + i}"])
        self.names = list(services)
        self.node = {"steer_sockets": "auto", "workers": workers, **node}
        net.balancer.ip(f"route add local {net.VIP4}0/24 dev lo",
                        f"route add local {net.VIP6}/64 dev lo")
        self.daemon = shuntd(self.config(services), ns=net.balancer, start=start)

    def config(self, services):
        host = self.net.backends["b1"].addr4
        return {
            "node": self.node,
            "services": {name: {"listen": listen, "mode": "http", "pool": f"p{name}"}
                         for name, listen in services.items()},
            "pools": {f"p{name}": {"health": "none", "backends": [
                {"name": "b", "address": f"{host}:{8001 + self.names.index(name)}"}]}
                      for name in services},
        }

    def reload(self, services):
        self.daemon.reload(self.config(services))

    def who(self, client, target):
        """The service that answers there; "" where nobody does."""
        result = client("http", f"http://{target}/", "--connections", 1, "--requests", 1,
                        ns=self.net.client).result()
        return next(iter(result["by"]), "")

    def refused(self, addr, port):
        """What a connection from the client's namespace meets."""
        argv = ["/usr/bin/python3", "-c",
                "import socket, sys\n"
                "s = socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET)\n"
                "s.settimeout(10)\n"
                "print(s.connect_ex((sys.argv[1], int(sys.argv[2]))))", addr, str(port)]
        return int(self.net.client.run(argv).stdout) != 0

    def pinned(self):
        """What shunt-load says of the program for listening sockets."""
        done = subprocess.run([binary("shunt-load"), "status", "-o", "json", "--pin-path",
                               self.daemon.pin_path], capture_output=True, check=True)
        return json.loads(done.stdout)["sockets"]

    def status(self):
        return self.daemon.ctl_json("status")["proxy"]["socket_program"]

    def counts(self, name):
        return self.daemon.ctl_json("service", "show", name)["socket_program"]


@pytest.fixture
def steered(topology, shuntd, backend):
    return lambda services, **kw: Steered(topology(backends=1), shuntd, backend, services, **kw)


def test_a_prefix_a_range_and_any_port(steered, client):
    s = steered({
        "any": ["203.0.113.0/24:any/tcp", "[2001:db8:113::]:1/tcp"],
        "range": ["203.0.113.10:8000-8099/tcp", "[2001:db8:113::a]:8000-8099/tcp"],
        "one": ["203.0.113.10:8080/tcp", "[2001:db8:113::a]:8080/tcp"],
        "half": ["203.0.113.128/25:80/tcp", "[2001:db8:113::/65]:80/tcp"],
    })
    for target, name in [
            ("203.0.113.7:80", "any"), ("203.0.113.7:65535", "any"), ("203.0.113.10:80", "any"),
            ("203.0.113.10:8000", "range"), ("203.0.113.10:8099", "range"),
            ("203.0.113.10:8080", "one"), ("203.0.113.11:8080", "any"),
            ("203.0.113.200:80", "half"), ("203.0.113.200:81", "any"),
            ("[2001:db8:113::a]:8000", "range"), ("[2001:db8:113::a]:8099", "range"),
            ("[2001:db8:113::a]:8080", "one"), ("[2001:db8:113::7]:80", "half"),
    ]:
        assert s.who(client, target) == name, target
    assert s.refused("2001:db8:113::a", 8100)
    assert s.refused("2001:db8:113::7", 81)
    assert s.refused(s.balancer.addr4, 80)
    assert s.status()["in_use"]
    assert s.status()["not_local"] == []
    assert s.counts("one")["chosen"] == 2
    assert s.counts("range")["chosen"] == 4
    assert not {name: s.counts(name) for name in s.names
                if s.counts(name)["no_socket"] or s.counts(name)["failed"]}


def test_connections_are_shared_out_among_workers(topology, shuntd, backend, client):
    net = topology(backends=1)
    host = net.backends["b1"]
    backend("one", ns=host, tcp=[f"{host.addr4}:7000"])
    net.balancer.ip(f"route add local {net.VIP4}0/24 dev lo")
    daemon = shuntd({
        "node": {"steer_sockets": "auto", "workers": 4},
        "services": {"web": {"listen": ["203.0.113.0/24:any/tcp"], "mode": "tcp", "pool": "p",
                             "relay": {"connections": 5}}},
        "pools": {"p": {"health": "none", "backends": [
            {"name": "b", "address": f"{host.addr4}:7000"}]}},
    }, ns=net.balancer)
    # Five for each worker are taken: with so many more, all of them have had theirs.
    held = client("keep", "203.0.113.9:99", "--count", 300, ns=net.client)
    assert held.result()["by"] == {"one": 20}
    shown = daemon.ctl_json("service", "show", "web")
    assert shown["relay"]["open_connections"] == 20
    assert shown["socket_program"]["chosen"] == 300
    assert "chosen for 300 packets" in daemon.ctl("service", "show", "web").stdout
    held.proc.stdin.close()
    assert held.proc.wait(TIMEOUT_S) == 0


# Ways to serve 203.0.113.10:80, which go over into each other.
WAYS = [
    {"web": ["203.0.113.10:80/tcp"]},
    {"web": ["203.0.113.0/24:80/tcp"]},
    {"web": ["203.0.113.0/24:80/tcp"], "other": ["203.0.113.10:1-1000/tcp"]},
    {"other": ["203.0.113.0/25:any/tcp", "203.0.113.11:80/tcp"]},
    {"web": ["203.0.113.10:80/tcp", "203.0.113.10:81/tcp"], "other": ["203.0.113.0/25:any/tcp"]},
    {"third": ["203.0.113.10:80-81/tcp"]},
    {"third": ["0.0.0.0:80/tcp"]},
]


@pytest.mark.vm
def test_no_connection_is_lost_when_listen_addresses_change(topology, shuntd, backend, client):
    net = topology(backends=1)
    host = net.backends["b1"]
    backend("one", ns=host, tcp=[f"{host.addr4}:7000"])
    net.balancer.ip(f"route add local {net.VIP4}0/24 dev lo")

    def config(way):
        return {
            "node": {"steer_sockets": "on", "workers": 3},
            "services": {name: {"listen": listen, "mode": "tcp", "pool": "p"}
                         for name, listen in way.items()},
            "pools": {"p": {"health": "none", "backends": [
                {"name": "b", "address": f"{host.addr4}:7000"}]}},
        }

    daemon = shuntd(config(WAYS[0]), ns=net.balancer)
    stream = client("connect", "203.0.113.10:80", "--count", 6000, "--parallel", 16,
                    ns=net.client)
    reloads = 0
    while stream.proc.poll() is None and reloads < 60:
        reloads += 1
        daemon.reload(config(WAYS[reloads % len(WAYS)]))
    result = stream.result()
    assert result == {"by": {"one": 6000}, "errors": {}}, result
    assert reloads > len(WAYS), "too few changes for what was asked"


def test_a_connection_outlives_the_prefix_that_it_came_by(steered):
    s = steered({"web": ["203.0.113.0/24:80/tcp"]})
    code = ("import http.client, sys\n"
            "c = http.client.HTTPConnection('203.0.113.10', timeout=10)\n"
            "c.connect()\n"
            "c.auto_open = False\n"
            "for line in sys.stdin:\n"
            "    c.request('GET', '/')\n"
            "    r = c.getresponse()\n"
            "    print(r.status, len(r.read()) > 0, flush=True)\n")
    peer = s.net.client.popen(["/usr/bin/python3", "-c", code], text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask():
        peer.stdin.write("\n")
        peer.stdin.flush()
        return peer.stdout.readline().strip()

    assert ask() == "200 True"
    # Its address is bound by sockets of the service's own, while the connection has it.
    s.reload({"web": ["203.0.113.10:80/tcp"]})
    assert ask() == "200 True"
    s.reload({"web": ["203.0.113.10:1-100/tcp"]})
    assert ask() == "200 True"
    s.reload({"web": ["203.0.113.0/24:80/tcp"]})
    assert ask() == "200 True"


def test_a_removed_service_is_refused_at_once(steered, client):
    s = steered({"a": ["203.0.113.0/24:80/tcp"], "b": ["203.0.113.0/24:81/tcp"]})
    assert s.who(client, "203.0.113.5:81") == "b"
    s.reload({"a": ["203.0.113.0/24:80/tcp"]})
    assert s.refused("203.0.113.5", 81)
    assert s.who(client, "203.0.113.5:80") == "a"
    assert s.status()["groups"] == 1
    s.reload({"a": ["203.0.113.0/24:80/tcp"], "b": ["203.0.113.0/24:81/tcp"]})
    assert s.who(client, "203.0.113.5:81") == "b"


@pytest.mark.vm
@pytest.mark.vm_every
def test_a_killed_daemon_is_followed_by_one_that_takes_up_its_program(steered, client):
    s = steered({"a": ["203.0.113.0/24:80/tcp", "[2001:db8:113::/64]:80/tcp"]})
    assert s.who(client, "203.0.113.5:80") == "a"
    before = s.pinned()
    s.daemon.sigkill()
    assert s.refused("203.0.113.5", 80)
    left = s.pinned()
    assert (left["link_id"], left["keys"], left["user_pid"]) == (before["link_id"], 2, 0)
    s.daemon.start()
    assert s.who(client, "203.0.113.5:80") == "a"
    assert s.who(client, "[2001:db8:113::5]:80") == "a"
    after = s.pinned()
    assert (after["link_id"], after["network_namespace"], after["keys"]) == (
        before["link_id"], before["network_namespace"], 2)
    assert s.status()["tables_adopted"]
    assert s.counts("a")["no_socket"] > 0


def test_it_can_be_taken_off_and_comes_back(steered, client):
    s = steered({"a": ["203.0.113.0/24:80/tcp"], "b": ["203.0.113.7:81/tcp"]})
    assert s.who(client, "203.0.113.5:80") == "a"
    argv = [binary("shunt-load"), "detach", "--all", "--pin-path", s.daemon.pin_path]
    assert s.balancer.run(argv).stdout == ""
    assert s.refused("203.0.113.5", 80)
    assert s.who(client, "203.0.113.7:81") == "b"
    assert (s.status()["in_use"], s.status()["problem"]) == (False, "it was detached")
    assert "no program gives them connections: it was detached" in s.daemon.ctl("status").stdout
    s.reload({"a": ["203.0.113.0/24:80/tcp"], "b": ["203.0.113.7:81/tcp"]})
    assert s.status()["in_use"]
    assert s.who(client, "203.0.113.5:80") == "a"
    assert s.who(client, "203.0.113.7:81") == "b"
    purge = s.balancer.run([*argv, "--purge"], check=False)
    assert purge.returncode == 1
    assert "already in use by the process" in purge.stderr


def test_without_the_program_there_are_exact_addresses_alone(steered, client):
    drop = ["setpriv", "--bounding-set=-bpf,-sys_admin", "--inh-caps=-bpf,-sys_admin"]
    s = steered({"a": ["203.0.113.5:80/tcp", "[2001:db8:113::5]:80/tcp"]}, steer_sockets="on",
                start=False)
    s.daemon.wrap = drop
    s.daemon.start()
    assert s.who(client, "203.0.113.5:80") == "a"
    assert s.who(client, "[2001:db8:113::5]:80") == "a"
    assert "no program gives connections to the sockets of proxied services" in s.daemon.log
    assert not s.status()["in_use"]
    assert "CAP_BPF" in s.status()["problem"]
    assert "CAP_BPF" in s.daemon.ctl("status").stdout
    assert s.counts("a") is None
    generation = s.daemon.generation()
    s.daemon.write_config(s.config({"a": ["203.0.113.0/24:80/tcp"]}))
    s.daemon.signal(signal.SIGHUP)
    wait_until(lambda: "service a: cannot listen at 203.0.113.0/24:80/tcp without a program" in
               s.daemon.log)
    assert s.daemon.generation() == generation
    assert s.who(client, "203.0.113.5:80") == "a"
    s.reload({"a": ["203.0.113.6:80/tcp"]})
    assert s.who(client, "203.0.113.6:80") == "a"
    assert s.daemon.log.count("no program gives connections") == 1


def test_a_prefix_without_the_program_does_not_start(steered):
    s = steered({"a": ["203.0.113.0/24:80/tcp"]}, start=False)
    s.daemon.wrap = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"]
    s.daemon.spawn()
    assert s.daemon.wait_exit() == 1
    assert "cannot listen at 203.0.113.0/24:80/tcp without a program" in s.daemon.log


def test_off_means_off(steered, client):
    s = steered({"a": ["203.0.113.0/24:80/tcp"]})
    assert s.who(client, "203.0.113.5:80") == "a"
    s.node["steer_sockets"] = "off"
    s.reload({"a": ["203.0.113.5:80/tcp"]})
    assert s.who(client, "203.0.113.5:80") == "a"
    wait_until(lambda: s.pinned()["keys"] == 0, 10)
    wait_until(lambda: not s.status()["in_use"], 10)
    s.node["steer_sockets"] = "on"
    s.reload({"a": ["203.0.113.5:80/tcp"]})
    wait_until(lambda: s.pinned()["keys"] == 1, 10)  # once the workers have said that they listen
    assert s.who(client, "203.0.113.5:80") == "a"


def test_nothing_is_loaded_where_nothing_needs_it(steered, client):
    s = steered({"a": ["203.0.113.5:80/tcp"]})
    assert s.who(client, "203.0.113.5:80") == "a"
    assert not os.path.exists(s.daemon.pin_path)
    assert s.status()["problem"] is None
    s.reload({"a": ["203.0.113.5:80/tcp", "203.0.113.5:100-110/tcp"]})
    assert s.who(client, "203.0.113.5:80") == "a"
    assert s.who(client, "203.0.113.5:105") == "a"
    assert s.pinned()["keys"] == 2


def test_a_prefix_that_is_not_local_is_told_of(steered, client):
    s = steered({"a": ["198.51.100.0/24:80/tcp", "[2001:db8:198::/64]:80/tcp",
                       "203.0.113.0/24:80/tcp"]})
    assert "`ip route add local 198.51.100.0/24 dev lo`" in s.daemon.log
    assert "`ip route add local 2001:db8:198::/64 dev lo`" in s.daemon.log
    assert "local 203.0.113.0/24" not in s.daemon.log
    assert s.status()["not_local"] == ["198.51.100.0/24:80/tcp", "[2001:db8:198::/64]:80/tcp"]
    assert "not all of 198.51.100.0/24:80/tcp is local" in s.daemon.ctl("status").stdout
    s.balancer.ip("route add local 198.51.100.0/24 dev lo",
                  "route add local 2001:db8:198::/64 dev lo")
    assert s.status()["not_local"] == []
    assert s.who(client, "203.0.113.5:80") == "a"


def test_beside_steered_services(topology, shuntd, backend, client):
    """With XDP on the interface: an l4 service in the midst of a prefix of the proxy's."""
    net = topology(backends=2)
    host = net.backends["b2"]
    backend("proxied", ns=host, tcp=[f"{host.addr4}:7000"])
    net.serve_vips("203.0.113.10", backends=["b1"])
    backend("steered", ns=net.backends["b1"], tcp=["203.0.113.10:80"])
    net.balancer.ip(f"route add local {net.VIP4}0/24 dev lo")
    daemon = shuntd({
        "node": {"interfaces": ["eth0"], "workers": 2},
        "services": {
            "web": {"listen": ["203.0.113.0/24:any/tcp"], "mode": "tcp", "pool": "p"},
            "l4": {"listen": ["203.0.113.10:80/tcp"], "mode": "l4", "pool": "k"},
            "exact": {"listen": ["203.0.113.11:80/tcp"], "mode": "tcp", "pool": "p"}},
        "pools": {
            "p": {"health": "none", "backends": [{"name": "b", "address": f"{host.addr4}:7000"}]},
            "k": {"forward": "ipip", "health": "none", "backends": [
                {"name": "b", "address": net.backends["b1"].addr4}]}},
    }, ns=net.balancer)
    for target, name in [("203.0.113.10:80", "steered"), ("203.0.113.10:81", "proxied"),
                         ("203.0.113.11:80", "proxied"), ("203.0.113.12:80", "proxied")]:
        done = client("connect", target, "--count", 20, ns=net.client).result()
        assert done == {"by": {name: 20}, "errors": {}}, target
    assert daemon.ctl_json("service", "show", "exact")["socket_program"]["chosen"] == 20


@pytest.mark.parametrize("target", ["203.0.113.9:8005", "[2001:db8:113::9]:8005"])
def test_cookies_are_of_the_socket_that_is_chosen(topology, shuntd, backend, client, target):
    net = topology(backends=1)
    host = net.backends["b1"]
    backend("one", ns=host, tcp=[f"{host.addr4}:7000"])
    net.balancer.ip(f"route add local {net.VIP4}0/24 dev lo",
                    f"route add local {net.VIP6}/64 dev lo")
    net.balancer.sysctl({"net.ipv4.tcp_syncookies": 2})
    daemon = shuntd({
        "node": {"interfaces": ["eth0"], "workers": 4},
        "services": {"web": {
            "listen": ["203.0.113.0/24:8000-8009/tcp", "[2001:db8:113::/64]:8000-8009/tcp"],
            "mode": "tcp", "pool": "p", "guard": {"syn_cookies": "always"}}},
        "pools": {"p": {"health": "none", "backends": [
            {"name": "b", "address": f"{host.addr4}:7000"}]}},
    }, ns=net.balancer)
    done = client("connect", target, "--count", 100, "--parallel", 8, ns=net.client).result()
    assert done == {"by": {"one": 100}, "errors": {}}
    shown = daemon.ctl_json("service", "show", "web")
    assert shown["guard"]["syn_cookies_sent"] == 100
    assert shown["socket_program"]["no_socket"] == shown["socket_program"]["failed"] == 0
