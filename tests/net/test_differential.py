# SPDX-License-Identifier: BSD-2-Clause
"""What the steering program sends is, byte for byte, what scapy builds for the same intent: for
each way to a backend, each family in each, and packets of many kinds and all lengths.

A new kind of packet is a row of PACKETS; a new way is a row of WAYS and a function in EXPECTED, in
differential.py. test_differential_random.py and test_differential_nat.py have packets at random."""
import random

import pytest
import scapy.all as s

from differential import (FAR, ROUTER, ROUTER_MAC, VIP, WAYS, check, data, frame, ip, make_box,
                          make_steering, set_way, tcp, udp)
from steering import Steering


@pytest.fixture
def box(lab):
    return make_box(lab)


@pytest.fixture
def steering(lab, box):
    return make_steering(lab, box)


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
