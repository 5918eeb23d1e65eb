# SPDX-License-Identifier: BSD-2-Clause
"""Fixtures: factories whose products are gone when the test ends. See README.md one folder up."""
import os
import socket
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

# pylint: disable=wrong-import-position
import admin_http
import certs
from daemon import Backend, Client, Daemon
from l4 import L4
from http1 import Proxy, Script, answer_ok
from lab import Lab, Topology, mount_bpffs, sweep_dead_runs
from nat import Nat


@pytest.fixture(scope="session", autouse=True)
def machine():
    if os.geteuid() != 0:
        pytest.exit("these tests make network namespaces and load programs: run them as root", 2)
    mount_bpffs()
    sweep_dead_runs()


@pytest.fixture
def lab():
    """Namespaces, links, processes, scratch files by hand."""
    with Lab() as owner:
        yield owner


@pytest.fixture
def topology(lab):
    """topology(clients=1, backends=2) -> Topology"""
    return lambda **kw: Topology(lab, **kw)


@pytest.fixture
def shuntd(lab):
    """shuntd(config, ns=None, ...) -> Daemon, ready. start=False: not started."""
    def make(config, ns=None, start=True, **kw):
        daemon = Daemon(lab, config, ns=ns, **kw)
        return daemon.start() if start else daemon
    return make


@pytest.fixture
def backend(lab):
    """backend(name, ns=None, http=["ADDR:PORT"], tcp=[...], udp=[...]) -> Backend, listening"""
    return lambda name, **kw: Backend(lab, name, **kw)


@pytest.fixture
def client(lab):
    """client(verb, target, ..., ns=None) -> Client"""
    return lambda *args, **kw: Client(lab, *args, **kw)


@pytest.fixture
def l4(topology, shuntd, backend):
    """l4(backends=3, weights={...}, outer=4, pool={...}, service={...}, node={...}, spare=0) -> L4,
    steering. spare: backends that serve and are not in the configuration. decap=False: the test
    itself unpacks on the backends."""
    def make(backends=3, spare=0, start=True, daemon=None, decap=True, **kw):
        net = topology(backends=backends + spare)
        kw.setdefault("weights", {f"b{i}": 1 for i in range(1, backends + 1)})
        made = L4(net, **kw)
        made.serve(backend, decap=decap)
        made.daemon = shuntd(made.config(), ns=net.balancer, start=start, **(daemon or {}))
        return made
    return make


@pytest.fixture
def nat(topology, shuntd, backend):
    """nat(backends=2, source=None, pool={...}, service={...}) -> Nat, steering."""
    def make(backends=2, start=True, **kw):
        made = Nat(topology(backends=backends), **kw)
        made.serve(backend)
        made.daemon = shuntd(made.config(), ns=made.net.balancer, start=start)
        return made
    return make


@pytest.fixture
def free_port():
    """free_port() -> a TCP port of loopback that nobody used, each time another one."""
    held = []

    def pick(addr="127.0.0.1"):
        sock = socket.socket(socket.AF_INET6 if ":" in addr else socket.AF_INET)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((addr, 0))
        held.append(sock)
        return sock.getsockname()[1]
    yield pick
    for sock in held:
        sock.close()


@pytest.fixture
def http_proxy(shuntd, free_port):
    """http_proxy(serve, ..., addr=..., **service) -> Proxy in front of one scripted backend for
    each serve (http1.Script), or of what backends= says. An error in a script fails the test."""
    made = []

    def make(*serves, addr="127.0.0.1", backends=None, **kw):
        scripts = [] if backends else [Script(serve, addr) for serve in serves or (answer_ok,)]
        made.extend(scripts)
        proxy = Proxy(shuntd, free_port, backends or scripts, addr=addr, **kw)
        proxy.scripts = scripts
        return proxy
    yield make
    for script in made:
        script.close()
    assert not [error for script in made for error in script.errors]


@pytest.fixture
def ca(lab):
    """Signs certificates: ca.issue("example.org") -> {cert: PATH, key: PATH}"""
    return certs.Authority(lab.path("ca"))


@pytest.fixture
def tls_proxy(http_proxy, ca):
    """As http_proxy(); clients speak TLS: proxy.open(context=None, name="example.org") -> Peer."""
    def make(*serves, tls=None, **kw):
        tls = {"certificates": [ca.issue("example.org")], **(tls or {})}
        proxy = http_proxy(*serves, tls=tls, **kw)
        proxy.open = lambda context=None, **more: certs.connect(
            proxy.port, context or ca.context(), addr=proxy.addr, **more)
        return proxy
    return make


@pytest.fixture
def admin(http_proxy, free_port):
    """admin(*serves, admin={...}, ...) -> Admin, at 127.0.0.1."""
    def make(*serves, admin=None, start=True, change=None, **kw):
        proxy = http_proxy(*serves, start=False, **kw)
        port = free_port()
        proxy.config["admin"] = {"http": f"127.0.0.1:{port}", **(admin or {})}
        if change:
            change(proxy.config)
        proxy.daemon.write_config(proxy.config)
        if start:
            proxy.daemon.start()
        return admin_http.Admin(proxy, port)
    return make


@pytest.fixture
def token_file(tmp_path):
    path = tmp_path / "token"
    path.write_text(admin_http.TOKEN + "\n")
    path.chmod(0o600)
    return str(path)


@pytest.fixture
def servers(backend, free_port):
    """servers(3) -> PORT: 127.0.9.1 to 127.0.9.3 answer there with their names, b1 to b3"""
    def make(count):
        port = free_port()
        for i in range(1, count + 1):
            backend(f"b{i}", http=[f"127.0.9.{i}:{port}"])
        return port
    return make
