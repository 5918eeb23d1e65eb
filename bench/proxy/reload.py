#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""New configurations under traffic: what do clients notice?

Every 200 ms each proxy in turn gets another configuration (the weights of its backends change) and
reads it in its own way, while clients ask by HTTP/1.1 on kept connections and by HTTP/2, and talk
on WebSockets and TCP connections that they never close. Shunt steers packets of TCP and UDP flows
to backends beside that. An error is a request without its answer, a lost connection one of those
that were to stay. nginx of Debian's nginx-light has no TCP proxy."""
import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time

import run
from common import BenchError, cpu_model, run_main, shunt_version, write_json
from daemon import Backend, Client, Daemon
from h2peer import ACK, DATA, END_STREAM, GOAWAY, HEADERS, PING, RST_STREAM, WINDOW_UPDATE, \
    RawH2, frame
from http1 import OK, Script, connect
from l4 import L4
from lab import PYTHON, Lab, Topology, wait_until

EVERY_S = 0.2
HTTP, HTTP2, TCP = 8001, 8002, 8003  # ports, of whichever proxy it is
BACKENDS = (9101, 9102)
ECHO = 9103
LANES = {"http1": 8, "http2": 4, "websocket": 4, "tcp": 4}
WEBSOCKET = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
SWITCH = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" \
    "Sec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=\r\n\r\n"  # to that key

NGINX = """
daemon off;
user root;
worker_processes 1;
pid {dir}/nginx.pid;
error_log {dir}/nginx.log error;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    keepalive_requests 1000000000;
    proxy_http_version 1.1;
    upstream origin {{ {servers} keepalive 64; }}
    server {{
        listen 127.0.0.1:{http};
        location / {{ proxy_pass http://origin; proxy_set_header Connection ""; }}
        location /ws {{
            proxy_pass http://origin;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
            proxy_read_timeout 10m;
        }}
    }}
    server {{
        listen 127.0.0.1:{http2} http2;
        location / {{ proxy_pass http://origin; proxy_set_header Connection ""; }}
    }}
}}
"""

HAPROXY = """
global
    nbthread 1
    stats socket {dir}/haproxy.sock level admin expose-fd listeners
defaults
    mode http
    timeout connect 3s
    timeout client 60s
    timeout server 30s
    timeout tunnel 10m
frontend clients
    bind 127.0.0.1:{http}
    default_backend origin
frontend streams
    bind 127.0.0.1:{http2} proto h2
    default_backend origin
backend origin
{servers}
frontend bytes
    mode tcp
    bind 127.0.0.1:{tcp}
    default_backend echo
backend echo
    mode tcp
    timeout server 10m
    server echo 127.0.0.1:{echo}
"""


# ---- clients, in a process of their own


class Lane(threading.Thread):
    """One client, which goes on until the end."""
    port = HTTP

    def __init__(self, end):
        super().__init__()
        self.end, self.done, self.errors, self.lost, self.kinds = end, 0, 0, 0, {}
        self.start()

    def goes_on(self):
        return time.monotonic() < self.end

    def session(self):
        """One connection; returns when it may end."""
        raise NotImplementedError

    def run(self):
        while self.goes_on():
            try:
                self.session()
            except Exception as exc:  # pylint: disable=broad-except
                self.errors += 1
                self.lost += self.is_kept
                kind = type(exc).__name__
                self.kinds[kind] = self.kinds.get(kind, 0) + 1
                time.sleep(0.02)

    is_kept = False


class Http1(Lane):
    def session(self):
        with connect(self.port) as peer:
            again = True
            while again and self.goes_on():
                reply = peer.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                if reply.status != 200:
                    raise ValueError(f"status {reply.status}")
                self.done += 1
                again = reply.get("Connection", "").lower() != "close"


class Http2(Lane):
    port = HTTP2

    def request(self, raw, stream):
        """May there be another one on this connection?"""
        raw.headers(stream, [(":method", "GET"), (":scheme", "http"), (":path", "/"),
                             (":authority", "a")])
        again = True
        while got := raw.next():
            if got.kind == PING and not got.flags & ACK:
                raw.send(frame(PING, ACK, 0, got.payload))
            elif got.kind == GOAWAY:
                again = False
                # Not looked at: it may be sent again.
                if int.from_bytes(got.payload[:4], "big") & 0x7fffffff < stream:
                    return False
            elif got.kind == HEADERS and got.stream == stream:
                if dict(raw.fields(got))[":status"] != "200":
                    raise ValueError("status")
            elif got.kind == RST_STREAM and got.stream == stream:
                raise ValueError("reset")
            elif got.kind == DATA and got.flags & END_STREAM and got.stream == stream:
                self.done += 1
                return again
        raise EOFError("no answer")

    def session(self):
        with RawH2(connect(self.port)) as raw:
            raw.send(frame(WINDOW_UPDATE, 0, 0, bytes([0x40, 0, 0, 0])))  # for all that may come
            stream = 1
            while self.goes_on() and self.request(raw, stream):
                stream += 2


class Kept(Lane):
    """A connection that stays: what is said on it comes back."""
    is_kept = True

    def begin(self, peer):
        pass

    def session(self):
        with connect(self.port) as peer:
            self.begin(peer)
            number = 0
            while self.goes_on():
                text = b"%8d" % number
                peer.send(text.decode())
                if peer.exactly(len(text)) != text:
                    raise ValueError("other bytes came back")
                self.done += 1
                number += 1
                time.sleep(0.01)


class WebSocket(Kept):
    def begin(self, peer):
        peer.send(WEBSOCKET)
        if peer.head().status != 101:
            raise ValueError("no switch")


class Tcp(Kept):
    port = TCP


def ask(seconds, names):
    end = time.monotonic() + seconds
    kinds = {"http1": Http1, "http2": Http2, "websocket": WebSocket, "tcp": Tcp}
    lanes = {name: [kinds[name](end) for _ in range(LANES[name])] for name in names}
    print("ready", flush=True)
    said = {}
    for name, members in lanes.items():
        for lane in members:
            lane.join()
        errors = {}
        for lane in members:
            for kind, count in lane.kinds.items():
                errors[kind] = errors.get(kind, 0) + count
        said[name] = {"done": sum(lane.done for lane in members),
                      "errors": sum(lane.errors for lane in members), "kinds": errors}
        if members[0].is_kept:
            said[name]["lost"] = sum(lane.lost for lane in members)
    print(json.dumps(said), flush=True)


# ---- backends, in a process of their own


def serve_backends():
    def say_back(peer):
        peer.sock.settimeout(None)
        while peer.buffer or peer.fill():
            peer.send(peer.take(len(peer.buffer)))

    def behave(peer):
        peer.sock.settimeout(None)
        while True:
            if peer.message().get("Upgrade"):
                peer.send(SWITCH)
                say_back(peer)
                return
            peer.send(OK)
    for port in BACKENDS:
        Script(behave, port=port)
    Script(say_back, port=ECHO)
    print("ready", flush=True)
    sys.stdin.read()


# ---- the proxies


class Target:
    lanes = ["http1", "http2", "websocket", "tcp"]

    def __init__(self, lab, net):
        self.lab, self.ns, self.proc = lab, net.balancer, None
        self.start()
        wait_until(self.listens, 20, what="the proxy to listen")

    def start(self):
        raise NotImplementedError

    def listens(self):
        return f":{HTTP} " in self.ns.run(["ss", "-Hltn"]).stdout

    def write(self, name, text):
        path = self.lab.path(name)
        with open(path + ".new", "w", encoding="ascii") as file:
            file.write(text)
        os.rename(path + ".new", path)
        return path

    def reload(self, number):
        raise NotImplementedError

    def finish(self):
        """Numbers of its own."""
        return {}


class Nginx(Target):
    lanes = ["http1", "http2", "websocket"]

    def config(self, number):
        servers = " ".join(f"server 127.0.0.1:{p} weight={1 + (number + i) % 2};"
                           for i, p in enumerate(BACKENDS))
        return self.write("nginx.conf", NGINX.format(dir=self.lab.dir, servers=servers, http=HTTP,
                                                     http2=HTTP2))

    def start(self):
        self.proc = self.ns.popen(["nginx", "-c", self.config(0)], stdin=subprocess.DEVNULL)

    def reload(self, number):
        self.config(number)
        self.proc.send_signal(signal.SIGHUP)

    def finish(self):
        self.proc.terminate()
        return {}


class Haproxy(Target):
    def config(self, number):
        servers = "\n".join(f"    server b{p} 127.0.0.1:{p} weight {1 + (number + i) % 2}"
                            for i, p in enumerate(BACKENDS))
        return self.write("haproxy.cfg", HAPROXY.format(
            dir=self.lab.dir, servers=servers, http=HTTP, http2=HTTP2, tcp=TCP, echo=ECHO))

    def start(self):
        self.proc = self.ns.popen(["haproxy", "-q", "-W", "-db", "-f", self.config(0)],
                                  stdin=subprocess.DEVNULL)

    def reload(self, number):
        self.config(number)
        self.proc.send_signal(signal.SIGUSR2)

    def finish(self):
        self.proc.terminate()
        return {}


class Shunt(Target):
    def __init__(self, lab, net):
        self.l4 = L4(net)
        self.l4.serve(lambda name, **kw: Backend(lab, name, **kw))
        self.daemon = self.steady = None
        super().__init__(lab, net)

    def config(self, number):
        config = self.l4.config()
        for i, row in enumerate(config["pools"]["echo"]["backends"]):
            row["weight"] = 1 + (number + i) % 2
        config["pools"]["origin"] = {"health": "none", "backends": [
            {"name": f"b{p}", "address": f"127.0.0.1:{p}", "weight": 1 + (number + i) % 2}
            for i, p in enumerate(BACKENDS)]}
        config["pools"]["bytes"] = {"health": "none", "backends": [
            {"name": "echo", "address": f"127.0.0.1:{ECHO}"}]}
        for name, port, mode, pool in (("web", HTTP, "http", "origin"),
                                       ("streams", HTTP2, "http", "origin"),
                                       ("bytes", TCP, "tcp", "bytes")):
            config["services"][name] = {"listen": [f"127.0.0.1:{port}/tcp"], "mode": mode,
                                        "pool": pool}
        config["services"]["streams"]["http2"] = "on"
        return config

    def start(self):
        self.daemon = Daemon(self.lab, self.config(0), ns=self.ns).start()
        self.l4.daemon = self.daemon
        self.steady = Client(self.lab, "steady", self.l4.target(4), "--flows", 20, "--rate", 500,
                             ns=self.l4.net.client)
        assert self.steady.result()["ready"] == 40

    def reload(self, number):
        self.daemon.write_config(self.config(number))
        self.daemon.signal(signal.SIGHUP)

    def finish(self):
        result = self.steady.finish()
        steered = {"done": result["tcp_back"] + result["udp_back"],
                   "errors": sum(result["errors"].values()) + result.get("moved", 0) +
                   result["tcp_sent"] - result["tcp_back"] +
                   result["udp_sent"] - result["udp_back"], "kinds": result["errors"]}
        done = {"steered": steered, "generations": self.daemon.generation()}
        assert self.daemon.terminate() == 0
        return done


TARGETS = {"shunt": Shunt, "nginx": Nginx, "haproxy": Haproxy}


def measure_one(name, options):
    with Lab() as lab:
        net = Topology(lab, backends=2)
        ns = net.balancer
        backends = ns.popen([PYTHON, __file__, "--serve"], text=True, stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE)
        assert backends.stdout.readline() == "ready\n"
        target = TARGETS[name](lab, net)
        clients = ns.popen([PYTHON, __file__, "--ask", ",".join(target.lanes), "--seconds",
                            str(options.seconds)], text=True, stdout=subprocess.PIPE)
        assert clients.stdout.readline() == "ready\n"
        began, reloads = time.monotonic(), 0
        while (now := time.monotonic() - began) < options.seconds - EVERY_S:
            if now < reloads * EVERY_S:
                time.sleep(reloads * EVERY_S - now)
            reloads += 1
            target.reload(reloads)
        said = json.loads(clients.stdout.readline())
        return {"reloads": reloads, "lanes": said, **target.finish()}


def table(rows):
    yield f"{'':10}{'':12}{'answers':>10}{'errors':>8}{'lost connections':>18}"
    for name, row in rows.items():
        lanes = {**row["lanes"], **({"steered": row["steered"]} if "steered" in row else {})}
        for lane, said in lanes.items():
            yield (f"{name:10}{lane:12}{said['done']:>10,}{said['errors']:>8,}"
                   f"{said.get('lost', ''):>18}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="of each proxy (60)")
    parser.add_argument("--only", default=",".join(TARGETS), help="these proxies")
    parser.add_argument("--quick", action="store_true", help="does it run?")
    parser.add_argument("--json", metavar="FILE", help="write the result there too")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--ask", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve_backends()
        return
    if options.ask:
        ask(options.seconds, options.ask.split(","))
        return
    if options.quick:
        options.seconds = 3
    names = options.only.split(",")
    if set(names) - set(TARGETS):
        raise BenchError(f"no such proxy; known: {', '.join(TARGETS)}")
    run.need({name: package for name, package in (("haproxy", "haproxy"),
                                                  ("nginx", "nginx-light")) if name in names})
    rows = {name: measure_one(name, options) for name in names}
    print("\n".join(table(rows)))
    write_json(options.json, {"cpu": cpu_model(), "kernel": os.uname().release,
                              "version": shunt_version(), "seconds": options.seconds,
                              "every_ms": round(EVERY_S * 1e3), "results": rows})


if __name__ == "__main__":
    run_main(main)
