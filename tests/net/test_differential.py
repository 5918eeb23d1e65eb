# SPDX-License-Identifier: BSD-2-Clause
"""What the steering program sends is, byte for byte, what scapy builds for the same intent: for
each way to a backend, each family in each, and packets of many kinds and all lengths.

A new kind of packet is a row of PACKETS, a new way a row of WAYS and a function in EXPECTED."""
import random

import pytest
import scapy.all as s

from steering import GUE_PORT, Steering

VIP = {4: "203.0.113.10", 6: "2001:db8:113::10"}
CLIENT = {4: "198.51.100.7", 6: "2001:db8:c::7"}
# The balancer, the backend in its second network, and a router there.
OWN = {4: "10.1.0.1", 6: "fd00:1::1"}
BACKEND = {4: "10.1.0.2", 6: "fd00:1::2"}
ROUTER = {4: "10.1.0.9", 6: "fd00:1::9"}
FAR = {4: "10.77.0.1", 6: "fd00:77::1"}
SENDER_MAC, INGRESS_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"
EGRESS_MAC, BACKEND_MAC, ROUTER_MAC = (f"02:00:00:00:00:{n}" for n in ("03", "04", "05"))
MTU = 1600


def ip(family, **fields):
    if family == 6:
        return s.IPv6(src=CLIENT[6], dst=VIP[6], hlim=57, fl=0xabcde, tc=fields.pop("tos", 0))
    return s.IP(src=CLIENT[4], dst=VIP[4], id=0x1234, ttl=57, **fields)


def tcp(**fields):
    return s.TCP(sport=40000, dport=80, seq=0x11223344, ack=0x55667788, window=64240, **fields)


def udp(**fields):
    return s.UDP(sport=40000, dport=80, **fields)


def data(length):
    return s.Raw(bytes(i * 7 + 3 & 0xff for i in range(length)))


def udp_with_options(family):
    """Shorter than its IP packet, and so is what its checksum covers (RFC 9868)."""
    plain = ip(family) / udp() / data(40)
    checksum = type(plain)(bytes(plain))[s.UDP].chksum
    return ip(family) / udp(len=8 + 40, chksum=checksum) / data(48)


# name: (families, the packet)
PACKETS = {
    "syn": ((4, 6), lambda f: ip(f) / tcp(flags="S", options=[("MSS", 1460), ("SAckOK", b"")])),
    "fin": ((4, 6), lambda f: ip(f) / tcp(flags="FA")),
    "rst": ((4, 6), lambda f: ip(f) / tcp(flags="R")),
    "data": ((4, 6), lambda f: ip(f) / tcp(flags="A") / data(100)),
    "odd data": ((4, 6), lambda f: ip(f) / tcp(flags="A") / data(101)),
    "dscp and ecn": ((4, 6), lambda f: ip(f, tos=0xbb) / tcp(flags="A") / data(7)),
    "full size": ((4, 6), lambda f: ip(f) / tcp(flags="A") / data(1460 if f == 4 else 1440)),
    "ip options": ((4,), lambda f: ip(f, options=[s.IPOption_NOP()] * 8) / tcp(flags="A")
                   / data(9)),
    "udp": ((4, 6), lambda f: ip(f) / udp() / data(333)),
    "udp empty": ((4, 6), lambda f: ip(f) / udp()),
    "udp odd": ((4, 6), lambda f: ip(f) / udp() / data(1)),
    "udp without a checksum": ((4, 6), lambda f: ip(f) / udp(chksum=0) / data(555)),
    "udp options": ((4, 6), udp_with_options),
    "udp ip options": ((4,), lambda f: ip(f, options=[s.IPOption_NOP()] * 4) / udp() / data(3)),
}

# (forward, next hop, family of the backend's address)
WAYS = [(forward, hop, family)
        for forward, hop in (("ipip", "reflect"), ("gue", "reflect"), ("ipip", "fib"),
                             ("gue", "fib"), ("l2", "fib"))
        for family in (4, 6)] + [("local", "reflect", 4), ("local", "reflect", 6)]


# ---- what scapy has to say

def inner_tos(packet):
    return packet.tc if s.IPv6 in packet else packet.tos


def outer_ip(packet, family, proto, out):
    """out: the frame that is compared with; only the flow label is taken from it."""
    if family == 6:
        return s.IPv6(src=OWN[6], dst=BACKEND[6], tc=inner_tos(packet), hlim=64, nh=proto,
                      fl=s.Ether(out)[s.IPv6].fl)
    return s.IP(src=OWN[4], dst=BACKEND[4], tos=inner_tos(packet), id=0, flags="DF", ttl=64,
                proto=proto)


def inner_proto(packet):
    return 41 if s.IPv6 in packet else 4


def expect_ipip(packet, family, out):
    return outer_ip(packet, family, inner_proto(packet), out) / s.Raw(bytes(packet))


def expect_gue(packet, family, out):
    sport = s.Ether(out)[s.UDP].sport
    assert sport >= 0xc000
    checksum = {} if family == 6 else {"chksum": 0}
    return (outer_ip(packet, family, 17, out)
            / s.UDP(sport=sport, dport=GUE_PORT, **checksum) / s.Raw(bytes(packet)))


def expect_same(packet, family, out):
    del family, out
    return s.Raw(bytes(packet))


EXPECTED = {"ipip": expect_ipip, "gue": expect_gue, "l2": expect_same, "local": expect_same}


def ether(packet, forward, hop):
    kind = 0x86dd if isinstance(packet, s.IPv6) else 0x0800
    if forward == "local":
        return s.Ether(src=SENDER_MAC, dst=INGRESS_MAC, type=kind)
    if hop == "fib":
        return s.Ether(src=EGRESS_MAC, dst=BACKEND_MAC, type=kind)
    return s.Ether(src=INGRESS_MAC, dst=SENDER_MAC, type=kind)


def frame(packet):
    kind = 0x86dd if s.IPv6 in packet else 0x0800
    return bytes(s.Ether(src=SENDER_MAC, dst=INGRESS_MAC, type=kind) / packet)


# ---- the program

@pytest.fixture
def box(lab):
    """A namespace with two interfaces; the second one's network has a backend and a router."""
    ns = lab.namespace("box")
    ns.ip(f"link add eth0 address {INGRESS_MAC} mtu {MTU} type veth peer name peer0 mtu {MTU}",
          f"link add eth1 address {EGRESS_MAC} mtu {MTU} type veth peer name peer1 mtu {MTU}",
          *(f"link set {name} up" for name in ("eth0", "peer0", "eth1", "peer1")))
    ns.sysctl({"net.ipv4.conf.lo.forwarding": 1, "net.ipv6.conf.lo.forwarding": 1})
    for family, length in ((4, 24), (6, 64)):
        nodad = " nodad" if family == 6 else ""
        ns.ip(f"addr add {OWN[family]}/{length} dev eth1{nodad}")
        for addr, mac in ((BACKEND, BACKEND_MAC), (ROUTER, ROUTER_MAC)):
            ns.ip(f"neigh add {addr[family]} lladdr {mac} dev eth1 nud permanent")
        ns.ip(f"route add {FAR[family]} via {ROUTER[family]}")
    return ns


@pytest.fixture
def steering(lab, box):
    """Steering, with services at VIP:80; its eth0 and eth1 are listed."""
    made = Steering(lab, box)
    for family in (4, 6):
        for proto in (6, 17):
            made.service(VIP[family], 80, proto)
    made.eth0, made.eth1 = (int(box.run(["ip", "-o", "link", "show", name]).stdout.split(":")[0])
                            for name in ("eth0", "eth1"))
    made.device(made.eth0)
    made.device(made.eth1)
    return made


def set_way(it, forward, hop, family, dst=None, **kw):
    src = OWN[family] if forward in ("ipip", "gue") else None
    it.backend(forward, dst or BACKEND[family], src=src, next_hop=hop,
               port=GUE_PORT if forward == "gue" else 0, **{"mtu": MTU, **kw})


def check(it, packet, forward, hop, family):
    action, out = it.run(frame(packet), it.eth0)
    wanted = {"local": "pass"}.get(forward, "redirect" if hop == "fib" else "tx")
    assert action == wanted, action
    body = EXPECTED[forward](packet, family, out)
    expected = bytes(ether(body if forward in ("ipip", "gue") else packet, forward, hop) / body)
    assert out == expected, f"\n{s.Ether(out).show(dump=True)}{s.Ether(expected).show(dump=True)}"
    return out


@pytest.mark.vm
@pytest.mark.parametrize("forward,hop,family", WAYS)
def test_packet_out_is_what_scapy_builds(steering, forward, hop, family):
    set_way(steering, forward, hop, family)
    for what, (families, build) in PACKETS.items():
        for inner in families:
            print(what, inner)
            check(steering, build(inner), forward, hop, family)


@pytest.mark.parametrize("inner", [4, 6])
@pytest.mark.parametrize("proto", ["tcp", "udp", "udp without a checksum"])
def test_the_checksum_of_gue_over_ipv6(steering, inner, proto):
    """Of data of many lengths, odd ones too, all zero and all ones too."""
    set_way(steering, "gue", "reflect", 6)
    rng = random.Random(f"{inner} {proto}")
    lengths = [*range(0, 70), *(rng.randrange(70, 1400) for _ in range(80))]
    for length in lengths:
        body = s.Raw(rng.choice([rng.randbytes(length), bytes(length), b"\xff" * length]))
        l4 = {"tcp": tcp(flags="A"), "udp": udp()}.get(proto) or udp(chksum=0)
        check(steering, ip(inner, tos=rng.randrange(256)) / l4 / body, "gue", "reflect", 6)


def test_a_wrong_checksum_stays_wrong(steering):
    """Nobody may be told that a damaged packet is good."""
    set_way(steering, "gue", "reflect", 6)
    for inner in (4, 6):
        packet = bytearray(bytes(ip(inner) / tcp(flags="A") / data(50)))
        packet[-1] ^= 0x40
        action, out = steering.run(frame((s.IP if inner == 4 else s.IPv6)(bytes(packet))))
        outer = s.Ether(out)
        got, outer[s.UDP].chksum = outer[s.UDP].chksum, None
        assert action == "tx" and s.Ether(bytes(outer))[s.UDP].chksum != got


def test_flows_are_told_apart_by_the_port(steering):
    set_way(steering, "gue", "reflect", 4)
    seen = {}
    for port in range(20000, 20200):
        packet = ip(4) / s.TCP(sport=port, dport=80, flags="A")
        for _ in range(2):
            out = s.Ether(steering.run(frame(packet))[1])
            seen.setdefault(port, set()).add(out[s.UDP].sport)
    assert all(len(ports) == 1 for ports in seen.values())
    assert len({port for ports in seen.values() for port in ports}) > 150


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("forward,overhead", [("ipip", {4: 20, 6: 40}), ("gue", {4: 28, 6: 48}),
                                              ("l2", {4: 0, 6: 0})])
def test_nothing_larger_than_the_mtu(steering, forward, overhead, family):
    hop = "fib" if forward == "l2" else "reflect"
    set_way(steering, forward, hop, family, mtu=1000)
    room = 1000 - overhead[family] - 40
    check(steering, ip(4) / tcp(flags="A") / data(room), forward, hop, family)
    assert steering.run(frame(ip(4) / tcp(flags="A") / data(room + 1)))[0] == "drop"


@pytest.mark.parametrize("forward,hop,family", WAYS)
def test_nothing_that_is_cut_short(steering, forward, hop, family):
    """Neither sent nor, where it is whole enough to be a service's, passed."""
    set_way(steering, forward, hop, family)
    for inner in (4, 6):
        whole = frame(ip(inner) / udp() / data(20))
        start = len(frame(ip(inner))) + 4
        for length in range(14, len(whole)):
            action, out = steering.run(whole[:length], steering.eth0)
            assert action == ("pass" if length < start else "drop"), length
            assert action == "drop" or out == whole[:length]


@pytest.mark.parametrize("forward,hop,family", WAYS)
def test_what_stands_behind_a_packet(steering, forward, hop, family):
    """The padding of a short frame may go along; more has no reason to be there."""
    set_way(steering, forward, hop, family)
    short, long = ip(4) / tcp(flags="A"), ip(4) / tcp(flags="A") / data(60)
    out = check(steering, short, forward, hop, family)
    _, padded = steering.run(frame(short).ljust(60, b"\xee"), steering.eth0)
    assert padded == out + b"\xee" * 6
    out = check(steering, long, forward, hop, family)
    _, padded = steering.run(frame(long) + b"\xee" * 30, steering.eth0)
    assert padded == out + (b"\xee" * 30 if forward == "local" else b"")


@pytest.mark.parametrize("family", [4, 6])
def test_the_next_hop_is_that_of_the_route(steering, box, family):
    packet = ip(4) / tcp(flags="A") / data(10)
    set_way(steering, "ipip", "fib", family)
    assert steering.run(frame(packet), steering.eth1)[0] == "tx"  # it came in by that one
    assert steering.run(frame(packet), steering.eth0)[0] == "redirect"

    set_way(steering, "ipip", "fib", family, dst=FAR[family])
    action, out = steering.run(frame(packet), steering.eth0)
    assert action == "redirect" and s.Ether(out).dst == ROUTER_MAC
    set_way(steering, "l2", "fib", family, dst=FAR[family])  # a router would bring it back
    assert steering.run(frame(packet), steering.eth0)[0] == "drop"

    box.ip(f"route change {FAR[family]} via {ROUTER[family]} mtu lock 1300")
    set_way(steering, "gue", "fib", family, dst=FAR[family])
    big = ip(4) / tcp(flags="A") / data(1300)
    assert steering.run(frame(big), steering.eth0)[0] == "drop"
    assert steering.run(frame(packet), steering.eth0)[0] == "redirect"


@pytest.mark.parametrize("family", [4, 6])
def test_where_there_is_no_next_hop(steering, box, family):
    packet = frame(ip(6) / tcp(flags="A") / data(10))

    def dropped_for(reason):
        before = steering.counters()
        assert steering.run(packet, steering.eth0)[0] == "drop"
        after = steering.counters()
        return after["packets"] == before["packets"] + 1 and after[reason] == before[reason] + 1

    for forward in ("ipip", "gue", "l2"):
        set_way(steering, forward, "fib", family, dst={4: "10.1.0.66", 6: "fd00:1::66"}[family])
        assert dropped_for("no-neighbour")
        set_way(steering, forward, "fib", family, dst={4: "10.88.0.1", 6: "fd00:88::1"}[family])
        assert dropped_for("no-route")
    set_way(steering, "l2", "reflect", family)
    assert dropped_for("forward")
    box.sysctl({f"net.ipv{family}.conf.lo.forwarding": 0})
    set_way(steering, "ipip", "fib", family)
    assert dropped_for("no-route")
    box.sysctl({f"net.ipv{family}.conf.lo.forwarding": 1})
    assert steering.run(packet, steering.eth0)[0] == "redirect"


@pytest.mark.parametrize("family", [4, 6])
def test_only_by_listed_interfaces(lab, box, steering, family):
    other = Steering(lab, box)
    other.service(VIP[4], 80, 6)
    set_way(other, "ipip", "fib", family)
    packet = frame(ip(4) / tcp(flags="A"))
    assert other.run(packet, steering.eth0)[0] == "drop"
    other.device(steering.eth1)
    assert other.run(packet, steering.eth0)[0] == "redirect"
