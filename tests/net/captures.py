# SPDX-License-Identifier: BSD-2-Clause
"""`shuntctl capture` at work, and pcapng files read block by block."""
import os
import signal
import struct
import subprocess

from daemon import SANITIZER
from lab import TIMEOUT_S, binary, wait_until

XDP_DROP, XDP_PASS, XDP_TX = 1, 2, 3

# Options that a packet has (pcapng).
COMMENT, FLAGS, PACKET_ID, QUEUE, VERDICT = 1, 2, 5, 6, 7
INBOUND, OUTBOUND = 1, 2


class Capturing:
    """A capture of the daemon's, begun. stop() is Ctrl-C; result() waits for its end."""

    def __init__(self, daemon, *args, into="capture.pcapng"):
        self.daemon = daemon
        self.path = daemon.lab.path(into) if into else None
        self.errors_path = daemon.lab.path("capture.err")
        self.out_path = daemon.lab.path("capture.out")
        argv = [binary("shuntctl"), "--socket", daemon.socket, "capture", "--for", "1h",
                *map(str, args)]  # what is given last holds
        if into:
            argv += ["-w", self.path]
        with open(self.errors_path, "w", encoding="utf-8") as err, \
                open(self.out_path, "w", encoding="utf-8") as out:
            self.proc = daemon.lab.popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                         env={**os.environ, **SANITIZER})
        wait_until(self._is_begun, what=lambda: "the capture to begin: " + self.errors)

    def _is_begun(self):
        if self.proc.poll() is not None:
            raise AssertionError(f"it ended with {self.proc.returncode}: {self.errors}")
        return "capturing up to" in self.errors

    @property
    def errors(self):
        with open(self.errors_path, encoding="utf-8") as f:
            return f.read()

    @property
    def output(self):
        with open(self.out_path, encoding="utf-8") as f:
            return f.read()

    def wait(self):
        """For its end; the exit status."""
        return self.proc.wait(timeout=TIMEOUT_S)

    def result(self, rc=0):
        assert self.wait() == rc, self.errors
        return self

    def stop(self):
        self.proc.send_signal(signal.SIGINT)
        return self.result()

    def packets(self):
        return read(self.path)


class Packet:
    """One of a file: interface (name), time (ns), data, length (on the wire), comment, flags, id,
    queue, verdict."""

    def __init__(self, interface, time, data, length, options):
        self.interface, self.time, self.data, self.length = interface, time, data, length
        self.comment = options[COMMENT].decode()
        self.flags, = struct.unpack("<I", options[FLAGS])
        self.id, = struct.unpack("<Q", options[PACKET_ID])
        self.queue, = struct.unpack("<I", options[QUEUE])
        kind, self.verdict = struct.unpack("<BQ", options[VERDICT])
        assert kind == 2  # an XDP program's


def blocks(path):
    """(type, body) of each; the lengths in front and behind agree."""
    with open(path, "rb") as f:
        data = f.read()
    at = 0
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        assert length % 4 == 0 and 12 <= length <= len(data) - at
        assert struct.unpack_from("<I", data, at + length - 4)[0] == length
        yield kind, data[at + 8:at + length - 4]
        at += length


def options(body, at):
    found = {}
    while True:
        code, length = struct.unpack_from("<HH", body, at)
        if code == 0:
            assert at + 4 == len(body)
            return found
        found[code] = body[at + 4:at + 4 + length]
        at += 4 + (length + 3) // 4 * 4


def read(path):
    interfaces, packets, first = [], [], True
    for kind, body in blocks(path):
        assert first == (kind == 0x0a0d0d0a)
        first = False
        if kind == 1:
            given = options(body, 8)
            assert given[9] == b"\x09"  # nanoseconds
            interfaces.append(given[2].decode())
        elif kind == 6:
            number, high, low, kept, length = struct.unpack_from("<IIIII", body)
            packets.append(Packet(interfaces[number], high << 32 | low, body[20:20 + kept], length,
                                  options(body, 20 + (kept + 3) // 4 * 4)))
    return packets


def pairs(packets):
    """By id: [before, after], the latter None where there is none."""
    found = {}
    for p in packets:
        pair = found.setdefault(p.id, [None, None])
        after = p.flags == OUTBOUND
        assert pair[after] is None
        pair[after] = p
    return found


def statistics(path):
    """Captured and lost, as the file's last block says."""
    (body,) = [body for kind, body in blocks(path) if kind == 5]
    given = options(body, 12)
    return struct.unpack("<Q", given[4])[0], struct.unpack("<Q", given[5])[0]


def tracing_programs(daemon):
    """Ids of the programs that look at others, once for themselves and once for the link, of those
    that a daemon has open."""
    ids, folder = [], f"/proc/{daemon.proc.pid}/fdinfo"
    for fd in os.listdir(folder):
        try:
            with open(f"{folder}/{fd}", encoding="ascii") as f:
                fields = dict(line.split(":", 1) for line in f.read().splitlines())
        except FileNotFoundError:
            continue
        fields = {name: value.strip() for name, value in fields.items()}
        if fields.get("prog_type") == "26" or fields.get("link_type") == "tracing":
            ids.append(int(fields["prog_id"]))
    return ids
