# SPDX-License-Identifier: BSD-2-Clause
"""shuntctl explain: what it says is what real packets meet, and asking changes nothing."""
import pytest
from scapy.all import IP, Ether, IPv6, TCP, UDP, wrpcap  # pylint: disable=E0611

from daemon import Daemon
from l4 import ECHO_PORT, L4
from lab import PYTHON, Lab, Topology
from nat import BEHIND

MAC = "02:00:00:00:00:07"

# ADDR PORT SOURCE_PORT: who answers a connection from that port?
CONNECT = """
import socket, sys
sock = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
sock.bind(("", int(sys.argv[3])))
sock.connect((sys.argv[1], int(sys.argv[2])))
sock.sendall(b"who\\n")
print(sock.recv(100).decode().split()[0])
"""


def explain(it, *args):
    return it.daemon.ctl_json("explain", *args)["packets"][0]


def explain_all(it, packets):
    """Of scapy's packets, one after the other. One question: each loads the program anew."""
    path = it.daemon.lab.path("asked.pcap")
    wrpcap(path, [Ether(src=MAC, dst=MAC) / p for p in packets])
    return it.daemon.ctl_json("explain", "pcap", path)["packets"]


def tcp(it, family, port, flags):
    """From the client to the service."""
    ip = IP if family == 4 else IPv6
    return (ip(src=source_of(it, family), dst=it.vip(family)) /
            TCP(sport=port, dport=ECHO_PORT, flags=flags))


def source_of(it, family):
    return it.net.client.addr4 if family == 4 else it.net.client.addr6


def ends(it, port, family=4):
    """The words of a command line for it."""
    addr = source_of(it, family)
    return [f"{addr}:{port}" if family == 4 else f"[{addr}]:{port}", it.target(family)]


def footprint(it):
    """All that the daemon counts, of the program and of its tables."""
    status = it.daemon.ctl_json("status", "--flows")["l4"]
    counters = [{k: v for k, v in it.counters(name).items() if k != "moves"}
                for name in ("echo", "echo-udp")]
    return status["verdicts"], status["tables"], counters, it.backend_counters()


def answerer(it, family, port):
    """Who answers a connection from that port."""
    return it.net.client.run([PYTHON, "-c", CONNECT, it.vip(family), str(ECHO_PORT),
                              str(port)]).stdout.strip()


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("tracking", ["on-change", "always"])
def test_it_names_the_backend_that_connections_get(l4, family, tracking):
    it = l4(backends=3, service={"tracking": tracking})
    ports = range(20001, 20061)
    named = {}
    for port, said in zip(ports, explain_all(it, [tcp(it, family, p, "S") for p in ports])):
        assert said["verdict"] == "tx" and said["service"] == "echo", said
        assert said["backend"]["pool"] == "echo" and said["backend"]["forward"] == "ipip"
        address = it.backend_address(said["backend"]["name"])
        assert f"to {address}," in said["output"]["headers"][1], said["output"]
        assert said["tracking"]["mode"] == tracking
        assert said["slot"]["ring_size"] == 65537 and said["slot"]["state"] == "settled"
        named[port] = said["backend"]["name"]
    tried = ports[:12]
    assert {port: answerer(it, family, port) for port in tried} == {p: named[p] for p in tried}
    assert set(named.values()) == {"b1", "b2", "b3"}


@pytest.mark.parametrize("tracking", ["on-change", "always"])
def test_asking_leaves_no_trace(l4, client, tracking):
    it = l4(backends=2, service={"tracking": tracking})
    it.expect_served(client, count=20)
    before = footprint(it)
    explain_all(it, [tcp(it, family, port, flags) for port in range(30000, 30005)
                     for flags in ("S", "A", "F") for family in (4, 6)])
    explain(it, "udp", *ends(it, 30000))
    explain(it, "icmp", it.net.client.addr4, it.vip(4))
    assert footprint(it) == before


def test_entries_of_flows_are_seen(l4):
    it = l4(backends=3, service={"tracking": "always"})
    first = explain(it, "tcp", *ends(it, 23456), "--syn")["tracking"]
    assert first["entry_before"] is None and first["entry_after"] == "pending", first
    answerer(it, 4, 23456)
    then = explain(it, "tcp", *ends(it, 23456))["tracking"]
    assert then["entry_before"] == "flow" and then["decided"] == "by the flow's entry", then


def test_a_moving_slot_keeps_its_flows(l4):
    it = l4(backends=2)
    packets = [tcp(it, 4, port, "A") for port in range(20000, 20020)]
    before = [p["backend"]["name"] for p in explain_all(it, packets)]
    assert set(before) == {"b1", "b2"}
    assert it.daemon.ctl("backend", "weight", "echo", "b1", 0).rc == 0
    for name, said in zip(before, explain_all(it, packets)):
        assert said["backend"]["name"] == name
        assert (said["slot"]["state"] == "moving") == (name == "b1")
    opened = explain_all(it, [tcp(it, 4, port, "S") for port in range(20000, 20020)])
    assert {said["backend"]["name"] for said in opened} == {"b2"}


def test_drops_say_why(l4):
    it = l4(backends=1)
    said = explain(it, "tcp", *ends(it, 40000))
    assert said["drop"] is None
    it.daemon.ctl("guard", "add", f"{it.net.client.addr4}/32", "--for", "1h")
    said = explain(it, "tcp", *ends(it, 40000))
    assert said["verdict"] == "drop" and said["drop"]["reason"] == "blocked"
    assert "guard list" in said["drop"]["explanation"] and said["output"] is None
    it.daemon.ctl("guard", "flush")
    it.daemon.ctl("backend", "disable", "echo", "b1")
    said = explain(it, "tcp", *ends(it, 40000), "--syn")
    assert said["drop"]["reason"] == "no-backend"
    assert not any(it.drops().values())


def test_what_is_for_no_service_passes(l4):
    it = l4(backends=1)
    for args in (["tcp", "192.0.2.1:1", f"{it.vip(4)}:81"], ["udp", "192.0.2.1:1", "192.0.2.9:7"]):
        said = explain(it, *args)
        assert said["verdict"] == "pass-no-service" and said["service"] is None
        assert said["backend"] is None and said["listener"] is None


def test_a_proxied_service_names_its_listener(shuntd, topology):
    net = topology(backends=1)
    config = {
        "node": {"interfaces": ["eth0"]},
        "pools": {"web": {"health": "none", "backends": [
            {"name": "w1", "address": "127.0.0.1:9001"}]}},
        "services": {"web": {"listen": [f"{net.balancer.addr4}:80/tcp"], "mode": "http",
                             "pool": "web"}},
    }
    daemon = shuntd(config, ns=net.balancer)
    said = daemon.ctl_json("explain", "tcp", "10.9.9.9:5", f"{net.balancer.addr4}:80", "--syn")
    said = said["packets"][0]
    assert said["verdict"] == "pass-local" and said["service"] == "web"
    assert said["listener"] == {"service": "web", "mode": "http",
                                "listen": f"{net.balancer.addr4}:80/tcp"}


def test_a_tunnel_in_udp_and_tags(l4):
    it = l4(backends=1, pool={"forward": "gue"})
    said = explain(it, "udp", *ends(it, 40000), "--vlan", 7)
    assert "VLAN 7" in said["packet"]["headers"][0] and "VLAN 7" in said["output"]["headers"][0]
    assert said["backend"]["forward"] == "gue"
    text = "\n".join(said["output"]["headers"])
    assert "(GUE)" in text and f"to {it.backend_address('b1')}," in text


def test_nat_follows_its_flow(nat):
    """Both halves of an entry: of a packet to the backend, and of its reply."""
    it = nat(backends=2)
    client, vip = it.net.client.addr4, it.vip(4)
    it.net.client.run([PYTHON, "-c", CONNECT, vip, str(ECHO_PORT), "23456"])
    said = explain(it, "tcp", f"{client}:23456", it.target(4))
    assert said["backend"]["forward"] == "nat" and said["tracking"]["entry_before"] == "nat", said
    address = it.net.backends[said["backend"]["name"]].addr4
    assert f"{client} to {address}," in said["output"]["headers"][1], said
    back = explain(it, "tcp", f"{address}:{ECHO_PORT + BEHIND}", f"{client}:23456")
    assert back["output"], back
    assert f"{vip} to {client}," in back["output"]["headers"][1], back
    assert back["counters"]["reply_packets"] == 1


def test_packets_of_a_capture(l4):
    it = l4(backends=2, service={"tracking": "always"})
    packets = [tcp(it, 4, 4321, "S"), tcp(it, 4, 4321, "A"),
               IPv6(src="2001:db8::9", dst=it.vip(6)) / UDP(sport=1, dport=ECHO_PORT),
               IP(src="192.0.2.1", dst="192.0.2.7") / UDP(sport=1, dport=2)]
    said = explain_all(it, packets)
    assert [p["verdict"] for p in said] == ["tx", "tx", "tx", "pass-no-service"], said
    # One after the other: the second finds what the first has left.
    assert said[1]["tracking"]["entry_before"] == "pending"
    assert said[1]["tracking"]["entry_after"] == "flow"
    assert said[0]["backend"] == said[1]["backend"]
    path = it.daemon.lab.path("asked.pcap")
    shown = it.daemon.ctl("explain", "pcap", path)
    assert shown.rc == 0 and "packet 4" in shown.stdout and "by the flow's pending" in shown.stdout
    with open(path, "rb") as f:
        whole = f.read()
    with open(path, "wb") as f:
        f.write(whole[:-3])
    assert "ends within a packet" in it.daemon.ctl("explain", "pcap", path).stderr


@pytest.mark.parametrize("args, rc, text", [
    (["sctp", "192.0.2.1:1", "192.0.2.2:2"], 3, "tcp, udp or icmp"),
    (["tcp", "192.0.2.1", "192.0.2.2:2"], 3, "ADDRESS:PORT"),
    (["tcp", "192.0.2.1:1", "[2001:db8::1]:2"], 3, "one family"),
    (["icmp", "192.0.2.1:1", "192.0.2.2"], 3, "no ports"),
    (["udp", "192.0.2.1:1", "192.0.2.2:2", "--syn"], 2, "--syn"),
    (["tcp", "192.0.2.1:1", "192.0.2.2:2", "--iface", "nothere"], 3, "no such interface"),
    (["tcp", "192.0.2.1:1", "192.0.2.2:2", "--vlan", "4095"], 2, "1 to 4094"),
    (["pcap", "/nonexistent"], 2, "No such file"),
])
def test_what_is_no_packet_is_refused(l4_once, args, rc, text):
    done = l4_once.daemon.ctl("explain", *args)
    assert done.rc == rc and text in done.stderr, done


@pytest.fixture(scope="module", name="l4_once")
def fixture_l4_once():
    with Lab() as lab:
        net = Topology(lab, backends=1)
        it = L4(net)
        it.daemon = Daemon(lab, it.config(), ns=net.balancer).start()
        yield it
