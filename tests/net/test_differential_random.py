# SPDX-License-Identifier: BSD-2-Clause
"""Packets made at random, on all ways to a backend but NAT (test_differential_nat.py): what comes
out is, byte for byte, what scapy builds for the same intent."""
import pytest
import scapy.all as s

from differential import (BACKEND, FAR, INGRESS_MAC, MIDDLE, MTU, OVERHEAD, OWN, ROUTER, SENDER_MAC,
                          THOROUGH, VIP, WAYS, add_services, check, frame, link, one_machine,
                          random_client, random_data, random_generator, random_ip,
                          random_l4, random_packet, random_tags, random_trailer, same, set_way,
                          too_big, with_mss)

TUNNELS = [way for way in WAYS if way[0] in OVERHEAD]
ICMP_RATE = 60000  # no limit to what is done here
MSS_AUTO = 0xffff
ROUNDS = 16 * THOROUGH


@pytest.fixture(scope="module")
def machine_of_all():
    with one_machine() as it:
        yield it


@pytest.fixture
def steering(machine_of_all):
    machine_of_all.switches(icmp_rate=ICMP_RATE)
    return machine_of_all


@pytest.fixture
def rng():
    return random_generator()


@pytest.mark.parametrize("forward,hop,family", WAYS)
def test_packets(steering, rng, forward, hop, family):
    """With VLAN tags, IP options, extension headers, and bytes behind them."""
    set_way(steering, forward, hop, family)
    for _ in range(ROUNDS):
        packet, tags = random_packet(rng, rng.choice([4, 6])), random_tags(rng)
        check(steering, packet, forward, hop, family, tags, random_trailer(rng, packet, tags))


# ---- fragments

def entropy_of(out, forward, family):
    """What tells flows apart, in the outer headers of a tunnel."""
    if forward not in OVERHEAD:
        return None
    return (s.Ether(out)[s.IPv6].fl if family == 6 else None,
            s.Ether(out)[s.UDP].sport if forward == "gue" else None)


def fragments_of(rng, family):
    """A packet of some flow in pieces, in the order of their offsets."""
    l4 = random_l4(rng, rng.randint(1024, 65535), 80)
    client, body = random_client(rng, family), s.Raw(rng.randbytes(rng.randint(1500, 3000)))
    if family == 4:
        packet = random_ip(rng, 4, client, VIP[4])
        packet.flags = ""
        return s.fragment(packet / l4 / body, fragsize=rng.randint(64, 1300))
    packet = s.IPv6(src=client, dst=VIP[6], hlim=rng.randint(1, 255), tc=rng.randrange(256))
    packet /= s.IPv6ExtHdrFragment(id=rng.randrange(1 << 32))
    if rng.randrange(3) == 0:
        packet /= s.IPv6ExtHdrDestOpt(options=[s.PadN(optdata=rng.randbytes(20))])
    return s.fragment6(packet / l4 / body, rng.randint(250, 1400))


@pytest.mark.parametrize("forward,hop,family", WAYS)
def test_fragments(steering, rng, forward, hop, family):
    """All go the way of the first one, with the same entropy in the tunnel."""
    set_way(steering, forward, hop, family)
    for _ in range(ROUNDS // 4):
        first, *later = fragments_of(rng, rng.choice([4, 6]))
        rng.shuffle(later)
        outs = [check(steering, part, forward, hop, family, random_tags(rng))
                for part in (first, *later)]
        assert len(outs) > 1 and len({entropy_of(out, forward, family) for out in outs}) == 1


@pytest.mark.parametrize("inner", [4, 6])
def test_a_fragment_before_its_first_one(steering, rng, inner):
    set_way(steering, "ipip", "reflect", 4)
    before = steering.counters()["fragment"]
    for count in range(1, 6):
        first, second, *_ = fragments_of(rng, inner)
        assert steering.run(frame(second, random_tags(rng)), steering.eth0)[0] == "drop"
        assert steering.counters()["fragment"] == before + count
        check(steering, first, "ipip", "reflect", 4)
        check(steering, second, "ipip", "reflect", 4)


# ---- ICMP errors

def icmp_error(rng, family, quote):
    """An error of any type there is, about the packet that quote begins."""
    if family == 4:
        kind = rng.choice([3, 4, 11, 12])
        fields = {3: {"nexthopmtu": rng.randrange(1 << 16)}, 12: {"ptr": rng.randrange(256)}}
        return s.ICMP(type=kind, code=rng.randrange(16), **fields.get(kind, {})) / s.Raw(quote)
    kind = rng.choice([1, 2, 3, 4, 4, rng.randint(5, 127)])
    return s.ICMPv6Unknown(type=kind, code=rng.randrange(8), msgbody=rng.randbytes(4) + quote)


def answer_of_a_backend(rng, family, client, sport):
    """And how long its headers are, up to what is behind the IP header."""
    packet = random_ip(rng, family, VIP[family], client)
    if family == 4 and rng.randrange(4) == 0:
        packet.flags = "MF"  # the first fragment
    packet = packet / random_l4(rng, 80, sport) / random_data(rng)
    l4 = s.TCP if s.TCP in packet else s.UDP
    return packet, len(packet) - len(packet[l4])


def error_about(rng, family, client, sport):
    packet, headers = answer_of_a_backend(rng, family, client, sport)
    length = headers + rng.choice([8, 8, rng.randint(8, 600), 10000])
    return (random_ip(rng, family, MIDDLE[family], VIP[family])
            / icmp_error(rng, family, bytes(packet)[:length]))


@pytest.mark.parametrize("forward,hop,family", WAYS)
def test_icmp_errors(steering, rng, forward, hop, family):
    set_way(steering, forward, hop, family)
    before = steering.counters()["icmp-errors"]
    for _ in range(ROUNDS):
        inner, tags = rng.choice([4, 6]), random_tags(rng)
        error = error_about(rng, inner, random_client(rng, inner), rng.randint(1024, 65535))
        check(steering, error, forward, hop, family, tags, random_trailer(rng, error, tags))
    assert steering.counters()["icmp-errors"] == before + ROUNDS


@pytest.mark.parametrize("inner", [4, 6])
def test_icmp_errors_go_to_the_owner_of_the_flow(steering, rng, inner):
    """Of several backends to the one that has the flow, with the entropy of the flow."""
    addrs = [f"fd00:1::{number:x}" for number in range(2, 6)]
    for number, addr in enumerate(addrs, start=1):
        steering.backend("gue", addr, src=OWN[6], port=6080, mtu=MTU, number=number,
                         slots=range(number - 1, 64, len(addrs)))
    owners = set()
    for _ in range(ROUNDS):
        client, sport = random_client(rng, inner), rng.randint(1024, 65535)
        proto = rng.choice(["tcp", "udp"])
        packet = random_ip(rng, inner, client, VIP[inner]) / random_l4(rng, sport, 80, proto)
        answer = random_ip(rng, inner, VIP[inner], client) / random_l4(rng, 80, sport, proto)
        error = (random_ip(rng, inner, MIDDLE[inner], VIP[inner])
                 / icmp_error(rng, inner, bytes(answer)))
        outers = [s.Ether(steering.run(frame(p), steering.eth0)[1]) for p in (packet, error)]
        seen = [(o[s.IPv6].dst, o[s.IPv6].fl, o[s.UDP].sport) for o in outers]
        assert seen[0] == seen[1]
        owners.add(seen[0][0])
    assert len(owners) > 1


# ---- answers of our own

@pytest.mark.parametrize("family", [4, 6])
def test_echo_answers(steering, rng, family):
    steering.switches(echo=True, icmp_rate=ICMP_RATE)
    set_way(steering, "ipip", "reflect", 4)
    for _ in range(2 * ROUNDS):
        client, tags = random_client(rng, family), random_tags(rng)
        request = random_ip(rng, family, client, VIP[family], plain=True)
        fields = {"id": rng.randrange(1 << 16), "seq": rng.randrange(1 << 16)}
        body = random_data(rng, 1400)
        reply = request.copy()
        reply.src, reply.dst = request.dst, request.src
        if family == 4:
            reply.ttl = 64
            request, reply = (p / s.ICMP(type=t, **fields) / body
                              for p, t in ((request, 8), (reply, 0)))
        else:
            reply.hlim = 64
            request = request / s.ICMPv6EchoRequest(data=body.load, **fields)
            reply = reply / s.ICMPv6EchoReply(data=body.load, **fields)
        action, out = steering.run(frame(request, tags), steering.eth0)
        assert action == "tx"
        expected = link(INGRESS_MAC, SENDER_MAC, tags, reply)
        at = len(expected) - len(reply.payload) + 2  # of a checksum that has two forms
        if expected[at:at + 2] == b"\0\0":
            expected = expected[:at] + b"\xff\xff" + expected[at + 2:]
        same(out, expected)


def random_big_packet(rng, inner, length):
    """Of that many bytes, in one piece."""
    packet = random_ip(rng, inner, random_client(rng, inner), VIP[inner])
    if inner == 4:
        packet.flags = "DF"
    packet = packet / random_l4(rng, rng.randint(1024, 65535), 80)
    return packet / s.Raw(rng.randbytes(length - len(packet)))


def check_told(it, rng, packet, mtu):
    tags = random_tags(rng)
    came = frame(packet, tags) + rng.choice([b"", rng.randbytes(rng.randrange(40))])
    action, out = it.run(came, it.eth0)
    assert action == "tx", (action, came.hex())
    same(out, link(INGRESS_MAC, SENDER_MAC, tags, too_big(packet, mtu)), mtu)


@pytest.mark.parametrize("forward,hop,family", [*TUNNELS, ("l2", "fib", 4), ("l2", "fib", 6)])
def test_too_big_answers(steering, rng, forward, hop, family):
    for _ in range(ROUNDS // 2):
        inner, mtu = rng.choice([4, 6]), rng.randint(700, 1400)
        fits = mtu - OVERHEAD.get(forward, {}).get(family, 0)
        set_way(steering, forward, hop, family, mtu=mtu)
        packet = random_big_packet(rng, inner, fits + rng.choice([1, 2, 3, 4, rng.randint(1, 100)]))
        check_told(steering, rng, packet, fits)
        if inner == 4:  # which may be fragmented, so nobody is told
            packet.flags = ""
            assert steering.run(frame(packet), steering.eth0)[0] == "drop"
        fitting = random_big_packet(rng, inner, fits)
        check(steering, fitting, forward, hop, family)


@pytest.mark.parametrize("forward,family", [(f, v) for f in ("ipip", "gue") for v in (4, 6)])
def test_too_big_answers_by_the_mtu_of_a_route(steering, rng, forward, family):
    """The smaller one of the route's and the row's holds, whatever the packet before met."""
    def route(mtu):
        steering.box.ip(f"route change {FAR[family]} via {ROUTER[family]} mtu lock {mtu}")

    overhead = OVERHEAD[forward][family]
    try:
        for of_route, of_row in ((1300, MTU), (1399, MTU), (1500, 1350), (1300, 1300)):
            route(of_route)
            set_way(steering, forward, "fib", family, dst=FAR[family], mtu=of_row)
            least = min(of_route, of_row) - overhead
            for inner in (4, 6):
                packet = random_big_packet(rng, inner, least)
                assert steering.run(frame(packet), steering.eth0)[0] == "redirect"
                for length in (least + 1, 1450):
                    check_told(steering, rng, random_big_packet(rng, inner, length), least)
        route(1300)
        set_way(steering, forward, "fib", family, dst=FAR[family])
        check_told(steering, rng, random_big_packet(rng, 6, 1500), 1300 - overhead)
        set_way(steering, forward, "fib", family, dst=BACKEND[family], mtu=1400)
        check_told(steering, rng, random_big_packet(rng, 6, 1500), 1400 - overhead)
    finally:
        route(0)


# ---- MSS

@pytest.mark.parametrize("forward,hop,family", WAYS)
def test_mss(steering, rng, forward, hop, family):
    for limit in (536, 1200, MSS_AUTO):
        add_services(steering, mss=limit)
        set_way(steering, forward, hop, family)
        for _ in range(ROUNDS // 4):
            inner, tags = rng.choice([4, 6]), random_tags(rng)
            packet = random_packet(rng, inner, proto="tcp", flags=rng.choice(["S", "SEC", "SA"]))
            most = limit
            if limit == MSS_AUTO:
                most = MTU - OVERHEAD.get(forward, {}).get(family, 0) - (40 if inner == 4 else 60)
            check(steering, packet, forward, hop, family, tags, sent=with_mss(packet, most))
    add_services(steering)
