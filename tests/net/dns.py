# SPDX-License-Identifier: BSD-2-Clause
"""DNS servers for tests: knot with a zone that can be changed, and one that answers by a script."""
import os
import signal
import socket
import struct
import subprocess
import threading

from lab import unique, wait_until

CLASS_IN, A, CNAME, AAAA, SRV = 1, 1, 5, 28, 33
ZONE = "shunt.test"


class Knot:
    """knotd with one zone, shunt.test, on addr:port. records: lines such as "web 1 A 10.0.0.1"."""

    def __init__(self, lab, records=(), ns=None, addr="127.0.0.1", port=53):
        self.lab, self.ns = lab, ns
        self.addr = f"[{addr}]:{port}" if ":" in addr else f"{addr}:{port}"
        self.dir = lab.path(unique("knot"))
        os.makedirs(self.dir + "/db")
        self.serial = 0
        self.proc = None
        with open(self.dir + "/knot.conf", "w", encoding="utf-8") as f:
            f.write(f"""server:
    rundir: "{self.dir}"
    listen: {addr}@{port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
    pidfile: "{self.dir}/pid"
database:
    storage: "{self.dir}/db"
    timer-db-max-size: 1M
    journal-db-max-size: 1M
    kasp-db-max-size: 5M
    catalog-db-max-size: 5M
control:
    listen: "{self.dir}/sock"
log:
  - target: stderr
    any: error
zone:
  - domain: {ZONE}
    file: "{self.dir}/zone"
    zonefile-load: whole
    journal-content: none
    semantic-checks: off
""")
        self.write(records)
        self.start()

    def write(self, records):
        self.serial += 1
        lines = [f"$ORIGIN {ZONE}.", f"@ 1 SOA ns admin {self.serial} 1 1 1 1", "@ 1 NS ns",
                 "ns 1 A 127.0.0.1", *records]
        with open(self.dir + "/zone.new", "w", encoding="utf-8") as f:
            f.write("\n".join(lines) + "\n")
        os.rename(self.dir + "/zone.new", self.dir + "/zone")

    def start(self):
        self.proc = self.lab.popen(["knotd", "-c", self.dir + "/knot.conf"], ns=self.ns)
        wait_until(self.answers, 20, what="knotd to answer")

    def answers(self):
        assert self.proc.poll() is None, f"knotd ended: {self.proc.returncode}"
        return self._ctl("zone-status", ZONE, check=False).returncode == 0

    def _ctl(self, *args, check=True):
        return subprocess.run(["knotc", "-s", self.dir + "/sock", *args], check=check,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def set(self, *records):
        """Other records, from now on."""
        self.write(records)
        self._ctl("-b", "zone-reload", ZONE)

    def kill(self):
        self.proc.send_signal(signal.SIGKILL)
        self.proc.wait()
        for name in ("sock", "pid"):
            if os.path.exists(f"{self.dir}/{name}"):
                os.unlink(f"{self.dir}/{name}")


def name_bytes(name):
    return b"".join(bytes([len(x)]) + x.encode() for x in name.split(".") if x) + b"\0"


def record(name, kind, data, ttl=1):
    """name: bytes as they stand, such as b"\\xc0\\x0c" for that of the question."""
    return name + struct.pack("!HHIH", kind, CLASS_IN, ttl, len(data)) + data


def answer(query, records=(), flags=0x8180, ident=None, count=None):
    """A whole message, with the question of the query."""
    end = 12
    while query[end]:
        end += 1 + query[end]
    question = query[12:end + 5]
    head = struct.pack("!HHHHHH", ident if ident is not None else struct.unpack("!H", query[:2])[0],
                       flags, 1, len(records) if count is None else count, 0, 0)
    return head + question + b"".join(records)


def asked(query):
    """(name, type) of a query."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode())
        at += 1 + query[at]
    return ".".join(labels), struct.unpack("!H", query[at + 1:at + 3])[0]


class Scripted:
    """Answers each query with what script(query, is_tcp) returns: one message, several, or None."""

    def __init__(self, script):
        self.script = script
        self.queries = []
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.port = self.tcp.getsockname()[1]
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", self.port))
        self.addr = f"127.0.0.1:{self.port}"
        self.open = True
        for run in (self._serve_udp, self._serve_tcp):
            threading.Thread(target=run, daemon=True).start()

    def _answers(self, query, is_tcp):
        self.queries.append((*asked(query), is_tcp))
        said = self.script(query, is_tcp)
        return [] if said is None else said if isinstance(said, list) else [said]

    def _serve_udp(self):
        while self.open:
            try:
                query, peer = self.udp.recvfrom(4096)
                for message in self._answers(query, False):
                    self.udp.sendto(message, peer)
            except OSError:
                return  # it was closed

    def _serve_tcp(self):
        while self.open:
            try:
                conn, _ = self.tcp.accept()
            except OSError:
                return
            with conn:
                try:
                    size = struct.unpack("!H", conn.recv(2, socket.MSG_WAITALL))[0]
                    query = conn.recv(size, socket.MSG_WAITALL)
                    for message in self._answers(query, True):
                        conn.sendall(struct.pack("!H", len(message)) + message)
                except (OSError, struct.error):
                    continue

    def close(self):
        self.open = False
        self.udp.close()
        self.tcp.close()
