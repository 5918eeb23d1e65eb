# SPDX-License-Identifier: BSD-2-Clause
"""What is for no service passes untouched; what is for a service and cannot be served is a counted
drop with a name. Frames are made whole and put on the wire by the router."""
import pytest

from lab import HERE, PYTHON, wait_until

# pylint: disable=import-outside-toplevel,redefined-outer-name


@pytest.fixture
def scapy():
    import scapy.all
    return scapy.all


class Wire:
    """The link between router and balancer: frames go in at the router's end; what the balancer's
    stack is given can be listed."""

    def __init__(self, it, scapy):
        self.it, self.scapy = it, scapy
        self.ether = scapy.Ether(src=mac(it.net.router, "lb"), dst=mac(it.net.balancer, "eth0"))
        self.capture = it.net.balancer.popen([PYTHON, f"{HERE}/frames.py", "capture", "eth0"],
                                             text=True, stdin=-1, stdout=-1)
        assert self.capture.stdout.readline() == "ready\n"

    def send(self, *frames):
        lines = "".join(bytes(f).hex() + "\n" for f in frames)
        self.it.net.router.run([PYTHON, f"{HERE}/frames.py", "send", "lb"], input=lines)

    def passed(self):
        """Frames that the stack saw, once there are no more."""
        self.capture.stdin.close()
        return [bytes.fromhex(line) for line in self.capture.stdout]


def mac(ns, ifname):
    import json
    return json.loads(ns.run(["ip", "-j", "link", "show", "dev", ifname]).stdout)[0]["address"]


@pytest.fixture
def wire(l4, scapy):
    return lambda **kw: Wire(l4(**kw), scapy)


def packets(wire, s):
    """Of every kind that is not Shunt's business, for addresses that are and that are not."""
    it, ether = wire.it, wire.ether
    other4, other6 = it.net.vip4(99), it.net.vip6(99)
    big = b"x" * 1200
    return {
        "tcp4 other port": ether / s.IP(dst=it.vip(4)) / s.TCP(dport=9999),
        "tcp6 other port": ether / s.IPv6(dst=it.vip(6)) / s.TCP(dport=9999),
        "udp4 on a tcp port": ether / s.IP(dst=it.vip(4)) / s.UDP(dport=8080) / b"hello",
        "tcp4 other address": ether / s.IP(dst=other4) / s.TCP(dport=7) / big,
        "udp6 other address": ether / s.IPv6(dst=other6) / s.UDP(dport=7) / big,
        "icmp4": ether / s.IP(dst=other4) / s.ICMP(),
        "icmp6": ether / s.IPv6(dst=other6) / s.ICMPv6EchoRequest(),
        "icmp4 answer": ether / s.IP(dst=it.vip(4)) / s.ICMP(type=0),
        "icmp6 solicitation": ether / s.IPv6(dst=it.vip(6)) / s.ICMPv6ND_NS(tgt=it.vip(6)),
        "icmp4 about nothing": ether / s.IP(dst=it.vip(4)) / s.ICMP(type=3, code=1) / b"short",
        "icmp4 about others": ether / s.IP(dst=it.vip(4)) / s.ICMP(type=3, code=1) /
        s.IP(src=it.vip(4), dst=other4) / s.UDP(sport=9999),
        "sctp": ether / s.IP(dst=it.vip(4), proto=132) / b"some sctp",
        "later fragment": ether / s.IP(dst=other4, frag=10, proto=17) / (b"x" * 8),
        "arp": ether / s.ARP(pdst=it.net.balancer.addr4, psrc="10.20.1.1"),
        "vlan": ether / s.Dot1Q(vlan=5) / s.IP(dst=it.vip(4)) / s.TCP(dport=9999),
        "unknown type": s.Raw(bytes(ether)[:12] + b"\x88\xb5" + b"hello"),
        "ip version 5": s.Raw(bytes(ether)[:12] + b"\x08\x00\x55" + b"\0" * 40),
        "ip cut short": s.Raw(bytes(ether)[:12] + b"\x08\x00\x45\x00\x00"),
        "ipip": ether / s.IP(dst=it.net.balancer.addr4) / s.IP(dst=it.vip(4)) / s.TCP(dport=7),
    }


@pytest.mark.vm
def test_foreign_packets_pass_untouched(wire, scapy):
    line = wire(backends=1)
    frames = {what: bytes(frame) for what, frame in packets(line, scapy).items()}
    before = line.it.verdicts()
    line.send(*frames.values())
    wait_until(lambda: sum(line.it.verdicts().values()) >= sum(before.values()) + len(frames), 10)
    after = line.it.verdicts()
    seen = line.passed()
    for what, frame in frames.items():
        # The stack takes a VLAN tag off before a socket sees the frame.
        expected = frame[:12] + frame[16:] if what == "vlan" else frame
        assert expected in seen, what
    assert after["tx"] == before["tx"] and after["drop"] == before["drop"]
    assert not any(line.it.drops().values())


def test_the_balancers_own_traffic_works(l4, client, backend):
    """Services of the host itself, on addresses that are not Shunt's."""
    it = l4(backends=1)
    own = it.net.balancer
    backend("own", ns=own, tcp=[f"{own.addr4}:7", f"[{own.addr6}]:7"])
    for target in (f"{own.addr4}:7", f"[{own.addr6}]:7"):
        assert client("connect", target, "--count", 20, ns=it.net.client).result() == {
            "by": {"own": 20}, "errors": {}}
    it.net.client.run(["ping", "-c1", "-W5", own.addr4])
    it.net.client.run(["ping", "-c1", "-W5", own.addr6])


def drops_of(line, *frames, service="echo"):
    """The drop counters that grew, after these frames."""
    before = line.it.drops(service)
    line.send(*frames)
    wait_until(lambda: sum(line.it.drops(service).values()) >= sum(before.values()) + len(frames),
               10, what="the drops to be counted")
    after = line.it.drops(service)
    return {name: after[name] - before[name] for name in after if after[name] != before[name]}


@pytest.mark.parametrize("family", [4, 6])
def test_truncated_and_lying_packets(wire, scapy, family):
    s, line = scapy, wire(backends=1)
    ip = s.IP(dst=line.it.vip(4)) if family == 4 else s.IPv6(dst=line.it.vip(6))
    tcp = bytes(line.ether / ip / s.TCP(dport=7, flags="A") / (b"x" * 40))
    header = len(bytes(line.ether / ip))
    cut_in_tcp, cut_in_data = tcp[:header + 10], tcp[:-20]
    assert drops_of(line, cut_in_tcp, cut_in_data) == {"truncated": 2}
    lying = line.ether / ip / s.UDP(dport=7, len=4000) / b"x"
    assert drops_of(line, lying, service="echo-udp") == {"truncated": 1}
    no_header = line.ether / ip / s.TCP(dport=7, dataofs=3)
    assert drops_of(line, no_header) == {"bad_header": 1}


def test_fragments_that_are_not_wanted(wire, scapy):
    s, line = scapy, wire(backends=1, node={"fragments": "drop"})
    frame = line.ether / s.IP(dst=line.it.vip(4), flags="MF") / s.UDP(dport=7) / (b"x" * 24)
    assert drops_of(line, frame, service="echo-udp") == {"fragment": 1}


def test_tagged_frames_leave_with_their_tags(wire, scapy):
    """The link's other end is the router's; what it is given there carries the tag again."""
    s, line = scapy, wire(backends=1)
    capture = line.it.net.router.popen([PYTHON, f"{HERE}/frames.py", "capture", "lb"], text=True,
                                       stdin=-1, stdout=-1)
    assert capture.stdout.readline() == "ready\n"
    inner = s.IP(dst=line.it.vip(4)) / s.UDP(sport=5, dport=7) / b"hello"
    before = line.it.verdicts()["tx"]
    line.it.net.router.run(["ethtool", "-K", "lb", "rxvlan", "off"], check=False)
    line.send(line.ether / s.Dot1AD(vlan=6) / s.Dot1Q(vlan=5) / inner)
    wait_until(lambda: line.it.verdicts()["tx"] == before + 1)
    capture.stdin.close()
    sent = [bytes.fromhex(text) for text in capture.stdout]
    # A socket sees the frame without its outer tag, which the stack has taken off.
    assert [f for f in sent if bytes(inner) in f and f[12:18] == b"\x81\x00\x00\x05\x08\x00"]


@pytest.mark.vm
def test_too_big_for_the_tunnel(wire, scapy):
    s, line = scapy, wire(backends=1, pool={"mtu": 1000})
    frame = line.ether / s.IP(dst=line.it.vip(4)) / s.UDP(dport=7) / (b"x" * 960)
    assert drops_of(line, frame, service="echo-udp") == {"too_big": 1}


def test_no_backend(wire, scapy):
    s, line = scapy, wire(backends=2)
    for name in ("b1", "b2"):
        assert line.it.daemon.ctl("backend", "disable", "echo", name).rc == 0
    syn = line.ether / s.IP(dst=line.it.vip(4)) / s.TCP(dport=7, flags="S")
    assert drops_of(line, syn, syn) == {"no_backend": 2}
