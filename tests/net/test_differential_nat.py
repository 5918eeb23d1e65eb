# SPDX-License-Identifier: BSD-2-Clause
"""Packets made at random through NAT, both ways: what comes out is, byte for byte, what scapy
builds with the addresses, ports and checksums that the packet is to have."""
import pytest
import scapy.all as s

from differential import (BACKEND, BACKEND_MAC, EGRESS_MAC, FAR, INGRESS_MAC, MIDDLE, MTU, OWN,
                          ROUTER, SENDER_MAC, THOROUGH, VIP, add_services, expected_frame, frame,
                          link, one_machine, random_client, random_data,
                          random_generator, random_ip, random_l4, random_tags, random_trailer,
                          same, too_big, with_mss)

# (does the backend see an address of ours?, next hop, family)
WAYS = [(ours, hop, family) for ours in (False, True) for hop in ("reflect", "fib")
        for family in (4, 6)]
PORTS = (20000, 1000)
BACKEND_PORT = 8080
FLOWS = 12 * THOROUGH


@pytest.fixture(scope="module")
def machine_of_all():
    with one_machine() as it:
        yield it


@pytest.fixture
def steering(machine_of_all):
    machine_of_all.switches(nat=True, icmp_rate=60000)
    return machine_of_all


@pytest.fixture
def rng():
    return random_generator()


def set_way(it, ours, hop, family, dst=None, mtu=MTU, port=BACKEND_PORT):
    it.backend("nat", dst or BACKEND[family], src=OWN[family], next_hop=hop, mtu=mtu, port=port,
               ports=PORTS if ours else (0, 0))


def headed(packet, src, sport, dst, dport, hops=-1):
    """The same packet from and to others."""
    packet = packet.copy()
    packet.src, packet.dst = src, dst
    l4 = packet[s.TCP] if s.TCP in packet else packet[s.UDP]
    l4.sport, l4.dport = sport, dport
    return with_hops(packet, hops)


def with_hops(packet, hops):
    if isinstance(packet, s.IP):
        packet.ttl += hops
    else:
        packet.hlim += hops
    return packet


def random_headers(rng, family, proto, flags="A"):
    """A packet of a flow: from whom to whom is for headed() to say."""
    return (random_ip(rng, family, MIDDLE[family], MIDDLE[family])
            / random_l4(rng, 1, 1, proto, flags) / random_data(rng))


class Flow:
    """A client's, and how its packets look at both ends."""

    def __init__(self, it, rng, ours, hop, family):
        self.it, self.rng, self.ours, self.hop, self.family = it, rng, ours, hop, family
        self.client, self.cport = random_client(rng, family), rng.randint(1024, 65535)
        self.seen, self.sport = (OWN[family] if ours else self.client), self.cport
        self.proto, self.tags = rng.choice(["tcp", "udp"]), ()

    def random_headers(self, **kw):
        return random_headers(self.rng, self.family, self.proto, **kw)

    def from_client(self, packet, hops=0):
        return headed(packet, self.client, self.cport, VIP[self.family], 80, hops)

    def at_backend(self, packet, hops=0):
        return headed(packet, self.seen, self.sport, BACKEND[self.family], BACKEND_PORT, hops)

    def from_backend(self, packet, hops=0):
        return headed(packet, BACKEND[self.family], BACKEND_PORT, self.seen, self.sport, hops)

    def at_client(self, packet, hops=0):
        return headed(packet, VIP[self.family], 80, self.client, self.cport, hops)

    def check_there(self, sent, expected, learn=False):
        """From the client's side to the backend. expected(): called once the flow is known."""
        tags = random_tags(self.rng)
        trailer = random_trailer(self.rng, sent, tags)
        action, out = self.it.run(frame(sent, tags) + trailer, self.it.eth0)
        assert action == ("redirect" if self.hop == "fib" else "tx"), action
        if learn:
            self.tags = tags
            port = s.Ether(out)[s.TCP if self.proto == "tcp" else s.UDP].sport
            assert port in range(PORTS[0], sum(PORTS)) if self.ours else port == self.cport
            self.sport = port
        same(out, expected_frame(expected(), "nat", self.hop, tags) + trailer)

    def check_back(self, sent, expected):
        """From the backend's side to the client: as the client's last packet came."""
        tags = random_tags(self.rng)
        trailer = random_trailer(self.rng, sent, tags)
        if self.hop == "fib":
            came, ifindex = link(BACKEND_MAC, EGRESS_MAC, tags, sent), self.it.eth1
        else:
            came, ifindex = frame(sent, tags), self.it.eth0
        action, out = self.it.run(came + trailer, ifindex)
        assert action == ("redirect" if self.hop == "fib" else "tx"), action
        same(out, link(INGRESS_MAC, SENDER_MAC, self.tags, expected()) + trailer)

    def begin(self):
        packet = self.random_headers(flags="S")
        self.check_there(self.from_client(packet), lambda: self.at_backend(packet, -1), learn=True)


@pytest.mark.parametrize("ours,hop,family", WAYS)
def test_packets(steering, rng, ours, hop, family):
    set_way(steering, ours, hop, family)
    for _ in range(FLOWS):
        flow = Flow(steering, rng, ours, hop, family)
        flow.begin()
        for _ in range(3):
            packet = flow.random_headers(flags=rng.choice(["A", "PA", "SA"]))
            flow.check_back(flow.from_backend(packet), lambda: flow.at_client(packet, -1))
            packet = flow.random_headers(flags=rng.choice(["A", "PA"]))
            flow.check_there(flow.from_client(packet), lambda: flow.at_backend(packet, -1),
                             learn=True)


# ---- ICMP errors

def random_error(rng, family):
    """Of any type, with nothing in it."""
    if family == 4:
        kind = rng.choice([3, 3, 11, 12])
        fields = {3: {"nexthopmtu": rng.randrange(1 << 16)}, 12: {"ptr": rng.randrange(256)}}
        return s.ICMP(type=kind, code=rng.randrange(16), **fields.get(kind, {}))
    return s.ICMPv6Unknown(type=rng.randint(1, 4), code=rng.randrange(8), msgbody=rng.randbytes(4))


def quoting(ip, error, quote):
    error = error.copy()
    if isinstance(error, s.ICMP):
        return ip / error / s.Raw(quote)
    error.msgbody += quote
    return ip / error


def without_extensions(packet):
    """An IPv6 packet that has none: errors that quote others are not brought over."""
    if isinstance(packet, s.IP):
        return packet
    l4 = packet[s.TCP] if s.TCP in packet else packet[s.UDP]
    plain = s.IPv6(hlim=packet.hlim, tc=packet.tc, fl=packet.fl)
    return plain / l4.copy()


def check_error(flow, about, towards_client):
    """Somebody between tells about a packet: who sent it gets to know, of the packet as it was."""
    rng, family = flow.rng, flow.family
    about = without_extensions(about)
    sent, seen = ((flow.at_backend, flow.from_client) if towards_client else
                  (flow.at_client, flow.from_backend))
    l4 = s.TCP if s.TCP in about else s.UDP
    headers = len(about) - len(about[l4])
    length = headers + rng.choice([8, 8, rng.randrange(8, 40, 2), 10000])  # no half checksum
    envelope = random_ip(rng, family, MIDDLE[family], MIDDLE[family], plain=family == 6)
    error = random_error(rng, family)

    def between(src, dst, packet, hops=0):
        ip = with_hops(envelope.copy(), hops)
        ip.src, ip.dst = src, dst
        return quoting(ip, error, bytes(packet)[:length])

    if towards_client:
        flow.check_back(between(MIDDLE[family], flow.seen, sent(about)),
                        lambda: between(VIP[family], flow.client, seen(about), -1))
    else:
        teller = flow.seen if flow.ours else MIDDLE[family]
        flow.check_there(between(MIDDLE[family], VIP[family], sent(about)),
                         lambda: between(teller, BACKEND[family], seen(about), -1))


@pytest.mark.parametrize("ours,hop,family", WAYS)
def test_icmp_errors(steering, rng, ours, hop, family):
    set_way(steering, ours, hop, family)
    for _ in range(FLOWS):
        flow = Flow(steering, rng, ours, hop, family)
        flow.begin()
        for towards_client in (True, False, True, False):
            check_error(flow, flow.random_headers(), towards_client)


# ---- sizes

@pytest.mark.parametrize("ours,hop,family", WAYS)
def test_mss_before_nat(steering, rng, ours, hop, family):
    set_way(steering, ours, hop, family, mtu=1400)
    for limit, most in ((536, 536), (0xffff, 1400 - (40 if family == 4 else 60))):
        add_services(steering, mss=limit)
        for _ in range(FLOWS):
            flow = Flow(steering, rng, ours, hop, family)
            flow.proto = "tcp"
            packet = flow.random_headers(flags="S")
            flow.check_there(flow.from_client(packet),
                             lambda: flow.at_backend(with_mss(packet, most), -1), learn=True)
            back = flow.random_headers(flags="SA")  # what the backend offers is its own matter
            flow.check_back(flow.from_backend(back), lambda: flow.at_client(back, -1))
    add_services(steering)


@pytest.mark.parametrize("ours", [False, True])
@pytest.mark.parametrize("family", [4, 6])
def test_too_big_by_the_mtu_of_a_route(steering, rng, ours, family):
    """The client is told; of the packet as it was, MSS and all."""
    def told(length, mtu):
        flow = Flow(steering, rng, ours, "fib", family)
        packet = flow.from_client(random_ip(rng, family, MIDDLE[family], MIDDLE[family])
                                  / random_l4(rng, 1, 1, "udp"))
        packet = packet / s.Raw(rng.randbytes(length - len(packet)))
        if family == 4:
            packet.flags = "DF"
        action, out = steering.run(frame(packet), steering.eth0)
        if mtu is None:
            assert action == "redirect"
            return
        assert action == "tx", action
        same(out, link(INGRESS_MAC, SENDER_MAC, (), too_big(packet, mtu)))

    def route(mtu):
        steering.box.ip(f"route change {FAR[family]} via {ROUTER[family]} mtu lock {mtu}")

    try:
        route(1300)
        set_way(steering, ours, "fib", family, dst=FAR[family])
        told(1300, None)
        told(1301, 1300)
        # A way with an MTU of its own, after one where the route's was the smaller one.
        set_way(steering, ours, "fib", family, mtu=1400)
        told(1401, 1400)
        told(1400, None)
    finally:
        route(0)


# ---- fragments

def cut(packet):
    """Of some 2000 bytes, into three; the checksum is that of the whole."""
    packet = type(packet)(bytes(packet))
    if isinstance(packet, s.IP):
        return s.fragment(packet, 800)
    return s.fragment6(packet, 900)


@pytest.mark.parametrize("ours,hop,family", WAYS)
def test_fragments(steering, rng, ours, hop, family):
    set_way(steering, ours, hop, family)
    for n in range(FLOWS):
        flow = Flow(steering, rng, ours, hop, family)
        flow.proto = "udp"
        flow.begin()
        if family == 4:
            head = s.IP(id=rng.randrange(1 << 16), ttl=64, tos=rng.randrange(256))
        else:
            head = s.IPv6(hlim=64, fl=n) / s.IPv6ExtHdrFragment(id=rng.randrange(1 << 32))
        packet = head / s.UDP() / s.Raw(rng.randbytes(2000))
        for i, part in enumerate(cut(flow.from_client(packet))):
            flow.check_there(part, lambda: cut(flow.at_backend(packet, -1))[i])
        # What the client's last packet came with is what answers leave with.
        flow.begin()
        for i, part in enumerate(cut(flow.from_backend(packet))):
            flow.check_back(part, lambda: cut(flow.at_client(packet, -1))[i])
