# SPDX-License-Identifier: BSD-2-Clause
"""The proxies that are compared, each set up for one scenario, and what they take.

All of them: one thread, the same waits, connections to the backend kept, no access log, the same
cipher suites in the same order, X-Forwarded-For, -Proto and -Host for the backend."""
import glob
import os
import resource
import subprocess

from common import BenchError
from daemon import Daemon
from lab import PATIENCE, binary, wait_until

RELAY = "bench/proxy/relay"
FRONT = {"shunt": 8001, "nginx": 8002, "haproxy": 8003, "floor": 8004, "before": 8005}  # ports
ORIGIN_PORT, GRPC_PORT = 9001, 9002
MAX_CLIENTS = 9000  # connections of clients that a proxy has room for
KEPT = 1024  # connections to the backend
SUITES = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
CIPHERS = ("ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
           "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384")
GRPC_PATH = "/bench/Unary"
NS_PER_S, KIB = 1e9, 1024

NGINX = """
daemon off;
user root;
worker_processes 1;
worker_rlimit_nofile {files};
pid {dir}/nginx.pid;
error_log {dir}/nginx.log warn;
events {{ worker_connections {connections}; }}
http {{
    access_log off;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    keepalive_timeout 60s;
    keepalive_requests 1000000000;
    client_header_timeout 10s;
    client_body_timeout 30s;
    send_timeout 30s;
    proxy_connect_timeout 3s;
    proxy_read_timeout 30s;
    proxy_send_timeout 30s;
    proxy_http_version 1.1;
    proxy_buffer_size 16k;
    proxy_buffers 8 {buffer};
    proxy_busy_buffers_size {busy};
    proxy_max_temp_file_size 0;
    {tls}
    upstream origin {{
        server 127.0.0.1:{origin};
        keepalive {kept};
        keepalive_requests 1000000000;
        keepalive_timeout 60s;
    }}
    upstream grpc {{
        server 127.0.0.1:{grpc};
        keepalive {kept};
        keepalive_requests 1000000000;
        keepalive_timeout 60s;
    }}
    server {{
        listen 127.0.0.1:{port}{listen} backlog=4096;
        location / {{
            proxy_pass http://origin;
            proxy_set_header Connection "";
            {headers}
        }}
        location /ws {{
            proxy_pass http://origin;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
            proxy_read_timeout 10m;
            {headers}
        }}
        location /bench/ {{
            grpc_pass grpc://grpc;
            {grpc_headers}
        }}
    }}
}}
"""
NGINX_TLS = """
    ssl_certificate {cert};
    ssl_certificate_key {key};
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_ciphers {ciphers};
    ssl_conf_command Ciphersuites {suites};
    ssl_ecdh_curve X25519:prime256v1:secp384r1;
    ssl_prefer_server_ciphers on;
    ssl_session_cache shared:all:10m;
"""

HAPROXY = """
global
    nbthread 1
    maxconn {clients}
    ulimit-n {files}
    no strict-limits
    ssl-default-bind-options ssl-min-ver TLSv1.2
    ssl-default-bind-ciphers {ciphers}
    ssl-default-bind-ciphersuites {suites}
defaults
    mode http
    option forwardfor
    http-reuse always
    timeout connect 3s
    timeout client 60s
    timeout server 30s
    timeout http-request 10s
    timeout http-keep-alive 60s
    timeout tunnel 10m
frontend clients
    bind 127.0.0.1:{port}{bind} backlog 4096
    http-request set-header X-Forwarded-Proto {proto}
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    default_backend origin
backend origin
    server origin 127.0.0.1:{backend} pool-purge-delay 60s
"""


class Lacking(Exception):
    """A proxy cannot do what a scenario asks for; the text is its own word for it."""


class Target:
    """One running proxy. bench: where it runs, and the certificates (see run.py)."""
    name = ""

    def __init__(self, bench, scenario):
        self.bench, self.lab, self.scenario = bench, bench.lab, scenario
        self.port = FRONT[self.name]
        self.proc = None

    def command(self):
        raise NotImplementedError

    def start(self):
        with open(self.lab.path(self.name + ".out"), "wb") as log:
            self.proc = self.bench.popen(self.command(), self.bench.options.proxy_cpu,
                                         stdout=log, stderr=log)
        wait_until(self.listens, 20, what=lambda: f"{self.name} to listen: {self.log()}")

    def log(self):
        text = ""
        for name in (".out", ".log"):
            path = self.lab.path(self.name + name)
            if os.path.exists(path):
                with open(path, encoding="utf-8", errors="replace") as file:
                    text += file.read()
        return text.strip()

    def listens(self):
        if self.proc.poll() is not None:
            raise BenchError(f"{self.name} ended with {self.proc.returncode}: {self.log()}")
        out = self.bench.ns.run(["ss", "-Hltn", "sport", "=", f":{self.port}"]).stdout
        return bool(out.strip())

    def files(self):
        """How many it may have open: two for each client, or as many as there may be."""
        return min(2 * self.bench.clients + KEPT, resource.getrlimit(resource.RLIMIT_NOFILE)[1])

    def path(self):
        """What clients ask for."""
        s = self.scenario
        return GRPC_PATH if s.front == "grpc" else f"/bytes/{s.body}"

    def url(self):
        return f"http{'s' if self.scenario.is_tls else ''}://127.0.0.1:{self.port}{self.path()}"

    # ---- what it takes
    def pids(self):
        found, todo = [], [self.proc.pid]
        while todo:
            pid = todo.pop()
            found.append(pid)
            for path in glob.glob(f"/proc/{pid}/task/*/children"):
                with open(path, encoding="ascii") as children:
                    todo += map(int, children.read().split())
        return found

    def cpu_ns(self):
        """Of all its threads, those of its children too. To the nanosecond, other than stat."""
        total = 0
        for pid in self.pids():
            for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
                with open(path, encoding="ascii") as stat:
                    total += int(stat.read().split()[0])
        return total

    def cpu_ticks(self):
        """(user, system), in units that only their ratio is good for."""
        user = system = 0
        for pid in self.pids():
            with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
                fields = stat.read().rsplit(")", 1)[1].split()
            user, system = user + int(fields[11]), system + int(fields[12])
        return user, system

    def memory(self):
        """Bytes of memory of its own that it has touched."""
        total = 0
        for pid in self.pids():
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as rollup:
                total += sum(int(line.split()[1]) * KIB for line in rollup
                             if line.startswith("Anonymous:"))
        return total


class Shunt(Target):
    name = "shunt"
    daemon = program = None

    def config(self):
        s = self.scenario
        backend = GRPC_PORT if s.front == "grpc" else ORIGIN_PORT
        pool = {"health": "none", "connect_timeout": "3s", "idle_timeout": "60s",
                "idle_connections": KEPT,
                "backends": [{"name": "origin", "address": f"127.0.0.1:{backend}"}]}
        service = {"listen": f"127.0.0.1:{self.port}/tcp", "mode": "http", "pool": "origin"}
        if s.front == "grpc":
            pool["protocol"] = "http2"
        if s.is_tls:
            service["tls"] = {"certificates": [self.bench.certificates[s.key]]}
        return {"node": {"workers": 1, "drain_timeout": "1s"}, "pools": {"origin": pool},
                "services": {"bench": service}}

    def start(self):
        pin = ["taskset", "-c", str(self.bench.options.proxy_cpu)]
        self.daemon = Daemon(self.lab, self.config(), ns=self.bench.ns, wrap=pin,
                             program=self.program)
        try:
            self.daemon.start()
        except AssertionError as exc:
            if self.daemon.proc.poll() is None:
                raise
            self.daemon.died_as_told = True
            raise Lacking(self.refusal()) from exc
        self.proc = self.daemon.proc

    def refusal(self):
        """The first error that it logged, without time and path."""
        lines = [line for line in self.log().splitlines() if " error " in line] or [self.log()]
        return lines[0].split(f"{self.daemon.config_path}:")[-1]

    def log(self):
        return self.daemon.log if self.daemon else ""


class Before(Shunt):
    """Another build, to see what a change does: --before."""
    name = "before"

    def start(self):
        self.program = self.bench.options.before
        super().start()


class Nginx(Target):
    name = "nginx"

    def command(self):
        s, headers = self.scenario, []
        for name, value in (("For", "$proxy_add_x_forwarded_for"), ("Proto", "$scheme"),
                            ("Host", "$http_host")):
            headers.append(f"proxy_set_header X-Forwarded-{name} {value};")
        headers.append("proxy_set_header Host $http_host;")
        listen = {"http": "", "https": " ssl"}.get(s.front, " ssl http2")
        tls = NGINX_TLS.format(ciphers=CIPHERS, suites=SUITES, **self.bench.certificates[s.key]) \
            if s.is_tls else ""
        text = NGINX.format(
            dir=self.lab.dir, files=self.files(), connections=2 * self.bench.clients,
            buffer="32k", busy="64k", tls=tls, origin=ORIGIN_PORT,
            grpc=GRPC_PORT, kept=KEPT, port=self.port, listen=listen, headers=" ".join(headers),
            grpc_headers=" ".join(headers).replace("proxy_set", "grpc_set"))
        return ["nginx", "-c", self.bench.write("nginx.conf", text)]


class Haproxy(Target):
    name = "haproxy"

    def command(self):
        s = self.scenario
        bind = ""
        if s.is_tls:
            pem = self.bench.certificates[s.key]
            both = ""
            for kind in ("cert", "key"):
                with open(pem[kind], encoding="ascii") as file:
                    both += file.read()
            alpn = "h2,http/1.1" if s.is_h2 else "http/1.1"
            bind = f" ssl crt {self.bench.write('haproxy.pem', both)} alpn {alpn}"
        backend = f"{GRPC_PORT} proto h2" if s.front == "grpc" else ORIGIN_PORT
        text = HAPROXY.format(clients=self.bench.clients, files=self.files(), ciphers=CIPHERS,
                              suites=SUITES, port=self.port, bind=bind, backend=backend,
                              proto="https" if s.is_tls else "http")
        return ["haproxy", "-db", "-f", self.bench.write("haproxy.cfg", text)]


class Floor(Target):
    """The relay. It closes nothing of itself, so the answer tells the client to."""
    name = "floor"

    def command(self):
        return [binary(RELAY), str(self.port), str(ORIGIN_PORT)]

    def path(self):
        return super().path().replace("bytes", "last") if self.scenario.last else super().path()


TARGETS = {cls.name: cls for cls in (Floor, Shunt, Before, Nginx, Haproxy)}


def ask(target, argv):
    """What a client of one request prints."""
    try:
        return target.bench.ns.run(argv).stdout
    except (AssertionError, subprocess.SubprocessError) as exc:
        raise BenchError(f"{target.name}, {target.scenario.name}: {exc}; its log: "
                         f"{target.log()}") from exc


def probe_call(target):
    """A gRPC call: its status is in the trailers, which curl does not show."""
    out = ask(target, ["nghttp", "-nv", "--timeout", f"{10 * PATIENCE:.0f}", "-d",
                       target.bench.message, "-H", "content-type: application/grpc", "-H",
                       "te: trailers", target.url()])
    said = [line.split(") ", 1)[-1] for line in out.splitlines() if "] recv (stream_id=" in line]
    if not said:
        raise Lacking(f"the client offered HTTP/2: {' '.join(out.split())[:200]}")
    if said[0] != ":status: 200" or said[-1] != "grpc-status: 0":
        raise Lacking(f"a call was answered with {', '.join(said)}")


def probe(target):
    """One request, to see that the answer is the one that will be measured. Raises Lacking where
    another protocol was agreed on."""
    s = target.scenario
    if s.front == "grpc":
        probe_call(target)
        return
    wanted = "2" if s.is_h2 else "1.1"
    out = ask(target, ["curl", "-sSk", "--max-time", str(10 * PATIENCE), "-o", "/dev/null", "-w",
                       "%{http_version} %{http_code} %{size_download}", f"--http{wanted}",
                       target.url()])
    version, status, size = out.split()
    if version != wanted:
        raise Lacking(f"the client offered HTTP/{wanted}, and HTTP/{version} was agreed on")
    if status != "200" or int(size) != s.body:
        raise BenchError(f"{target.name}, {s.name}: status {status}, {size} bytes")
