# SPDX-License-Identifier: BSD-2-Clause
"""The steering program by itself (tests/bpf/runner.c): rows written by hand, packets in, packets
out. What rows look like stands in bpf/abi.h; here is the little of it that tests write."""
import ipaddress
import json
import os
import re
import struct
import subprocess

from lab import ROOT, binary

ACTIONS = {0: "aborted", 1: "drop", 2: "pass", 3: "tx", 4: "redirect"}
FORWARDS = ["ipip", "gue", "l2", "local", "nat"]
NEXT_HOPS = ["reflect", "fib"]

SERVICE_ROW, RING_BASE, RING_SIZE = 3, 100, 64
IDLE_S = (10, 600, 30, 60)
GUE_PORT = 6080
ADDR_BITS_WORDS = 65536 // 64


def family_of(addr):
    return ipaddress.ip_address(addr).version


def words(addr, last):
    """Four words; IPv4 in the first, or the last."""
    raw = ipaddress.ip_address(addr).packed
    if len(raw) == 16:
        return raw
    return bytes(12) + raw if last else raw + bytes(12)


def abi_list(name):
    """The texts of a list of names in bpf/abi.h."""
    with open(os.path.join(ROOT, "bpf/abi.h"), encoding="utf-8") as f:
        text = f.read()
    body = re.search(rf"#define {name}\(X\)((?:.*\\\n)*.*)", text).group(1)
    return re.findall(r'X\(\w+,[\s\\]*"([^"]+)"', body)


class Steering:
    """One program with its tables, in a namespace (None: this one)."""

    def __init__(self, lab, ns=None):
        self.proc = lab.popen([binary("tests/bpf/runner")], ns=ns, text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL)
        self.sizes = self.ask(do="describe")["maps"]
        self.generation = 0
        for word in range(ADDR_BITS_WORDS):  # any address may be a service's
            self.update("sh_addr_bits", self.index(word), b"\xff" * 8)

    def ask(self, **request):
        self.proc.stdin.write(json.dumps(request) + "\n")
        self.proc.stdin.flush()
        line = self.proc.stdout.readline()
        assert line, f"the runner ended: {self.proc.wait()}"
        reply = json.loads(line)
        assert "error" not in reply, reply
        return reply

    def update(self, name, key, value):
        """Both are filled up with zeros: fields that a test does not know are off."""
        key_size, size = self.sizes[name]
        assert len(key) <= key_size and len(value) <= size, f"{name}: {key_size} and {size} bytes"
        self.ask(do="update", map=name, key=key.ljust(key_size, b"\0").hex(),
                 value=value.ljust(size, b"\0").hex())

    def index(self, number):
        return struct.pack("=I", number)

    # ---- rows
    def service(self, addr, port, proto, tracking=0, mss=0):
        """Its address is one of services too, for packets that name no port."""
        key = words(addr, False) + struct.pack("!HBB", port, proto, family_of(addr))
        row = struct.pack("=IBBxx4I20xH", SERVICE_ROW, 0, tracking, *IDLE_S, mss)
        self.update("sh_services", key, row)
        self.update("sh_svc_rings", self.index(SERVICE_ROW),
                    struct.pack("=II", RING_BASE, RING_SIZE))
        self.update("sh_vips", words(addr, False) + bytes([family_of(addr)]),
                    struct.pack("=I", SERVICE_ROW))

    def backend(self, forward, dst, src=None, next_hop="reflect", mtu=1500, port=0, ports=(0, 0),
                number=1, slots=range(RING_SIZE)):
        """The only one, unless slots of the ring are left to others of another number. ports: of
        NAT, the first and how many. A new one each time, that has no flows."""
        self.generation += 1
        row_id = self.generation << 16 | number
        src = words(src, True) if src else bytes(16)
        row = struct.pack("=IBBBBH", row_id, 0, FORWARDS.index(forward), family_of(dst),
                          NEXT_HOPS.index(next_hop), mtu)
        row += struct.pack("!HI", port, 0) + src + words(dst, True) + struct.pack("=HH", *ports)
        self.update("sh_backends", self.index(number), row)
        for slot in slots:
            self.update("sh_rings", self.index(RING_BASE + slot), struct.pack("=II", row_id, 0))

    def switches(self, nat=False, fragments=0, echo=False, icmp_rate=0):
        row = struct.pack("=4xBBBxH", nat, fragments, echo, icmp_rate)
        self.update("sh_switches", self.index(0), row)

    def device(self, ifindex):
        self.update("sh_devices", self.index(ifindex), self.index(ifindex))

    # ---- counters
    def counters(self):
        """Of the service, by the names in bpf/abi.h: drops too."""
        row = self.ask(do="lookup", map="sh_svc_stats", key=self.index(SERVICE_ROW).hex())
        raw, size = bytes.fromhex(row["value"]), self.sizes["sh_svc_stats"][1]
        rows = [memoryview(raw)[at:at + size].cast("Q") for at in range(0, len(raw), size)]
        names = abi_list("SHUNT_SVC_COUNTERS") + abi_list("SHUNT_DROPS")
        assert len(names) * 8 == size
        return {name: sum(row[i] for row in rows) for i, name in enumerate(names)}

    # ---- packets
    def run(self, frame, ifindex=0):
        """(what became of it, the frame as it then is)"""
        reply = self.ask(do="run", frame=bytes(frame).hex(), ifindex=ifindex)
        return ACTIONS[reply["action"]], bytes.fromhex(reply["frame"])
