# SPDX-License-Identifier: BSD-2-Clause
"""Network namespaces, links and processes for the tests in this folder.

The standard topology (Topology below), every link a veth pair, every box a namespace:

    client --- router --- balancer          service addresses: 203.0.113.0/24 and
                 |                          2001:db8:113::/64, routed by router to balancer
                 +--- b1, b2, ...           (and on the lo of each backend)

A request goes client -> router -> balancer -> router -> backend (encapsulated from the balancer
on), its answer backend -> router -> client.

Names carry the process id and a counter, so that several runs live beside each other. Whatever is
made through a Lab is gone after Lab.close(), also when a step in between failed.
"""
import contextlib
import ctypes
import itertools
import json
import os
import re
import shutil
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(ROOT, os.environ.get("SHUNT_BUILD", "build"))
BPFFS = "/sys/fs/bpf"
PYTHON = "/usr/bin/python3"
# A machine under load, or one that is emulated, gets more time for the same thing.
PATIENCE = float(os.environ.get("SHUNT_TEST_PATIENCE", "1"))
TIMEOUT_S = 60 * PATIENCE  # for what comes in the end, however slow the machine

# Below a pin path, everything is in here.
with open(os.path.join(ROOT, "bpf/abi.h"), encoding="utf-8") as _abi:
    PIN_DIR = "v" + re.search(r"define SHUNT_ABI_VERSION (\d+)", _abi.read()).group(1)

TUNNEL_MTU = 1600  # a whole inner packet of 1500 bytes and its outer header fit

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_counter = itertools.count(1)


def unique(word):
    """A name that no other test, worker or run uses now."""
    return f"shunt-{os.getpid()}-{next(_counter)}-{word}"


def sweep_dead_runs():
    """Remove what killed runs left: things of unique() whose process is gone."""
    def is_dead(name):
        match = re.match(r"shunt-(\d+)-\d+-", name)
        return match and not os.path.exists(f"/proc/{match.group(1)}")

    for name in filter(is_dead, _entries("/run/netns")):
        subprocess.run(["ip", "netns", "del", name], check=False, stderr=subprocess.DEVNULL)
    for name in filter(is_dead, _entries(BPFFS)):
        shutil.rmtree(f"{BPFFS}/{name}", ignore_errors=True)
    for name in filter(is_dead, _entries(tempfile.gettempdir())):
        shutil.rmtree(os.path.join(tempfile.gettempdir(), name), ignore_errors=True)


def _entries(path):
    return os.listdir(path) if os.path.isdir(path) else []


def binary(name):
    return os.path.join(BUILD, name)


def wait_until(condition, timeout=20.0, what=None, interval=0.02):
    """The first true result of condition(). Raises AssertionError after timeout seconds."""
    deadline = time.monotonic() + timeout * PATIENCE
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() >= deadline:
            text = what() if callable(what) else what
            raise AssertionError(f"waited {timeout * PATIENCE:g} s for {text or condition}")
        time.sleep(interval)


def _kernel_has(what):
    """Of what `shunt-load probe` lists. The stock kernels of vm/ have it all, so there nobody is
    asked."""
    if os.environ.get("SHUNT_VM"):
        return True
    try:
        done = subprocess.run([binary("shunt-load"), "probe", "-o", "json"], capture_output=True,
                              check=False)
        items = {item["name"]: item["ok"] for item in json.loads(done.stdout)}
    except (OSError, ValueError):
        return False
    return items.get(what, False)


def kernel_has_dispatcher():
    """Can this kernel run several XDP programs on one interface?"""
    return _kernel_has("xdp-dispatcher")


def kernel_has_tracing():
    """Can it call a program where another one begins and ends?"""
    return _kernel_has("tracing")


def mount_bpffs():
    if not os.path.ismount(BPFFS):
        subprocess.run(["mount", "-t", "bpf", "bpf", BPFFS], check=True)


@contextlib.contextmanager
def _inside(path):
    """This thread is in another network namespace, and with it what it starts meanwhile. Mounts are
    left alone, other than by `ip netns exec`: /sys/fs/bpf is the same inside and outside."""
    with open("/proc/thread-self/ns/net", "rb") as home, open(path, "rb") as there:
        _setns(there)
        try:
            yield
        finally:
            _setns(home)


def _setns(namespace):
    if _libc.setns(namespace.fileno(), CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def _ip(lines, force=False):
    """Several `ip` commands by one process. force: the others too if one fails."""
    argv = ["ip", "-force"] if force else ["ip"]
    subprocess.run([*argv, "-batch", "-"], input="\n".join(lines) + "\n", text=True,
                   check=not force, stderr=subprocess.DEVNULL if force else None)


class Namespace:
    """A named network namespace, and what is started in it."""

    def __init__(self, lab, name):
        self.lab = lab
        self.short = name
        self.name = unique(name)
        self.path = f"/run/netns/{self.name}"
        self.addr4 = self.addr6 = None  # the address that others reach it by
        _ip([f"netns add {self.name}"])
        self.ip("link set lo up")
        self.sysctl({
            "net.ipv4.conf.all.rp_filter": 0, "net.ipv4.conf.default.rp_filter": 0,
            "net.ipv6.conf.all.accept_dad": 0, "net.ipv6.conf.default.accept_dad": 0,
            "net.ipv6.conf.all.accept_ra": 0, "net.ipv6.conf.default.accept_ra": 0,
        })

    def start(self, argv, **kw):
        """A subprocess.Popen that nobody ends."""
        with _inside(self.path):
            return subprocess.Popen(argv, **kw)

    def run(self, argv, check=True, timeout=60, **kw):
        """Run to its end; a CompletedProcess with stdout and stderr as text."""
        kw.setdefault("stdout", subprocess.PIPE)
        kw.setdefault("stderr", subprocess.PIPE)
        with _inside(self.path):
            done = subprocess.run(argv, text=True, timeout=timeout * PATIENCE, check=False, **kw)
        if check and done.returncode:
            raise AssertionError(f"{self.short}: {' '.join(argv)}: exit {done.returncode}\n"
                                 f"{done.stdout}{done.stderr}")
        return done

    def popen(self, argv, **kw):
        """Start; ended by Lab.close() at the latest."""
        return self.lab.popen(argv, ns=self, **kw)

    def ip(self, *lines):
        """Several `ip` commands at once."""
        self.run(["ip", "-batch", "-"], input="\n".join(lines) + "\n")

    def sysctl(self, values):
        with _inside(self.path):
            for key, value in values.items():
                with open("/proc/sys/" + key.replace(".", "/"), "w", encoding="ascii") as f:
                    f.write(str(value))

    def link_counters(self, ifname):
        """What the kernel counts for an interface: {"rx_packets": n, ...}."""
        out = self.run(["ip", "-j", "-s", "link", "show", "dev", ifname]).stdout
        stats = json.loads(out)[0]["stats64"]
        return {f"{way}_{key}": n for way in stats for key, n in stats[way].items()}


class Lab:
    """Owner of namespaces, processes and a scratch directory."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix=unique("test") + "-")
        self.namespaces = []
        self.processes = []
        self._cleanups = contextlib.ExitStack()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def at_close(self, function, *args):
        """Call function(*args) at close, before namespaces go; the last one registered first."""
        self._cleanups.callback(function, *args)

    def close(self):
        try:
            self._cleanups.close()
        finally:
            for proc in self.processes:
                _end(proc)
            if self.namespaces:
                _ip([f"netns del {ns.name}" for ns in self.namespaces], force=True)
            shutil.rmtree(self.dir, ignore_errors=True)

    def path(self, name):
        """A path in the scratch directory, short enough for a unix socket."""
        return os.path.join(self.dir, name)

    def namespace(self, name):
        ns = Namespace(self, name)
        self.namespaces.append(ns)
        return ns

    def popen(self, argv, ns=None, **kw):
        proc = ns.start(argv, **kw) if ns else subprocess.Popen(argv, **kw)
        self.processes.append(proc)
        return proc

    @staticmethod
    def link(a, a_if, b, b_if, mtu=1500, a_lines=(), b_lines=()):
        """A veth pair from a to b, up on both ends, and then further `ip` commands there."""
        _ip([f"link add {a_if} netns {a.name} mtu {mtu} type veth "
             f"peer name {b_if} netns {b.name} mtu {mtu}"])
        a.ip(f"link set {a_if} up", *a_lines)
        b.ip(f"link set {b_if} up", *b_lines)


def _end(proc):
    """End a process of ours and reap it."""
    if proc.poll() is None:
        proc.terminate()
        try:
            proc.wait(timeout=5)
        except subprocess.TimeoutExpired:
            proc.kill()
            proc.wait()
    for stream in (proc.stdin, proc.stdout, proc.stderr):
        if stream:
            with contextlib.suppress(OSError):
                stream.close()


class Topology:
    """The drawing above. Members: client (= clients[0]), router, balancer, backends (a dict by
    name: b1, b2, ...); each has addr4 and addr6. The balancer's interface is eth0."""

    VIP4 = "203.0.113."
    VIP6 = "2001:db8:113::"

    def __init__(self, lab, clients=1, backends=2):
        self.lab = lab
        self.router = lab.namespace("router")
        self.router.sysctl({"net.ipv4.ip_forward": 1, "net.ipv6.conf.all.forwarding": 1})
        self.clients = []
        for i in range(1, clients + 1):
            self.clients.append(self._box(f"client{i}", f"c{i}", 10, i, 1500))
        self.client = self.clients[0]
        self.balancer = self._box("balancer", "lb", 20, 1, TUNNEL_MTU)
        self.backends = {}
        for i in range(1, backends + 1):
            self.add_backend(f"b{i}")
        self._steer_to_balancer()

    def _box(self, name, router_if, net, number, mtu):
        """A namespace behind an interface of the router, with a default route through it."""
        ns = self.lab.namespace(name)
        prefix4, prefix6 = f"10.{net}.{number}.", f"fd00:{net}:{number}::"
        ns.addr4, ns.addr6 = prefix4 + "2", prefix6 + "2"
        self.lab.link(
            ns, "eth0", self.router, router_if, mtu,
            (f"addr add {ns.addr4}/24 dev eth0", f"addr add {ns.addr6}/64 dev eth0 nodad",
             f"route add default via {prefix4}1", f"route add ::/0 via {prefix6}1"),
            (f"addr add {prefix4}1/24 dev {router_if}",
             f"addr add {prefix6}1/64 dev {router_if} nodad"))
        return ns

    def _steer_to_balancer(self):
        """XDP_TX reaches the other end of a veth pair only where that end runs XDP too; and XDP
        takes packets as they stand, with checksums that veth would leave to hardware."""
        prog = os.path.join(BUILD, "tests/net/xdp_pass.bpf.o")
        self.router.ip(f"link set dev lb xdpdrv object {prog} section xdp")
        self.router.run(["ethtool", "-K", "lb", "tx", "off"])
        self.router.ip(f"route add {self.VIP4}0/24 via {self.balancer.addr4}",
                       f"route add {self.VIP6}/64 via {self.balancer.addr6}")

    def add_backend(self, name):
        """A host that may serve any address of the service prefixes; see serve_vips()."""
        ns = self._box(name, name, 30, len(self.backends) + 1, TUNNEL_MTU)
        # Segments to the client leave with 1500 bytes: the larger MTU is for what comes in.
        ns.ip(f"route change default via {self.router_address(ns, 4)} mtu lock 1500",
              f"route change ::/0 via {self.router_address(ns, 6)} mtu lock 1500")
        ns.sysctl({"net.ipv4.conf.all.arp_ignore": 1, "net.ipv4.conf.all.arp_announce": 2})
        self.backends[name] = ns
        return ns

    @staticmethod
    def router_address(ns, family):
        """The router's address on the link to a box: the box's own with 1 for 2 at the end."""
        return (ns.addr4 if family == 4 else ns.addr6)[:-1] + "1"

    def vip4(self, last):
        return f"{self.VIP4}{last}"

    def vip6(self, last):
        return f"{self.VIP6}{last}"

    def serve_vips(self, *vips, backends=None, decap=True):
        """Put the service addresses on lo and the decapsulation on eth0 of the backends."""
        # Without nodad an address cannot be bound to for a moment, on lo too.
        lines = [f"addr add {vip}/128 dev lo nodad" if ":" in vip else f"addr add {vip}/32 dev lo"
                 for vip in vips]
        for name in backends or self.backends:
            ns = self.backends[name]
            ns.ip(*lines)
            if decap:
                self._decapsulate(ns, vips)

    def _decapsulate(self, ns, vips):
        where = ["-i", "eth0", "--pin-path", f"{BPFFS}/{unique('decap')}"]
        services = [arg for vip in vips for arg in ("--service", vip)]
        ns.run([binary("shunt-decap"), "attach", *where, *services])
        self.lab.at_close(ns.run, [binary("shunt-decap"), "detach", *where])
