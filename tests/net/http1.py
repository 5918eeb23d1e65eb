# SPDX-License-Identifier: BSD-2-Clause
"""HTTP/1 byte by byte: a client and a backend that say exactly what they are told to."""
import os
import socket
import struct
import threading

from lab import TIMEOUT_S, wait_until

NOBODY = {"address": "127.0.0.1:1", "state": "disabled"}  # a pool must have one
CONTROLLED = {"health": "none"}  # the test decides who connects to a scripted backend


class Message:
    def __init__(self, start, fields, body=b"", trailers=()):
        self.start, self.fields, self.body, self.trailers = start, fields, body, list(trailers)

    @property
    def status(self):
        return int(self.start.split(" ")[1])

    def all(self, name):
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def get(self, name, default=None):
        values = self.all(name)
        assert len(values) <= 1, (name, values)
        return values[0] if values else default

    def __repr__(self):
        return f"{self.start} {self.fields} {self.body[:200]}"


def fields_of(lines):
    return [tuple(part.strip() for part in line.split(":", 1)) for line in lines if line]


class Peer:
    """One end of a connection."""

    def __init__(self, sock):
        self.sock = sock
        self.sock.settimeout(TIMEOUT_S)
        self.buffer = bytearray()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))

    def fill(self):
        """More bytes into the buffer; False at the end."""
        data = self.sock.recv(65536)
        self.buffer += data
        return bool(data)

    def until(self, mark):
        while mark not in self.buffer:
            if not self.fill():
                raise EOFError(self.buffer)
        return self.take(self.buffer.index(mark) + len(mark))

    def take(self, count):
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        return data

    def exactly(self, count):
        while len(self.buffer) < count:
            if not self.fill():
                raise EOFError(self.buffer)
        return self.take(count)

    def to_end(self):
        while self.fill():
            pass
        return self.take(len(self.buffer))

    def is_closed(self):
        """Does the peer close, having said nothing more?"""
        try:
            return not self.fill()
        except ConnectionResetError:
            return True

    def head(self):
        start, *lines = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        return Message(start, fields_of(lines))

    def chunked(self):
        """The body and the trailers."""
        body = b""
        while True:
            size = int(self.until(b"\r\n"), 16)
            if size == 0:
                lines = []
                while (line := self.until(b"\r\n").decode("latin-1")) != "\r\n":
                    lines.append(line)
                return body, fields_of(lines)
            body += self.exactly(size)
            assert self.exactly(2) == b"\r\n"

    def message(self, no_body=False):
        """A whole message; a response without length goes to the end of the connection."""
        message = self.head()
        is_response = message.start.startswith("HTTP/")
        if no_body or (is_response and (message.status < 200 or message.status in (204, 304))):
            pass
        elif message.get("Transfer-Encoding") == "chunked":
            message.body, message.trailers = self.chunked()
        elif message.get("Content-Length") is not None:
            message.body = self.exactly(int(message.get("Content-Length")))
        elif is_response:
            message.body = self.to_end()
        return message

    def ask(self, request, no_body=False):
        self.send(request)
        return self.message(no_body)

    def shutdown(self):
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self):
        self.sock.close()


def connect(port, addr="127.0.0.1", rcvbuf=None, mss=None):
    """mss: a small one makes the other end's kernel hold little that was sent."""
    sock = socket.socket(socket.AF_INET6 if ":" in addr else socket.AF_INET)
    if rcvbuf:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
    if mss:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, mss)
    sock.settimeout(TIMEOUT_S)
    sock.connect((addr, port))
    return Peer(sock)


OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


def answer_ok(peer):
    """Serve requests until the connection ends."""
    while True:
        peer.message()
        peer.send(OK)


def see(requests):
    """A backend that keeps what it was asked."""
    def serve(peer):
        while True:
            requests.append(peer.message())
            peer.send(OK)
    return serve


class Script:
    """A backend: serve(peer) runs in a thread of its own for each connection. The end of a
    connection ends it; any other error is the test's."""

    def __init__(self, serve=answer_ok, addr="127.0.0.1", port=0):
        self.serve, self.peers, self.errors = serve, [], []
        self.sock = socket.socket(socket.AF_INET6 if ":" in addr else socket.AF_INET)
        self.sock.bind((addr, port))
        self.sock.listen(128)
        self.addr, self.port = self.sock.getsockname()[:2]
        self.target = f"[{addr}]:{self.port}" if ":" in addr else f"{addr}:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.sock.accept()
            except OSError:
                return
            peer = Peer(sock)
            self.peers.append(peer)
            threading.Thread(target=self._run, args=(peer,), daemon=True).start()

    def _run(self, peer):
        try:
            self.serve(peer)
        except (EOFError, ConnectionError):
            pass
        except OSError:
            if peer.sock.fileno() >= 0:
                raise
        except Exception as exc:  # pylint: disable=broad-except
            self.errors.append(exc)
            raise
        finally:
            peer.close()

    @property
    def connections(self):
        return len(self.peers)

    def close(self):
        # shutdown() wakes the accept(); close() alone would leave it waiting.
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()
        for peer in self.peers:
            peer.close()


class Proxy:
    """A shuntd with one proxied service on loopback, http unless mode= says another. backends:
    scripts, addresses, or the keys of a backend; they are called b1, b2, ... daemon: for
    Daemon()."""

    def __init__(self, shuntd, free_port, backends, pool=None, addr="127.0.0.1", workers=1,
                 daemon=None, node=None, start=True, **service):
        self.addr, self.port = addr, free_port(addr)
        listen = f"[{addr}]:{self.port}" if ":" in addr else f"{addr}:{self.port}"
        self.config = {
            "node": {"workers": workers, **(node or {})},
            "services": {"web": {"listen": [listen + "/tcp"], "mode": "http", "pool": "web",
                                 **service}},
            "pools": {"web": {**CONTROLLED, **(pool or {}), "backends": [
                {"name": f"b{i + 1}", **(b if isinstance(b, dict) else
                                         {"address": getattr(b, "target", b)})}
                for i, b in enumerate(backends)]}},
        }
        self.daemon = shuntd(self.config, start=start, **(daemon or {}))

    def connect(self, **kw):
        return connect(self.port, self.addr, **kw)

    def ask(self, request, no_body=False):
        with self.connect() as peer:
            return peer.ask(request, no_body)

    def counter(self, name):
        """Of the service."""
        shown = self.daemon.ctl_json("service", "show", "web")
        return (shown["relay"] or shown["http"])[name]

    def cpu_seconds(self):
        """What the daemon has used so far."""
        with open(f"/proc/{self.daemon.proc.pid}/stat", encoding="ascii") as f:
            fields = f.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self):
        """Bytes that the daemon has of its own; 0 with a sanitizer, which keeps what was freed."""
        proc = f"/proc/{self.daemon.proc.pid}/"
        with open(proc + "maps", encoding="utf-8") as f:
            maps = f.read()
        if "libasan" in maps or "libtsan" in maps:
            return 0
        with open(proc + "status", encoding="ascii") as f:
            return next(int(line.split()[1]) << 10 for line in f if line.startswith("RssAnon:"))

    @staticmethod
    def wait(condition):
        wait_until(condition)

    def wait_counter(self, name, value):
        wait_until(lambda: self.counter(name) == value,
                   what=lambda: f"{name} to be {value}, not {self.counter(name)}")
