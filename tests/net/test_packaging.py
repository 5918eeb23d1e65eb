# SPDX-License-Identifier: BSD-2-Clause
"""What is installed, and that what the systemd unit grants is enough for shuntd."""
import glob
import os
import re
import shutil
import stat
import subprocess

import pytest

from lab import BPFFS, BUILD, ROOT, binary, unique

UNIT = os.path.join(ROOT, "packaging/systemd/shunt.service.in")
NOBODY, NOGROUP = 65534, 65534
EXPOSURE_MAX = 2.5  # of 10, as `systemd-analyze security` counts

# What the unit's TemporaryFileSystem= and BindPaths= do, then another user with some capabilities.
AS_THE_UNIT = r"""
set -eu
pins=$1 kept=$2 user=$3 group=$4 capabilities=$5
shift 5
install -d -m 0700 -o "$user" -g "$group" "$pins"
mkdir -p "$kept"
mount --make-rprivate /
mount --bind "$pins" "$kept"
mount -t tmpfs -o mode=0755 tmpfs /sys/fs/bpf
mkdir "$pins"
mount --bind "$kept" "$pins"
umount "$kept"
mount -o remount,ro,bind /sys/fs/bpf
exec setpriv --reuid "$user" --regid "$group" --clear-groups --no-new-privs \
	--inh-caps "-all,$capabilities" --ambient-caps "-all,$capabilities" \
	--bounding-set "-all,$capabilities" -- "$@"
"""


def unit_setting(name):
    with open(UNIT, encoding="ascii") as f:
        return [line.partition("=")[2].strip() for line in f if line.startswith(name + "=")]


def files_below(directory):
    return {os.path.relpath(os.path.join(at, name), directory)
            for at, _, names in os.walk(directory) for name in names}


def make(*args):
    done = subprocess.run(["make", "-s", "-C", ROOT, "-o", "all", f"BUILD={BUILD}", *args],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_installed_is_taken_away_again(tmp_path):
    make("install", f"DESTDIR={tmp_path}", "PREFIX=/usr")
    there = files_below(tmp_path)
    pages = {f"usr/share/man/man{page[-1]}/{os.path.basename(page)}"
             for page in glob.glob(os.path.join(ROOT, "docs/man/*"))}
    assert len(pages) >= 6 and pages <= there
    assert {"usr/bin/shuntctl", "usr/sbin/shuntd", "usr/sbin/shunt-load", "usr/sbin/shunt-decap",
            "usr/lib/systemd/system/shunt.service", "usr/lib/systemd/system/shunt-bpffs.service",
            "usr/share/bash-completion/completions/shuntctl",
            "usr/share/zsh/site-functions/_shuntctl", "usr/share/shunt/openapi.json",
            "usr/share/fish/vendor_completions.d/shuntctl.fish",
            "usr/share/shunt/shunt.schema.json", "etc/shunt/shunt.yaml",
            "usr/share/doc/shunt/examples/fleet/10-node.yaml"} <= there
    config = tmp_path / "etc/shunt/shunt.yaml"
    done = subprocess.run([tmp_path / "usr/sbin/shuntd", "-c", config, "--check"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with open(tmp_path / "usr/lib/systemd/system/shunt.service", encoding="ascii") as f:
        unit = f.read()
    assert "ExecStart=/usr/sbin/shuntd -c /etc/shunt/shunt.yaml\n" in unit
    assert not re.search("@[A-Z]+@", unit + config.read_text("ascii"))

    config.write_text("# mine\n", "ascii")
    make("install", f"DESTDIR={tmp_path}", "PREFIX=/usr")
    assert config.read_text("ascii") == "# mine\n"
    make("uninstall", f"DESTDIR={tmp_path}", "PREFIX=/usr")
    assert files_below(tmp_path) == {"etc/shunt/shunt.yaml"}
    assert not os.path.exists(tmp_path / "usr/share/doc/shunt")


def test_the_package_is_of_this_version_and_is_built_with_what_the_build_needs():
    def read(path):
        with open(os.path.join(ROOT, path), encoding="utf-8") as f:
            return f.read()
    makefile = read("Makefile").replace("\\\n", "")
    version = re.search(r"^VERSION := (\S+)", makefile, re.M).group(1)
    assert re.match(rf"shunt \({re.escape(version)}[-)]", read("debian/changelog"))
    needed = re.search(r"^DEPS_BUILD := (.*)", makefile, re.M).group(1).replace("'", "").split()
    stanza = read("debian/control").partition("\n\n")[0]
    declared = {word for word in re.findall(r"^ (\S+?)(?:,|$| )", stanza, re.M)}
    always = {"gcc", "make", "libc6-dev"}  # of build-essential
    assert {name.partition("|")[0] for name in needed} - always <= declared


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze")
def test_the_unit_is_sound_and_exposes_little(tmp_path):
    make("install", f"DESTDIR={tmp_path}", "PREFIX=/usr")
    unit = tmp_path / "usr/lib/systemd/system/shunt.service"
    calls = unit_setting("SystemCallFilter")
    assert calls[-1].split()[0] == "bpf", "it is among @privileged, which is taken away before"
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager",
                           f"--threshold={EXPOSURE_MAX * 10:.0f}", unit],
                          capture_output=True, text=True, check=False)
    assert "Overall exposure level" in done.stdout and done.returncode == 0, done.stdout
    assert float(re.search(r"exposure level.*?: ([0-9.]+)", done.stdout).group(1)) <= EXPOSURE_MAX
    # Words that it does not know are warnings; programs are where this machine has none.
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit],
                          capture_output=True, text=True, check=False)
    known = re.compile(r"is not executable: No such file|Cannot open \S+\.mount|^$")
    assert not [line for line in done.stderr.splitlines()
                if "shunt.service" in line and not known.search(line)], done.stderr


@pytest.mark.vm
@pytest.mark.vm_every
def test_what_the_unit_grants_is_enough_to_steer_and_to_save(lab, l4, client):
    """Not root, its capabilities, no more of the bpf file system than a directory: it steers,
    goes on with what is pinned when it is started again, and saves its configuration."""
    granted = unit_setting("AmbientCapabilities")[0]
    assert granted == unit_setting("CapabilityBoundingSet")[0]
    capabilities = ",".join(word.lower().replace("cap_", "+", 1) for word in granted.split())
    pins = f"{BPFFS}/{unique('unit')}"

    def purge():
        subprocess.run([binary("shunt-load"), "detach", "--all", "--purge", "--pin-path", pins],
                       check=True, capture_output=True)
        assert not os.path.isdir(pins)

    lab.at_close(purge)
    os.chmod(lab.dir, 0o770)
    os.chown(lab.dir, 0, NOGROUP)
    it = l4(backends=2, start=False, daemon={
        "pin_path": pins,
        "wrap": ["unshare", "-m", "bash", "-c", AS_THE_UNIT, "as-the-unit", pins,
                 lab.path("kept"), str(NOBODY), str(NOGROUP), capabilities]})
    config = it.config()
    config["services"]["proxied"] = {"listen": "127.0.0.1:81/tcp", "mode": "http",
                                     "pool": "local"}
    config["services"]["prefix"] = {"listen": "127.64.0.0/16:82/tcp", "mode": "http",
                                    "pool": "local"}
    config["pools"]["local"] = {"health": "none",
                                "backends": [{"name": "l1", "address": "127.0.0.1:9"}]}
    it.daemon.write_config(config)
    os.chmod(it.daemon.config_path, 0o660)
    os.chown(it.daemon.config_path, 0, NOGROUP)
    it.daemon.start()
    with open(f"/proc/{it.daemon.proc.pid}/status", encoding="ascii") as f:
        assert f"Uid:\t{NOBODY}\t{NOBODY}\t{NOBODY}" in f.read()
    it.expect_served(client)
    for address in ("127.0.0.1:81", "127.64.3.4:82"):
        done = it.net.balancer.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}",
                                    f"http://{address}/"], check=False)
        assert done.stdout == "502", it.daemon.log
    links = sorted(os.listdir(glob.glob(pins + "/v*")[0]))
    it.daemon.restart()
    assert it.daemon.ctl_json("status")["l4"]["tables_adopted"]
    assert links == sorted(os.listdir(glob.glob(pins + "/v*")[0]))
    it.expect_served(client)

    assert it.daemon.ctl("backend", "weight", "echo/b1", 7, "--save").rc == 0
    state = os.stat(it.daemon.config_path)
    assert stat.S_IMODE(state.st_mode) == 0o660
    assert (state.st_uid, state.st_gid) == (NOBODY, NOGROUP)
    with open(it.daemon.config_path, encoding="utf-8") as f:
        assert "weight: 7" in f.read()
