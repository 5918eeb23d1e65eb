# SPDX-License-Identifier: BSD-2-Clause
"""For tests that hold what the steering program sends against what scapy builds for the same
intent: addresses, packets (by hand and at random), ways to a backend, and what comes out."""
import contextlib
import os
import random

import scapy.all as s

from lab import Lab
from steering import GUE_PORT, Steering

VIP = {4: "203.0.113.10", 6: "2001:db8:113::10"}
CLIENT = {4: "198.51.100.7", 6: "2001:db8:c::7"}
# The balancer, the backend in its second network, and a router there.
OWN = {4: "10.1.0.1", 6: "fd00:1::1"}
BACKEND = {4: "10.1.0.2", 6: "fd00:1::2"}
ROUTER = {4: "10.1.0.9", 6: "fd00:1::9"}
FAR = {4: "10.77.0.1", 6: "fd00:77::1"}
# Somewhere between, from where ICMP errors come.
MIDDLE = {4: "192.0.2.99", 6: "2001:db8:99::1"}
SENDER_MAC, INGRESS_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"
EGRESS_MAC, BACKEND_MAC, ROUTER_MAC = (f"02:00:00:00:00:{n}" for n in ("03", "04", "05"))
MTU = 1600
SHORTEST_FRAME = 60  # Ethernet fills up what is shorter

# What scapy leaves to who builds the packet.
for _proto, _layer in ((43, s.IPv6ExtHdrRouting), (44, s.IPv6ExtHdrFragment), (51, s.AH),
                       (60, s.IPv6ExtHdrDestOpt)):
    s.bind_layers(s.AH, _layer, nh=_proto)

# (forward, next hop, family of the backend's address)
WAYS = [(forward, hop, family)
        for forward, hop in (("ipip", "reflect"), ("gue", "reflect"), ("ipip", "fib"),
                             ("gue", "fib"), ("l2", "fib"))
        for family in (4, 6)] + [("local", "reflect", 4), ("local", "reflect", 6)]
OVERHEAD = {"ipip": {4: 20, 6: 40}, "gue": {4: 28, 6: 48}}


# ---- packets by hand

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


# ---- packets at random

THOROUGH = int(os.environ.get("SHUNT_TEST_THOROUGH", "1"))  # so many times as many packets


def random_generator():
    """Another one each time. A test that fails shows what to set to see the same again."""
    seed = int(os.environ.get("SHUNT_TEST_SEED") or random.randrange(1 << 32))
    print(f"packets at random: SHUNT_TEST_SEED={seed}")
    return random.Random(seed)


def random_client(rng, family):
    if family == 4:
        return f"198.51.{rng.randrange(256)}.{rng.randrange(1, 255)}"
    return f"2001:db8:c:{rng.randrange(1 << 16):x}::{rng.randrange(1, 1 << 16):x}"


def random_bytes(rng, length):
    return s.Raw(rng.choice([rng.randbytes(length), bytes(length), b"\xff" * length]))


def random_data(rng, most=1000):
    return random_bytes(rng, rng.choice([0, 1, rng.randrange(64), rng.randrange(most)]))


def random_ip_options(rng):
    kinds = [lambda: s.IPOption_NOP(), lambda: s.IPOption_Router_Alert(),
             lambda: s.IPOption_RR(pointer=4, routers=["0.0.0.0"] * rng.randint(1, 3))]
    return [rng.choice(kinds)() for _ in range(rng.choice([0, 0, 0, 1, 2]))]


def random_padding(rng):
    return [s.PadN(optdata=rng.randbytes(rng.randrange(30)))]


def random_extensions(rng, most=5):
    """What may stand between an IPv6 header and the transport's."""
    kinds = [
        lambda: s.IPv6ExtHdrDestOpt(options=random_padding(rng)),
        lambda: s.IPv6ExtHdrRouting(addresses=[CLIENT[6]] * rng.randint(1, 3), segleft=0),
        lambda: s.IPv6ExtHdrFragment(id=rng.randrange(1 << 32)),  # of a packet in one piece
        lambda: s.AH(spi=rng.randrange(1 << 32), seq=1, payloadlen=4, icv=rng.randbytes(12)),
    ]
    headers = [rng.choice(kinds)() for _ in range(rng.choice([0, 0, rng.randint(1, most)]))]
    if headers and isinstance(headers[-1], s.AH):  # behind which scapy makes no checksums
        headers.append(kinds[0]())
    if rng.randrange(4) == 0:
        headers.insert(0, s.IPv6ExtHdrHopByHop(options=random_padding(rng)))
    return headers


def random_ip(rng, family, src, dst, plain=False):
    """plain: with no options or extension headers."""
    if family == 4:
        return s.IP(src=src, dst=dst, id=rng.randrange(1 << 16), ttl=rng.randint(2, 255),
                    tos=rng.randrange(256), flags=rng.choice(["", "DF"]),
                    options=[] if plain else random_ip_options(rng))
    packet = s.IPv6(src=src, dst=dst, hlim=rng.randint(2, 255), tc=rng.randrange(256),
                    fl=rng.randrange(1 << 20))
    for header in [] if plain else random_extensions(rng):
        packet /= header
    return packet


def random_tcp_options(rng):
    kinds = [lambda: ("NOP", None), lambda: ("SAckOK", b""), lambda: ("WScale", rng.randrange(15)),
             lambda: ("Timestamp", (rng.randrange(1 << 32), rng.randrange(1 << 32))),
             lambda: ("MSS", rng.choice([0, 536, 1460, 65535, rng.randrange(1 << 16)]))]
    options, room = [], 40
    for _ in range(rng.randrange(7)):
        option = rng.choice(kinds)()
        room -= {"NOP": 1, "SAckOK": 2, "WScale": 3, "Timestamp": 10, "MSS": 4}[option[0]]
        if room >= 0:
            options.append(option)
    return options


def random_l4(rng, sport, dport, proto=None, flags=None):
    if (proto or rng.choice(["tcp", "udp"])) == "udp":
        return s.UDP(sport=sport, dport=dport, **rng.choice([{}, {}, {"chksum": 0}]))
    return s.TCP(sport=sport, dport=dport, seq=rng.randrange(1 << 32), ack=rng.randrange(1 << 32),
                 window=rng.randrange(1 << 16), urgptr=rng.randrange(1 << 16),
                 flags=flags or rng.choice(["A", "PA", "FA", "R", "S", "SEC", "AU"]),
                 options=random_tcp_options(rng))


def random_packet(rng, family, **l4):
    """From some client to the service."""
    return (random_ip(rng, family, random_client(rng, family), VIP[family])
            / random_l4(rng, rng.randint(1024, 65535), 80, **l4) / random_data(rng))


def random_tags(rng):
    """Those of a frame: none, one of 802.1Q, one of 802.1ad, or two."""
    tpids = rng.choice([(), (), (0x8100,), (0x88a8,), (0x88a8, 0x8100), (0x8100, 0x8100)])
    return tuple((tpid, rng.randrange(1 << 16)) for tpid in tpids)


def random_trailer(rng, packet, tags):
    """What a frame may hold behind its packet: what makes it long enough, or bytes that do not
    belong there."""
    missing = SHORTEST_FRAME - len(frame(packet, tags))
    return rng.choice([b"", rng.randbytes(max(missing, 0)), rng.randbytes(rng.randrange(40))])


# ---- frames

def kind_of(packet):
    return 0x86dd if isinstance(packet, s.IPv6) else 0x0800


def link(src, dst, tags, packet):
    """The bytes of a frame; tags: (type, what the tag says), the outer one first."""
    types = [tpid for tpid, _ in tags] + [kind_of(packet)]
    made = s.Ether(src=src, dst=dst, type=types[0])
    for (_, tci), following in zip(tags, types[1:]):
        made /= s.Dot1Q(prio=tci >> 13, id=tci >> 12 & 1, vlan=tci & 0xfff, type=following)
    return bytes(made / packet)


def frame(packet, tags=()):
    return link(SENDER_MAC, INGRESS_MAC, tags, packet)


# ---- what scapy has to say

def inner_tos(packet):
    return packet.tc if isinstance(packet, s.IPv6) else packet.tos


def outer_ip(packet, family, proto, out):
    """out: the frame that is compared with; only the flow label is taken from it."""
    if family == 6:
        return s.IPv6(src=OWN[6], dst=BACKEND[6], tc=inner_tos(packet), hlim=64, nh=proto,
                      fl=s.Ether(out)[s.IPv6].fl)
    return s.IP(src=OWN[4], dst=BACKEND[4], tos=inner_tos(packet), id=0, flags="DF", ttl=64,
                proto=proto)


def inner_proto(packet):
    return 41 if isinstance(packet, s.IPv6) else 4


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
    return packet


EXPECTED = {"ipip": expect_ipip, "gue": expect_gue, "l2": expect_same, "local": expect_same}


def expected_action(forward, hop):
    return {"local": "pass"}.get(forward, "redirect" if hop == "fib" else "tx")


def expected_frame(body, forward, hop, tags=()):
    if forward == "local":
        return frame(body, tags)
    if hop == "fib":
        return link(EGRESS_MAC, BACKEND_MAC, (), body)
    return link(INGRESS_MAC, SENDER_MAC, tags, body)


def too_big(packet, mtu):
    """What its sender is told."""
    if isinstance(packet, s.IPv6):
        quote = bytes(packet)[:min(len(packet), 1280 - 48) & ~3]
        return (s.IPv6(src=packet.dst, dst=packet.src, hlim=64, tc=0xc0)
                / s.ICMPv6PacketTooBig(mtu=mtu) / s.Raw(quote))
    quote = bytes(packet)[:min(len(packet), 576 - 28) & ~3]
    return (s.IP(src=packet.dst, dst=packet.src, id=0, flags="DF", ttl=64, tos=0xc0)
            / s.ICMP(type=3, code=4, nexthopmtu=mtu) / s.Raw(quote))


def with_mss(packet, limit):
    """Its MSS is lowered, if it has one before the end of its options."""
    lowered = packet.copy()
    options = lowered[s.TCP].options
    for i, (name, value) in enumerate(options):
        if name == "MSS":
            options[i] = (name, min(value, limit))
            break
    return lowered


def same(out, expected, *context):
    assert out == expected, (f"\n{context}\nout: {out.hex()}\nnot: {expected.hex()}\n"
                             f"{s.Ether(out).show(dump=True)}{s.Ether(expected).show(dump=True)}")


# ---- the program

def make_box(lab):
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


def add_services(it, **kw):
    for family in (4, 6):
        for proto in (6, 17):
            it.service(VIP[family], 80, proto, **kw)


def make_steering(lab, ns):
    """Steering, with services at VIP:80; its eth0 and eth1 are listed."""
    made = Steering(lab, ns)
    add_services(made)
    made.eth0, made.eth1 = (int(ns.run(["ip", "-o", "link", "show", name]).stdout.split(":")[0])
                            for name in ("eth0", "eth1"))
    made.device(made.eth0)
    made.device(made.eth1)
    return made


@contextlib.contextmanager
def one_machine():
    """Steering for all tests of a file, each of which sets its own way; box: where it runs."""
    with Lab() as lab:
        box = make_box(lab)
        it = make_steering(lab, box)
        it.box = box
        yield it


def set_way(it, forward, hop, family, dst=None, **kw):
    src = OWN[family] if forward in ("ipip", "gue") else None
    it.backend(forward, dst or BACKEND[family], src=src, next_hop=hop,
               port=GUE_PORT if forward == "gue" else 0, **{"mtu": MTU, **kw})


def check(it, packet, forward, hop, family, tags=(), trailer=b"", sent=None):
    """The packet goes out as it should (sent: as this one should). trailer: what stands behind it,
    and goes along only where it is the padding of a short frame."""
    came = frame(packet, tags) + trailer
    action, out = it.run(came, it.eth0)
    assert action == expected_action(forward, hop), (action, came.hex())
    body = EXPECTED[forward](sent or packet, family, out)
    plain = came if hop == "reflect" else frame(packet) + trailer
    kept = trailer if forward == "local" or len(plain) <= SHORTEST_FRAME else b""
    same(out, expected_frame(body, forward, hop, tags) + kept, forward, hop, family)
    return out
