# SPDX-License-Identifier: BSD-2-Clause
"""Lists, limits and blocks, with real clients: who is blocked and who is not, and what is said."""
import time

import pytest

from l4 import ECHO_PORT
from lab import PYTHON, wait_until

# ADDR PORT COUNT PORTS: so many datagrams, from so many source ports in turn.
FLOOD = """
import socket, sys
addr, port, count, ports = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
family = socket.AF_INET6 if ":" in addr else socket.AF_INET
socks = [socket.socket(family, socket.SOCK_DGRAM) for _ in range(ports)]
for i in range(count):
    socks[i % ports].sendto(b"flood", (addr, port))
"""

# ADDR PORT SECONDS: a flow each 50 us, of one datagram. Prints how many, and in what time.
FLOWS = """
import socket, sys, time
addr, port, length = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
begin, count = time.monotonic(), 0
while time.monotonic() < begin + length:
    if time.monotonic() < begin + count * 50e-6:
        continue
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("", 10000 + count % 50000))
        sock.sendto(b"flow", (addr, port))
    count += 1
print(count, time.monotonic() - begin)
"""


def flood(ns, addr, count, ports=1, port=ECHO_PORT):
    ns.run([PYTHON, "-c", FLOOD, addr, str(port), str(count), str(ports)])


def ok(done):
    assert done.rc == 0, done


def entries(daemon):
    return {(e["prefix"], e["service"]): e for e in daemon.ctl_json("guard", "list")["entries"]}


def source(ns, family):
    return ns.addr4 if family == 4 else ns.addr6


def length(family):
    return 32 if family == 4 else 128


def datagrams(it):
    """How many came. A closed socket sends an error for each answer, which counts too."""
    counters = it.counters("echo-udp")
    return counters["packets"] - counters["icmp_errors"]


def add_client(it, number):
    """A client more, behind the same router."""
    return it.net._box(f"more{number}", f"m{number}", 40, number, 1500)  # pylint: disable=W0212


# ---- lists

@pytest.mark.parametrize("family", [4, 6])
def test_a_command_blocks_and_releases_at_once(l4, client, family):
    it = l4(backends=1)
    prefix = f"{source(it.net.client, family)}/{length(family)}"
    it.expect_served(client, family, count=5)
    ok(it.daemon.ctl("guard", "add", prefix, "--for", "1h", "--note", "a test"))
    flood(it.net.client, it.vip(family), 10)
    wait_until(lambda: it.drops("echo-udp")["blocked"] == 10, what="ten drops")
    entry = entries(it.daemon)[(prefix, None)]
    assert entry["action"] == "block" and entry["origin"] == "command"
    assert entry["reason"] == "listed" and entry["note"] == "a test"
    assert 3500_000 < entry["left_ms"] <= 3600_000
    other = add_client(it, 1)
    flood(other, it.vip(family), 5)
    wait_until(lambda: datagrams(it) == 15, what="five packets more")
    ok(it.daemon.ctl("guard", "remove", prefix))
    it.expect_served(client, family, count=5)
    assert it.drops("echo-udp")["blocked"] == 10 and not entries(it.daemon)


def test_an_entry_ends_by_itself(l4, client):
    it = l4(backends=1)
    ok(it.daemon.ctl("guard", "add", it.net.client.addr4, "--for", "1s"))
    flood(it.net.client, it.vip(4), 3)
    wait_until(lambda: it.drops("echo-udp")["blocked"] == 3, what="three drops")
    wait_until(lambda: not entries(it.daemon), 5, what="the entry to end")
    it.expect_served(client, 4, count=5)
    wait_until(lambda: f"guard: released source={it.net.client.addr4}/32" in it.daemon.log,
               what=lambda: it.daemon.log)


def test_entries_without_an_end_are_of_the_configuration(l4, client):
    it = l4(backends=1)
    ok(it.daemon.ctl("guard", "add", "10.10.0.0/16"))
    ok(it.daemon.ctl("guard", "add", it.net.client.addr4, "--allow", "--note", "ours", "--save"))
    listed = entries(it.daemon)
    assert listed[("10.10.0.0/16", None)]["origin"] == "config"
    assert listed[(f"{it.net.client.addr4}/32", None)]["action"] == "allow"
    it.expect_served(client, 4, count=5)
    again = it.daemon.ctl("guard", "add", "10.10.0.0/16", "--for", "1m")
    assert again.rc == 3 and "the configuration lists it already" in again.stderr
    it.daemon.restart()
    assert entries(it.daemon) == listed
    ok(it.daemon.ctl("guard", "remove", it.net.client.addr4))
    flood(it.net.client, it.vip(4), 3)
    wait_until(lambda: it.drops("echo-udp")["blocked"] == 3, what="three drops")
    ok(it.daemon.ctl("guard", "flush"))
    assert list(entries(it.daemon)) == [("10.10.0.0/16", None)]


def test_lists_outlive_the_daemon_and_follow_the_file(l4, client):
    it = l4(backends=1)
    config = it.config()
    config["guard"] = {"block": ["10.99.0.0/16"], "allow": [{"prefix": "10.98.0.0/16"}]}
    it.daemon.reload(config)
    ok(it.daemon.ctl("guard", "add", it.net.client.addr4, "--for", "1h"))
    before = set(entries(it.daemon))
    it.daemon.sigkill()
    flood(it.net.client, it.vip(4), 4)
    config["guard"] = {"block": ["10.97.0.0/16"]}
    it.daemon.write_config(config)
    it.daemon.restart()
    wait_until(lambda: it.drops("echo-udp")["blocked"] == 4, what="four drops")
    after = set(entries(it.daemon))
    assert before - after == {("10.99.0.0/16", None), ("10.98.0.0/16", None)}
    assert after - before == {("10.97.0.0/16", None)}
    ok(it.daemon.ctl("guard", "flush"))
    it.expect_served(client, 4, count=5)


def test_a_full_list_is_said_and_changes_nothing(l4):
    it = l4(backends=1, node={"limits": {"guard": 16}})
    for i in range(16):
        ok(it.daemon.ctl("guard", "add", f"10.77.{i}.0/24", "--for", "1h"))
    full = it.daemon.ctl("guard", "add", "10.78.0.0/24", "--for", "1h")
    assert full.rc == 3 and "the list is full" in full.stderr
    ok(it.daemon.ctl("guard", "add", "fd00:77::/64", "--for", "1h"))
    config = it.daemon.ctl("guard", "add", "10.78.0.0/24")
    assert config.rc == 3 and "raise node.limits.guard" in config.stderr
    assert len(entries(it.daemon)) == 17


@pytest.mark.parametrize("args,message", [
    (["add", "10.0.0.1/8"], "without host bits"),
    (["add", "10.0.0.0/8", "--for", "10"], "expected a duration"),
    (["add", "10.0.0.0/8", "--for", "1h", "--note", "x" * 48], "note: expected"),
    (["remove", "10.0.0.0/8"], "10.0.0.0/8 is in no list of the guard"),
    (["remove", "10.0.0.0/8", "--service", "echo"], "no such service with a guard"),
    (["remove", "10.0.0.0/8", "--service", "nobody"], "no such service with a guard"),
])
def test_what_cannot_be_is_refused(l4, args, message):
    it = l4(backends=1)
    done = it.daemon.ctl("guard", *args)
    assert done.rc != 0 and message in done.stderr, done


def test_without_interfaces_there_are_no_lists(shuntd, free_port):
    daemon = shuntd({"pools": {"p": {"health": "none", "backends": [
        {"name": "a", "address": "127.0.0.1:9"}]}}, "services": {"s": {
            "listen": f"127.0.0.1:{free_port()}/tcp", "mode": "http", "pool": "p"}}})
    done = daemon.ctl("guard", "list")
    assert done.rc == 3 and "node.interfaces is empty" in done.stderr


# ---- blocks by the program

@pytest.mark.parametrize("family", [4, pytest.param(6, marks=pytest.mark.vm)])
def test_a_flood_is_blocked_within_a_second_and_released_after_its_time(l4, client, family):
    it = l4(backends=1, service={"guard": {"packets_per_source": 500, "block_for": "2s"}})
    attacker = add_client(it, 1)
    prefix = (f"{attacker.addr4}/32" if family == 4
              else f"{attacker.addr6.rpartition('::')[0]}::/64")
    begin = time.monotonic()
    flood(attacker, it.vip(family), 3000)
    seen = wait_until(lambda: it.drops("echo-udp")["blocked"], what="drops")
    assert time.monotonic() - begin < 1 or seen > 2000
    listed = wait_until(lambda: entries(it.daemon), 1, what="the block to be listed")
    assert set(listed) == {(prefix, "echo-udp")}
    entry = listed[(prefix, "echo-udp")]
    assert (entry["origin"], entry["reason"]) == ("automatic", "packet-rate")
    # Another client of the service, and the attacker as a client of another one.
    udp = client("udp", it.target(family), "--flows", 20, ns=it.net.client).result()
    assert udp["lost"] == 0 and udp["sent"] == 20
    result = client("connect", it.target(family), "--count", 20, ns=attacker).result()
    assert result["errors"] == {} and it.drops("echo")["blocked"] == 0
    assert it.drops("echo-udp")["blocked"] >= 2400
    assert f"guard: blocked source={prefix} service=echo-udp reason=packet-rate" in it.daemon.log
    wait_until(lambda: not entries(it.daemon), 6, what="the block to end")
    again = client("udp", it.target(family), "--flows", 5, ns=attacker).result()
    assert again["lost"] == 0
    wait_until(lambda: f"guard: released source={prefix}" in it.daemon.log, 3)


def test_a_block_is_lifted_by_a_command(l4, client):
    it = l4(backends=1, service={"guard": {"packets_per_source": 100, "block_for": "1h"}})
    flood(it.net.client, it.vip(4), 200)
    prefix = f"{it.net.client.addr4}/32"
    wait_until(lambda: (prefix, "echo-udp") in entries(it.daemon), 3)
    ok(it.daemon.ctl("guard", "remove", prefix, "--service", "echo-udp"))
    assert not entries(it.daemon)
    assert client("udp", it.target(4), "--flows", 5, ns=it.net.client).result()["lost"] == 0
    # An allowed source is not blocked at all.
    ok(it.daemon.ctl("guard", "add", prefix, "--allow", "--for", "1h"))
    before = it.counters("echo-udp")["packets"]
    flood(it.net.client, it.vip(4), 500)
    wait_until(lambda: it.counters("echo-udp")["packets"] >= before + 500)
    assert set(entries(it.daemon)) == {(prefix, None)}


def test_a_block_outlives_the_daemon_and_happens_without_it(l4):
    it = l4(backends=1, service={"guard": {"packets_per_source": 100, "block_for": "1h"}})
    early, late = add_client(it, 1), add_client(it, 2)
    flood(early, it.vip(4), 200)
    wait_until(lambda: (f"{early.addr4}/32", "echo-udp") in entries(it.daemon), 3)
    it.daemon.sigkill()
    flood(early, it.vip(4), 50)
    flood(late, it.vip(4), 200)
    it.daemon.restart()
    wait_until(lambda: it.drops("echo-udp")["blocked"] == 100 + 50 + 100)
    wait_until(lambda: set(entries(it.daemon)) == {(f"{early.addr4}/32", "echo-udp"),
                                                   (f"{late.addr4}/32", "echo-udp")}, 3)
    # A service that is gone takes its blocks with it; another one does not inherit them.
    config = it.config()
    del config["services"]["echo-udp"]
    it.daemon.reload(config)
    assert not entries(it.daemon)
    it.daemon.reload(it.config())
    flood(early, it.vip(4), 20)
    wait_until(lambda: datagrams(it) == 20)
    assert it.drops("echo-udp")["blocked"] == 0


def test_new_flows_are_held_to_the_rate(l4, client):
    """A burst, then what comes in time; packets come by every queue of the interface."""
    rate = 400
    it = l4(backends=1, service={"guard": {"new_flows": rate, "burst": "500ms"}})
    done = it.net.client.run([PYTHON, "-c", FLOWS, it.vip(4), str(ECHO_PORT), "2"])
    count, took = map(float, done.stdout.split())
    wait_until(lambda: datagrams(it) == count)
    flows = it.counters("echo-udp")["new_flows"]
    expected = rate * (0.5 + took)
    assert 0.95 * expected < flows < 1.02 * expected
    assert it.drops("echo-udp")["service_rate"] == count - flows
    # TCP is another service of the same settings.
    it.expect_served(client, 4, count=50)


# ---- SYN cookies

def syn_flood(scapy, ether, target, count):
    ip = scapy.IPv6(dst=target) if ":" in target else scapy.IP(dst=target)
    frames = []
    for i in range(count):
        ip.src = f"fd00:66::{i + 1:x}" if ":" in target else f"10.66.{i >> 8}.{i & 255}"
        frames.append(bytes(ether / ip / scapy.TCP(sport=1024 + i, dport=80, seq=i)))
    return "".join(frame.hex() + "\n" for frame in frames)


def tcp_counters(ns):
    lines = ns.run(["cat", "/proc/net/netstat"]).stdout.splitlines()
    pairs = [line.split() for line in lines if line.startswith("TcpExt:")]
    return dict(zip(pairs[0][1:], map(int, pairs[1][1:])))


def half_open(ns):
    return len(ns.run(["ss", "-Htan", "state", "syn-recv"]).stdout.splitlines())


@pytest.fixture
def proxy(topology, shuntd, backend):
    """proxy(**guard) -> a topology whose balancer has an http service on both families."""
    def make(**guard):
        net = topology(backends=1)
        host = net.balancer
        vips = [net.vip4(20), net.vip6(20)]
        host.ip(f"addr add {vips[0]}/32 dev lo", f"addr add {vips[1]}/128 dev lo")
        host.run(["ethtool", "-K", "eth0", "tx", "off"])
        host.sysctl({"net.ipv4.tcp_syncookies": 2})
        b1 = net.backends["b1"]
        backend("b1", ns=b1, http=[f"{b1.addr4}:8080"])
        net.daemon = shuntd({
            "node": {"interfaces": ["eth0"]},
            "pools": {"web": {"health": "none", "backends": [
                {"name": "b1", "address": f"{b1.addr4}:8080"}]}},
            "services": {"web": {"listen": [f"{vips[0]}:80/tcp", f"[{vips[1]}]:80/tcp"],
                                 "mode": "http", "pool": "web", "guard": guard}},
        }, ns=host)
        net.vips = {4: vips[0], 6: vips[1]}
        return net
    return make


def guard_of(net):
    return net.daemon.ctl_json("service", "show", "web")["guard"]


@pytest.mark.parametrize("mode,family", [
    ("always", 4), ("always", 6), ("auto", 4), ("auto", 6)])
def test_a_syn_flood_does_not_reach_the_listener(proxy, client, family, mode):
    import json  # pylint: disable=import-outside-toplevel
    import scapy.all as scapy  # pylint: disable=import-outside-toplevel
    from lab import HERE  # pylint: disable=import-outside-toplevel
    net = proxy(syn_cookies=mode, syn_cookies_over=100)
    vip = net.vips[family]
    url = f"http://{vip}/" if family == 4 else f"http://[{vip}]/"

    def mac(ns, ifname):
        return json.loads(ns.run(["ip", "-j", "link", "show", "dev", ifname]).stdout)[0]["address"]

    ether = scapy.Ether(src=mac(net.router, "lb"), dst=mac(net.balancer, "eth0"))
    before = tcp_counters(net.balancer)
    net.router.run([PYTHON, f"{HERE}/frames.py", "send", "lb"],
                   input=syn_flood(scapy, ether, vip, 3000))
    sent = wait_until(lambda: guard_of(net)["syn_cookies_sent"] >= 2800, what="cookies")
    assert sent and half_open(net.balancer) == 0
    after = tcp_counters(net.balancer)
    # In auto the stack has seen those before the threshold, and no more.
    assert after["SyncookiesSent"] - before["SyncookiesSent"] <= (0 if mode == "always" else 101)
    result = client("http", url, "--connections", 4, "--requests", 200, ns=net.client).finish()
    assert result["ok"] == 200 and not result["errors"], result
    assert tcp_counters(net.balancer)["SyncookiesRecv"] > before["SyncookiesRecv"]
    # ACKs that answer nothing.
    ip = scapy.IPv6(dst=vip, src="fd00:66::1") if family == 6 else scapy.IP(dst=vip,
                                                                            src="10.66.0.1")
    acks = [bytes(ether / ip / scapy.TCP(sport=2000 + i, dport=80, flags="A", seq=i, ack=i))
            for i in range(50)]
    net.router.run([PYTHON, f"{HERE}/frames.py", "send", "lb"],
                   input="".join(a.hex() + "\n" for a in acks))
    wait_until(lambda: guard_of(net)["drops"]["syn_cookie"] == 50, what="dropped ACKs")
    shown = net.daemon.ctl("service", "show", "web").stdout
    assert "SYNs answered by cookies" in shown and "syn_cookie" in shown


def test_a_kernel_that_makes_no_cookies_is_warned_of(proxy):
    net = proxy(syn_cookies="always")
    net.balancer.sysctl({"net.ipv4.tcp_syncookies": 1})
    done = net.daemon.ctl("config", "check")
    assert "net.ipv4.tcp_syncookies is 1, set it to 2" in done.stderr + done.stdout, done
