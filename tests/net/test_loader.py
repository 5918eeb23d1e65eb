# SPDX-License-Identifier: BSD-2-Clause
"""shunt-load: what it makes, finds again, replaces and takes away, and what it says of trouble."""
import json
import os
import subprocess

import pytest

from lab import BPFFS, BUILD, PIN_DIR, binary, kernel_has_dispatcher, unique

SMALL = ["--services", "64", "--backends", "64", "--ring-slots", "70000", "--flows", "1024",
         "--pending", "1024", "--nat", "1024"]
XDP_PASS = os.path.join(BUILD, "tests/net/xdp_pass.bpf.o")


class Box:
    """A namespace with two veth pairs, s0 and s1 at this end, and a pin path of its own."""

    def __init__(self, lab):
        self.ns = lab.namespace("steer")
        self.far = lab.namespace("far")
        self.pins = f"{BPFFS}/{unique('pins')}"
        for number in (0, 1):
            lab.link(self.ns, f"s{number}", self.far, f"f{number}")
        lab.at_close(self.load, "detach", "--all", "--purge")

    def load(self, verb, *args, wrap=()):
        """One shunt-load; never raises for its exit status."""
        argv = [*wrap, binary("shunt-load"), verb, *args]
        if verb != "probe":
            argv += ["--pin-path", self.pins]
        return self.ns.run(argv, check=False)

    def attach(self, *names, extra=()):
        done = self.load("attach", *[a for n in names for a in ("-i", n)], *SMALL, *extra)
        assert done.returncode == 0, done.stderr
        return done

    def status(self):
        done = self.load("status", "-o", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def interfaces(self):
        return {i["name"]: i for i in self.status()["interfaces"]}

    def xdp(self, ifname):
        """What `ip link` says of an interface's program: (mode, id), or None."""
        link = json.loads(self.ns.run(["ip", "-j", "link", "show", "dev", ifname]).stdout)[0]
        xdp = link.get("xdp")
        return (xdp["mode"], xdp["prog"]["id"]) if xdp else None

    def links(self):
        """Pinned links and what tells one from its successor: an exchange in place makes none."""
        names = [n for n in self.pinned() if n.startswith("link-")]
        return {n: os.stat(f"{self.pins}/{PIN_DIR}/{n}").st_ino for n in names}

    def pinned(self):
        return set(os.listdir(f"{self.pins}/{PIN_DIR}"))


@pytest.fixture
def box(lab):
    return Box(lab)


@pytest.mark.vm
@pytest.mark.vm_every
def test_attach_status_detach(box):
    box.attach("s0", "s1")
    status = box.status()
    assert status["program"]["current"]
    assert {i["name"]: i["mode"] for i in status["interfaces"]} == {"s0": "native", "s1": "native"}
    kind = "dispatcher" if kernel_has_dispatcher() else "single"
    assert {i["kind"] for i in status["interfaces"]} == {kind}
    assert status["tables"]["services"] == {"entries": 0, "size": 64}
    assert status["user_pid"] == 0
    text = box.load("status").stdout
    assert "native" in text and kind in text
    pinned = {name for name in box.pinned() if name.startswith("sh_")}
    assert box.load("detach", "-i", "s0").returncode == 0
    assert pinned and pinned <= box.pinned()  # tables stay
    assert box.xdp("s0") is None and set(box.interfaces()) == {"s1"}
    assert box.load("detach", "--all", "--purge").returncode == 0
    assert box.xdp("s1") is None and not os.path.exists(box.pins)
    assert box.load("status").returncode == 1
    # Once more: there is nothing to do, and that is fine.
    assert box.load("detach", "--all", "--purge").returncode == 0


@pytest.mark.vm
def test_a_second_attach_changes_nothing(box):
    box.attach("s0")
    before, xdp, pins = box.status(), box.xdp("s0"), box.pinned()
    box.attach("s0")
    assert (box.status(), box.xdp("s0"), box.pinned()) == (before, xdp, pins)


def test_mode_can_be_changed(box):
    box.attach("s0")
    box.attach("s0", extra=["--mode", "generic"])
    assert box.interfaces()["s0"]["mode"] == "generic"
    box.attach("s0")
    assert box.interfaces()["s0"]["mode"] == "native"


def test_tables_keep_their_size(box):
    box.attach("s0")
    done = box.load("attach", "-i", "s0", "--flows", "2048")
    assert done.returncode == 0
    assert "node.limits.flows is 2048" in done.stderr and "detach --all --purge" in done.stderr
    assert "services" not in done.stderr
    assert box.status()["tables"]["flows"]["size"] == 2 * 1024


@pytest.mark.parametrize("lost", [["prog"], ["sh_services"], ["sh_loader"],
                                  ["sh_flow4", "sh_be_meta", "prog"],
                                  ["sh_rings", "sh_backends", "sh_verdicts", "sh_loader"]])
def test_a_half_made_directory_is_healed(box, lost):
    box.attach("s0")
    whole = box.pinned()
    for name in lost:
        os.unlink(f"{box.pins}/{PIN_DIR}/{name}")
    box.attach("s0")
    assert box.pinned() == whole
    status = box.status()
    assert status["program"]["current"] and set(box.interfaces()) == {"s0"}
    # The interface runs the program over the tables that are pinned now.
    ids = {i["program_id"] for i in status["interfaces"]}
    assert ids <= {status["program"]["id"], status["program"]["component_id"]}


def test_a_load_that_was_cut_short_is_done_again(box):
    """Between the pinning of a new table and that of the program that uses it."""
    box.attach("s0")
    before, links = box.status()["program"]["id"], box.links()
    os.unlink(f"{box.pins}/{PIN_DIR}/sh_flow4")
    subprocess.run(["bpftool", "map", "create", f"{box.pins}/{PIN_DIR}/sh_flow4", "type",
                    "lru_hash", "key", "16", "value", "16", "entries", "1024", "name", "sh_flow4",
                    "flags", "2"], check=True)
    box.attach("s0")
    after = box.status()
    assert after["program"]["id"] != before
    assert box.links() == links
    assert {i["program_id"] for i in after["interfaces"]} <= {after["program"]["id"],
                                                              after["program"]["component_id"]}


def test_an_interface_that_went_away_leaves_no_trace(box):
    box.attach("s0", "s1")
    box.ns.ip("link del s0")
    assert set(box.interfaces()) == {"s1"}
    box.ns.ip("link add s0 type veth peer name s9", "link set s0 up", "link set s9 up")
    box.attach("s0")
    assert set(box.interfaces()) == {"s0", "s1"}
    assert len([n for n in box.pinned() if n.startswith("link-")]) in (0, 2)


def test_a_name_with_a_dot(box):
    """As those of VLANs have; names of pins must not have one."""
    box.ns.ip("link set s0 down", "link set s0 name s0.7", "link set s0.7 up")
    box.attach("s0.7")
    assert set(box.interfaces()) == {"s0.7"}
    assert box.load("detach", "-i", "s0.7").returncode == 0
    assert box.interfaces() == {}


def load_pass(box, ifname):
    box.ns.run(["ip", "link", "set", "dev", ifname, "xdpdrv", "obj", XDP_PASS, "sec", "xdp"])
    return box.xdp(ifname)


@pytest.mark.vm
def test_a_foreign_program_is_left_alone(box):
    foreign = load_pass(box, "s0")
    done = box.load("attach", "-i", "s0", *SMALL)
    assert done.returncode == 1
    assert "s0" in done.stderr and f"xdp_pass (id {foreign[1]})" in done.stderr
    assert box.load("detach", "-i", "s0").returncode == 0
    assert box.load("detach", "--all").returncode == 0
    assert box.xdp("s0") == foreign


@pytest.mark.vm
@pytest.mark.vm_every
@pytest.mark.xdist_group("xdp-loader")  # runs once at a time, and fails otherwise
@pytest.mark.skipif(not kernel_has_dispatcher(), reason="this kernel has no dispatcher")
def test_programs_share_an_interface(box):
    def names():
        out = box.ns.run(["xdp-loader", "status", "s0"]).stdout
        return {word for word in out.split() if word in ("steer_xdp", "xdp_pass")}

    box.ns.run(["xdp-loader", "load", "-m", "native", "s0", XDP_PASS])
    box.attach("s0")
    assert names() == {"steer_xdp", "xdp_pass"}
    assert box.interfaces()["s0"]["kind"] == "dispatcher"
    box.attach("s0", "s1")
    assert names() == {"steer_xdp", "xdp_pass"}
    # A program that is exchanged for another build stays beside the foreign one.
    old = box.interfaces()
    os.unlink(f"{box.pins}/{PIN_DIR}/sh_loader")
    box.attach("s0", "s1")
    new = box.interfaces()
    assert old["s0"]["program_id"] != new["s0"]["program_id"] == new["s1"]["program_id"]
    assert names() == {"steer_xdp", "xdp_pass"}
    box.load("detach", "--all")
    assert names() == {"xdp_pass"}
    box.ns.run(["xdp-loader", "unload", "s0", "--all"])


def complaint(done, code=1):
    """Exit status and message of a failure; never a crash, never silence."""
    assert done.returncode == code, (done.returncode, done.stderr)
    assert done.stderr.strip()
    return done.stderr


def test_no_such_interface(box):
    assert "interface nix0 does not exist" in complaint(box.load("attach", "-i", "nix0", *SMALL))


def test_a_driver_without_native_mode(box):
    text = complaint(box.load("attach", "-i", "lo", *SMALL))
    assert "lo" in text and "no native XDP" in text and "generic" in text
    box.attach("lo", extra=["--mode", "generic"])
    assert box.interfaces()["lo"]["mode"] == "generic"


def test_an_mtu_that_xdp_cannot_have(box):
    box.ns.ip("link set s0 mtu 9000")
    box.far.ip("link set f0 mtu 9000")
    text = complaint(box.load("attach", "-i", "s0", *SMALL))
    assert "MTU 9000" in text and "Peer MTU is too large to set XDP" in text


@pytest.mark.parametrize("dropped, named", [("all", "CAP_BPF"), ("bpf,-sys_admin", "CAP_BPF"),
                                            ("perfmon,-sys_admin", "CAP_PERFMON"),
                                            ("net_admin", "CAP_NET_ADMIN")])
def test_a_missing_capability_is_named(box, dropped, named):
    caps = f"-{dropped}"
    wrap = ["setpriv", f"--bounding-set={caps}", f"--inh-caps={caps}", "--"]
    assert named in complaint(box.load("attach", "-i", "s0", *SMALL, wrap=wrap))
    assert box.xdp("s0") is None


@pytest.mark.vm
@pytest.mark.vm_every
def test_without_cap_sys_admin(box):
    """What a service unit without root's powers would have: enough for an interface of our own,
    not enough to look into a dispatcher."""
    wrap = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", "--"]
    for _ in range(2):
        done = box.load("attach", "-i", "s0", *SMALL, wrap=wrap)
        assert done.returncode == 0, done.stderr
    assert box.interfaces()["s0"]["kind"] == "single"
    load_pass(box, "s1")
    assert "CAP_SYS_ADMIN" in complaint(box.load("attach", "-i", "s1", *SMALL, wrap=wrap))


def test_an_old_kernel(box):
    text = complaint(box.load("attach", "-i", "s0", *SMALL, wrap=["setarch", "--uname-2.6"]))
    assert "too old" in text and "6.1" in text


def test_a_pin_path_on_another_file_system(box, lab):
    box.pins = lab.path("pins")
    text = complaint(box.load("attach", "-i", "s0", *SMALL))
    assert "bpf file system" in text and BPFFS in text
    assert not os.path.exists(box.pins)


def test_tables_of_another_kind(box):
    box.attach("s0")
    os.unlink(f"{box.pins}/{PIN_DIR}/sh_services")
    subprocess.run(["bpftool", "map", "create", f"{box.pins}/{PIN_DIR}/sh_services", "type", "hash",
                    "key", "4", "value", "4", "entries", "8", "name", "sh_services"], check=True)
    text = complaint(box.load("attach", "-i", "s0"))
    assert "sh_services" in text and "detach --all --purge" in text
    assert box.load("detach", "--all", "--purge").returncode == 0
    box.attach("s0")


def test_nothing_is_pinned(box):
    assert "nothing is pinned" in complaint(box.load("status"))


@pytest.mark.parametrize("args", [[], ["fly"], ["attach"], ["detach"], ["attach", "--mode", "fast"],
                                  ["attach", "-i", "s0", "--flows", "many"],
                                  ["attach", "-i", "s0", "--backends", "1000000"],
                                  ["status", "-i", "s0"], ["status", "-o", "xml"],
                                  ["detach", "-i", "s0", "what"], ["probe", "--nonsense"]])
def test_wrong_usage_is_2(args):
    done = subprocess.run([binary("shunt-load"), *args], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 2 and done.stderr and not done.stdout


@pytest.mark.parametrize("verb", ["", "attach", "detach", "status", "probe"])
def test_help(verb):
    argv = [binary("shunt-load"), *verb.split(), "--help"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Usage: shunt-load") and not done.stderr


@pytest.mark.parametrize("name", ["shuntd", "shuntctl", "shunt-load", "shunt-decap"])
def test_every_program_has_a_version_a_help_and_a_hint(name):
    def run(*args):
        return subprocess.run([binary(name), *args], capture_output=True, text=True, check=False)
    for option in ("--version", "-V"):
        done = run(option)
        assert done.returncode == 0 and done.stdout.startswith(f"{name} 0.") and not done.stderr
    for option in ("--help", "-h"):
        done = run(option)
        assert done.returncode == 0 and done.stdout.startswith(f"Usage: {name} ")
        assert "Exit codes: 0 " in done.stdout and not done.stderr
    for args in ([], ["--nonsense"], ["nonsense"]):
        done = run(*args)
        assert done.returncode == 2 and not done.stdout
        assert done.stderr.endswith(f"Try '{name} --help'.\n")


@pytest.mark.vm
@pytest.mark.vm_every
def test_probe(box):
    done = box.load("probe", "-i", "s0", "-i", "lo", "-o", "json")
    assert done.returncode == 0, done.stderr
    items = {item["name"]: item for item in json.loads(done.stdout)}
    assert all(item["ok"] for item in items.values() if item["required"]), items
    assert items["kernel"]["ok"] and items["xdp"]["ok"] and items["cap-bpf"]["ok"]
    assert items["s0"]["ok"] and "veth" in items["s0"]["text"]
    assert not items["lo"]["ok"] and not items["lo"]["required"]
    assert box.xdp("s0") is None
    assert box.load("probe", "-i", "nix0").returncode == 1
