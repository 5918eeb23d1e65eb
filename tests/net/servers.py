#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""A backend that says who it is, over HTTP/1.1, TCP and UDP; one process, any number of listeners.

    servers.py --name b1 --control PATH [--http ADDR:PORT] [--tcp ADDR:PORT] [--udp ADDR:PORT] ...

TCP    sends "NAME\\n" to each new connection, then answers each line with "NAME LINE".
UDP    answers each datagram with "NAME DATAGRAM".
HTTP   every answer carries X-Backend: NAME. Targets:
         /                  "NAME\\n"
         /healthz           200, or what control said
         /bytes/N           N bytes of a known pattern, with Content-Length
         /chunked/N         the same, chunked, in pieces of 4096
         /hold/N            N bytes; the last one only after control said "release"
         /delay/MS          "NAME\\n" after MS milliseconds
         /status/N          an answer with this status
         /echo              the request's body, framed as it came
         /sink              {"bytes": n, "sha256": hex} of the request's body
         /headers           the request as JSON: method, target, headers as a list of pairs
         /close             "NAME\\n", and the connection is closed
         /abort/N           promises 2 N bytes, sends N, resets the connection
         /early             "NAME\\n" before the body is read, then closes
         /hang              no answer
Control (a unix socket, a JSON line each way, {"do": ...}):
         stats              counts so far, by kind
         health status=N    what /healthz answers from now on (0: no answer at all)
         release            lets /hold go on
         stall on=BOOL      stops (starts) reading request bodies
"""
import argparse
import asyncio
import hashlib
import json
import os
import socket
import struct
import sys

PATTERN = bytes(range(256)) * 256


def pattern(offset, length):
    """Bytes [offset, offset + length) of the endless pattern; at most 64 KiB at once."""
    start = offset % 256
    return (PATTERN + PATTERN[:256])[start:start + length]


class State:
    def __init__(self, name):
        self.name = name
        self.health = 200
        self.release = asyncio.Event()
        self.reading = asyncio.Event()
        self.reading.set()
        self.counts = dict(http_connections=0, http_requests=0, health_requests=0, http_open=0,
                           tcp_connections=0, tcp_open=0, tcp_lines=0, udp_datagrams=0, sent=0)


class Request:
    def __init__(self, method, target, version, headers):
        self.method, self.target, self.version, self.headers = method, target, version, headers

    def header(self, name, default=None):
        for key, value in self.headers:
            if key.lower() == name:
                return value
        return default


async def read_request(reader):
    """A Request, or None at the end of the connection."""
    try:
        block = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    lines = block.decode("latin-1").split("\r\n")
    method, target, version = lines[0].split(" ", 2)
    headers = [tuple(part.strip() for part in line.split(":", 1)) for line in lines[1:] if line]
    return Request(method, target, version, headers)


async def read_body(reader, req, state):
    """Yield the pieces of a request's body."""
    if (req.header("transfer-encoding") or "").lower() == "chunked":
        while True:
            await state.reading.wait()
            line = await reader.readline()
            if not line.endswith(b"\n"):
                raise ConnectionError("body ends early")
            size = int(line.split(b";")[0], 16)
            if size == 0:
                while (await reader.readline()).strip():
                    pass
                return
            yield await reader.readexactly(size)
            await reader.readexactly(2)
    left = int(req.header("content-length", "0"))
    while left:
        await state.reading.wait()
        piece = await reader.read(min(left, 65536))
        if not piece:
            raise ConnectionError("body ends early")
        left -= len(piece)
        yield piece


class Http:
    """One connection."""

    def __init__(self, state, reader, writer):
        self.state, self.reader, self.writer = state, reader, writer

    async def send(self, data):
        self.writer.write(data)
        self.state.counts["sent"] += len(data)
        await self.writer.drain()

    async def head(self, status, fields):
        lines = [f"HTTP/1.1 {status} Status", f"X-Backend: {self.state.name}", *fields]
        await self.send(("\r\n".join(lines) + "\r\n\r\n").encode())

    async def text(self, status, body, fields=()):
        if isinstance(body, str):
            body = body.encode()
        await self.head(status, [f"Content-Length: {len(body)}", *fields])
        if self.req.method != "HEAD":
            await self.send(body)

    async def pattern(self, count, hold=False):
        await self.head(200, [f"Content-Length: {count}"])
        if self.req.method == "HEAD":
            return
        sent, until = 0, count - 1 if hold else count
        while sent < until:
            piece = pattern(sent, min(65536, until - sent))
            await self.send(piece)
            sent += len(piece)
        if hold:
            await self.state.release.wait()
            await self.send(pattern(sent, 1))

    async def chunked(self, count):
        await self.head(200, ["Transfer-Encoding: chunked"])
        sent = 0
        while sent < count:
            piece = pattern(sent, min(4096, count - sent))
            await self.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            sent += len(piece)
        await self.send(b"0\r\n\r\n")

    async def echo(self):
        if (self.req.header("transfer-encoding") or "").lower() == "chunked":
            await self.head(200, ["Transfer-Encoding: chunked"])
            async for piece in read_body(self.reader, self.req, self.state):
                await self.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            await self.send(b"0\r\n\r\n")
        else:
            await self.head(200, [f"Content-Length: {self.req.header('content-length', '0')}"])
            async for piece in read_body(self.reader, self.req, self.state):
                await self.send(piece)

    async def abort(self, count):
        await self.head(200, [f"Content-Length: {2 * count}"])
        await self.send(pattern(0, min(count, 65536)))
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def healthz(self):
        self.state.counts["health_requests"] += 1
        if self.state.health == 0:
            await asyncio.Event().wait()
        await self.text(self.state.health, self.state.name + "\n")

    async def answer(self):
        """Serve self.req; False where the connection must not be used again."""
        word, _, arg = self.req.target.lstrip("/").split("?")[0].partition("/")
        name = self.state.name + "\n"
        if word == "early":
            await self.text(200, name, ["Connection: close"])
            return False
        if word == "echo":
            await self.echo()
            return True
        digest, length = hashlib.sha256(), 0
        async for piece in read_body(self.reader, self.req, self.state):
            digest.update(piece)
            length += len(piece)
        if word == "sink":
            await self.text(200, json.dumps({"bytes": length, "sha256": digest.hexdigest()}))
        elif word == "healthz":
            await self.healthz()
        elif word == "bytes":
            await self.pattern(int(arg))
        elif word == "hold":
            await self.pattern(int(arg), hold=True)
        elif word == "chunked":
            await self.chunked(int(arg))
        elif word == "delay":
            await asyncio.sleep(int(arg) / 1000)
            await self.text(200, name)
        elif word == "status":
            await self.text(int(arg), name)
        elif word == "headers":
            await self.text(200, json.dumps({"method": self.req.method, "target": self.req.target,
                                             "version": self.req.version,
                                             "headers": self.req.headers}),
                            ["Content-Type: application/json"])
        elif word == "close":
            await self.text(200, name, ["Connection: close"])
            return False
        elif word == "abort":
            await self.abort(int(arg))
            return False
        elif word == "hang":
            await asyncio.Event().wait()
        else:
            await self.text(200, name)
        return (self.req.header("connection") or "").lower() != "close"

    async def serve(self):
        counts = self.state.counts
        counts["http_connections"] += 1
        counts["http_open"] += 1
        try:
            while True:
                self.req = await read_request(self.reader)
                if self.req is None:
                    break
                counts["http_requests"] += 1
                if self.req.header("expect"):
                    await self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
                if not await self.answer():
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client went away: its right
        finally:
            counts["http_open"] -= 1
            self.writer.close()


class Udp(asyncio.DatagramProtocol):
    def __init__(self, state):
        self.state = state

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.state.counts["udp_datagrams"] += 1
        self.transport.sendto(self.state.name.encode() + b" " + data, addr)


async def serve_tcp(state, reader, writer):
    counts = state.counts
    counts["tcp_connections"] += 1
    counts["tcp_open"] += 1
    name = state.name.encode()
    try:
        writer.write(name + b"\n")
        while True:
            line = await reader.readline()
            if not line:
                break
            counts["tcp_lines"] += 1
            writer.write(name + b" " + line)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        counts["tcp_open"] -= 1
        writer.close()


async def serve_control(state, reader, writer):
    while line := await reader.readline():
        ask = json.loads(line)
        if ask["do"] == "health":
            state.health = ask["status"]
        elif ask["do"] == "release":
            state.release.set()
        elif ask["do"] == "stall":
            state.reading.clear() if ask["on"] else state.reading.set()
        writer.write(json.dumps(state.counts).encode() + b"\n")
        await writer.drain()
    writer.close()


def split(text):
    addr, _, port = text.rpartition(":")
    return addr.strip("[]"), int(port)


async def main(args):
    state = State(args.name)
    loop = asyncio.get_running_loop()
    keep = []
    for text in args.http:
        keep.append(await asyncio.start_server(
            lambda r, w: Http(state, r, w).serve(), *split(text), backlog=4096, limit=1 << 18))
    for text in args.tcp:
        keep.append(await asyncio.start_server(
            lambda r, w: serve_tcp(state, r, w), *split(text), backlog=4096))
    for text in args.udp:
        keep.append(await loop.create_datagram_endpoint(lambda: Udp(state),
                                                        local_addr=split(text)))
    # Last: where it is, everything else listens.
    keep.append(await asyncio.start_unix_server(lambda r, w: serve_control(state, r, w),
                                                args.control + ".new"))
    os.rename(args.control + ".new", args.control)
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", required=True)
    parser.add_argument("--control", required=True)
    for kind in ("http", "tcp", "udp"):
        parser.add_argument("--" + kind, action="append", default=[])
    try:
        asyncio.run(main(parser.parse_args()))
    except KeyboardInterrupt:
        sys.exit(0)
