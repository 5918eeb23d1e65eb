#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Clients that make many connections from one process; each prints JSON.

    clients.py connect ADDR:PORT --count N [--parallel N] [--distinct]
        N TCP connections, one after another on each of `parallel` lanes; reads the greeting and
        closes. {"by": {name: n}, "errors": {text: n}}. --distinct: each from another port (the
        kernel soon gives those out again that were closed).
    clients.py keep ADDR:PORT --count N
        N TCP connections that stay. Prints {"by": ...}; then for each line on standard input sends
        one line on every connection and prints {"same": n, "moved": n, "errors": {...}}.
    clients.py udp ADDR:PORT --flows N
        N datagrams from N source ports, each sent again (up to twice) when no answer came.
        {"by": {name: n}, "lost": n, "sent": n}
    clients.py steady ADDR:PORT --flows N --rate N
        N TCP connections and N UDP flows exchange numbered messages, `rate` a second in all, until
        standard input ends. {"tcp_sent": n, "tcp_back": n, "udp_sent": n, "udp_back": n, ...}
    clients.py http URL [URL...] --connections N
        keep-alive GETs on N connections until standard input ends or --requests were answered.
        {"ok": n, "by": {name: n}, "status": {code: n}, "errors": {text: n}, "reconnects": n}
"""
import argparse
import asyncio
import collections
import errno
import json
import select
import socket
import sys
import time
import urllib.parse

STEP_TIMEOUT_S = 30


def split(text):
    addr, _, port = text.rpartition(":")
    return addr.strip("[]"), int(port)


def family(addr):
    return socket.AF_INET6 if ":" in addr else socket.AF_INET


def say(result):
    print(json.dumps(result), flush=True)


def error_text(exc):
    code = getattr(exc, "errno", None)
    return errno.errorcode.get(code, str(exc) or type(exc).__name__) if code else (
        str(exc) or type(exc).__name__)


class Lanes:
    """Connections made by epoll, a fixed number of them at a time."""

    def __init__(self, target, count, parallel, keep=False, ports=None):
        self.target, self.left, self.parallel, self.keep = target, count, parallel, keep
        self.ports = ports
        self.poll = select.epoll()
        self.open = {}
        self.by, self.errors = collections.Counter(), collections.Counter()
        self.kept = {}

    def start(self):
        self.left -= 1
        sock = socket.socket(family(self.target[0]), socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        if self.ports:
            sock.bind(("", next(self.ports)))
        code = sock.connect_ex(self.target)
        if code not in (0, errno.EINPROGRESS):
            self.errors[errno.errorcode.get(code, str(code))] += 1
            sock.close()
            return
        self.open[sock.fileno()] = sock
        self.poll.register(sock, select.EPOLLIN)

    def finish(self, fd):
        sock = self.open.pop(fd)
        self.poll.unregister(sock)
        try:
            data = sock.recv(256)
            if not data:
                raise ConnectionError("closed before the greeting")
            name = data.decode().strip()
            self.by[name] += 1
            if self.keep:
                self.kept[sock] = name
                return
            # No TIME_WAIT: the next run may need the port.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        except OSError as exc:
            self.errors[error_text(exc)] += 1
        sock.close()

    def run(self):
        while self.left or self.open:
            while self.left and len(self.open) < self.parallel:
                self.start()
            events = self.poll.poll(STEP_TIMEOUT_S)
            if not events:
                self.errors["timeout"] += len(self.open)
                break
            for fd, _ in events:
                self.finish(fd)


def do_connect(args):
    ports = iter(range(10000, 60000)) if args.distinct else None
    lanes = Lanes(split(args.target[0]), args.count, args.parallel, ports=ports)
    lanes.run()
    say({"by": lanes.by, "errors": lanes.errors})


def do_keep(args):
    lanes = Lanes(split(args.target[0]), args.count, args.parallel, keep=True)
    lanes.run()
    say({"by": lanes.by, "errors": lanes.errors})
    for number, _ in enumerate(sys.stdin):
        same = moved = 0
        errors = collections.Counter()
        for sock in lanes.kept:
            try:
                sock.setblocking(True)
                sock.settimeout(STEP_TIMEOUT_S)
                sock.sendall(b"%d\n" % number)
            except OSError as exc:
                errors[error_text(exc)] += 1
        for sock, name in lanes.kept.items():
            try:
                answer = sock.recv(256).decode().strip()
                same, moved = ((same + 1, moved) if answer == f"{name} {number}"
                               else (same, moved + 1))
            except OSError as exc:
                errors[error_text(exc)] += 1
        say({"same": same, "moved": moved, "errors": errors})


BURST = 64  # datagrams before their answers are looked for: fewer than any queue on the way holds


def do_udp(args):
    """A question from each flow, again until two rounds in turn have brought no answer at all."""
    target = split(args.target[0])
    by, sent = collections.Counter(), 0
    poll = select.epoll()
    flows = {}
    for _ in range(args.flows):
        sock = socket.socket(family(target[0]), socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        sock.connect(target)
        poll.register(sock, select.EPOLLIN)
        flows[sock.fileno()] = sock
    waiting = set(flows)

    def read(timeout):
        events = poll.poll(timeout)
        for fd, _ in events:
            try:
                name = flows[fd].recv(256).decode().split(" ")[0]
            except OSError:
                continue
            if fd in waiting:
                waiting.remove(fd)
                by[name] += 1
        return events

    silent = 0
    while waiting and silent < 2:
        before = len(waiting)
        for n, fd in enumerate(list(waiting)):
            try:
                flows[fd].send(b"hello %d" % fd)
                sent += 1
            except OSError:
                pass  # counted as lost if it stays so
            if n % BURST == BURST - 1:
                read(0.01)
        while waiting and read(2):
            pass
        silent = silent + 1 if len(waiting) == before else 0
    say({"by": by, "lost": len(waiting), "sent": sent})


class Steady:
    """Numbered messages on all flows; an answer of another backend or out of order is an error. A
    flow with WINDOW of them unanswered waits: who is late must not overrun a socket's buffer."""

    WINDOW = 4

    def __init__(self, target, flows, rate):
        self.target, self.flows, self.rate = target, flows, rate
        self.counts = collections.Counter(tcp_sent=0, tcp_back=0, udp_sent=0, udp_back=0, moved=0)
        self.errors = collections.Counter()
        self.socks = []
        self.poll = select.epoll()
        self.names = {}
        self.partial = collections.defaultdict(bytes)
        self.unanswered = collections.Counter()

    def connect(self):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            for _ in range(self.flows):
                sock = socket.socket(family(self.target[0]), kind)
                sock.settimeout(STEP_TIMEOUT_S)
                sock.connect(self.target)
                if kind == socket.SOCK_STREAM:
                    self.names[sock.fileno()] = sock.recv(256).decode().strip()
                sock.setblocking(False)
                self.poll.register(sock, select.EPOLLIN)
                self.socks.append(sock)
        self.by_fd = {sock.fileno(): sock for sock in self.socks}

    def send(self, sock, number):
        kind = "tcp" if sock.type == socket.SOCK_STREAM else "udp"
        if self.unanswered[sock.fileno()] >= self.WINDOW:
            return
        try:
            sock.send(b"%d\n" % number)
            self.counts[kind + "_sent"] += 1
            self.unanswered[sock.fileno()] += 1
        except OSError as exc:
            self.errors[error_text(exc)] += 1

    def receive(self, wait):
        for fd, _ in self.poll.poll(wait):
            sock = self.by_fd[fd]
            kind = "tcp" if sock.type == socket.SOCK_STREAM else "udp"
            try:
                data = self.partial[fd] + sock.recv(65536)
            except OSError as exc:
                self.errors[error_text(exc)] += 1
                continue
            *lines, self.partial[fd] = data.split(b"\n")
            for line in lines:
                name = line.decode().split(" ")[0]
                self.counts[kind + "_back"] += 1
                self.unanswered[fd] -= 1
                if self.names.setdefault(fd, name) != name:
                    self.counts["moved"] += 1

    def outstanding(self):
        c = self.counts
        return c["tcp_sent"] + c["udp_sent"] - c["tcp_back"] - c["udp_back"]

    def run(self):
        self.connect()
        say({"ready": len(self.socks), "by": collections.Counter(self.names.values())})
        stdin, number, start = select.poll(), 0, time.monotonic()
        stdin.register(sys.stdin, select.POLLIN | select.POLLHUP)
        while not stdin.poll(0):
            due = (time.monotonic() - start) * self.rate
            while number < due:
                self.send(self.socks[number % len(self.socks)], number)
                number += 1
            self.receive(0.002)
        deadline = time.monotonic() + 5
        while self.outstanding() > 0 and time.monotonic() < deadline:
            self.receive(0.1)
        say({**self.counts, "errors": self.errors, "seconds": time.monotonic() - start})


def do_steady(args):
    Steady(split(args.target[0]), args.flows, args.rate).run()


class HttpLoad:
    def __init__(self, args):
        self.urls = [urllib.parse.urlsplit(u) for u in args.target]
        self.args = args
        self.by, self.status = collections.Counter(), collections.Counter()
        self.errors, self.ok, self.started, self.reconnects = collections.Counter(), 0, 0, 0
        self.stop = asyncio.Event()

    def more(self):
        if self.stop.is_set() or (self.args.requests and self.started >= self.args.requests):
            return False
        self.started += 1
        return True

    async def request(self, url, reader, writer):
        """One exchange; is the connection good for another one?"""
        target = (url.path or "/") + ("?" + url.query if url.query else "")
        writer.write(f"GET {target} HTTP/1.1\r\nHost: {url.netloc}\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = {k.strip().lower(): v.strip()
                  for k, _, v in (line.partition(":") for line in head[1:] if line)}
        if fields.get("transfer-encoding") == "chunked":
            while size := int(await reader.readline(), 16):
                await reader.readexactly(size + 2)
            await reader.readline()
        else:
            await reader.readexactly(int(fields.get("content-length", "0")))
        code = head[0].split(" ")[1]
        self.status[code] += 1
        self.ok += code.startswith("2")
        self.by[fields.get("x-backend", "-")] += 1
        return fields.get("connection", "").lower() != "close"

    async def lane(self, number):
        url = self.urls[number % len(self.urls)]
        reader = writer = None
        while self.more():
            try:
                if writer is None:
                    reader, writer = await asyncio.open_connection(url.hostname, url.port or 80)
                again = await asyncio.wait_for(self.request(url, reader, writer), STEP_TIMEOUT_S)
                if not again:
                    writer.close()
                    writer, self.reconnects = None, self.reconnects + 1
            except (OSError, EOFError, asyncio.TimeoutError, ValueError) as exc:
                self.errors[error_text(exc)] += 1
                if writer:
                    writer.close()
                writer = None
                await asyncio.sleep(0.01)
        if writer:
            writer.close()

    async def run(self):
        loop = asyncio.get_running_loop()
        if not self.args.requests:
            loop.add_reader(sys.stdin, self.stop.set)
        await asyncio.gather(*(self.lane(i) for i in range(self.args.connections)))
        say({"ok": self.ok, "by": self.by, "status": self.status, "errors": self.errors,
             "reconnects": self.reconnects})


def do_http(args):
    asyncio.run(HttpLoad(args).run())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=["connect", "keep", "udp", "steady", "http"])
    parser.add_argument("target", nargs="+")
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--parallel", type=int, default=64)
    parser.add_argument("--distinct", action="store_true")
    parser.add_argument("--flows", type=int, default=16)
    parser.add_argument("--rate", type=float, default=500)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--requests", type=int, default=0)
    options = parser.parse_args()
    {"connect": do_connect, "keep": do_keep, "udp": do_udp, "steady": do_steady,
     "http": do_http}[options.verb](options)
