# SPDX-License-Identifier: BSD-2-Clause
"""shuntctl: verbs, tables, exit codes, and what stays after a restart."""
import json
import os
import re
import subprocess

import pytest
import yaml

from lab import ROOT, binary

VERBS = ["status", "upgrade",
         "service list", "service show", "pool list", "pool show", "backend list",
         "backend add", "backend remove", "backend drain", "backend undrain", "backend disable",
         "backend enable", "backend weight", "config check", "config apply", "config show",
         "config diff", "config save", "config history", "config rollback", "config schema",
         "config fmt", "guard list", "guard add", "guard remove", "guard flush", "route list",
         "route test", "health", "doctor", "cert list", "wait ready", "wait health",
         "wait generation", "completion", "version", "explain", "conn list", "conn count",
         "conn kill", "top", "capture"]


def shuntctl(*args, env=None, **kw):
    return subprocess.run([binary("shuntctl"), *map(str, args)], capture_output=True, text=True,
                          env={**os.environ, **(env or {})}, check=False, **kw)


CONFIG = {
    "pools": {"web": {"health": "none", "backends": [
        {"name": "b1", "address": "127.0.0.1:9001"},
        {"name": "b2", "address": "127.0.0.1:9002", "weight": 2}]}},
    "services": {"web": {"listen": ["127.0.0.1:8080/tcp"], "mode": "http", "pool": "web"}},
}


@pytest.fixture
def daemon(lab, shuntd):
    return shuntd(CONFIG, ns=lab.namespace("host"))


def backends(daemon):
    return {b["name"]: b for b in daemon.ctl_json("backend", "list")["backends"]}


# ---- without a daemon

@pytest.mark.parametrize("verb", VERBS)
def test_help_of_every_verb(verb):
    done = shuntctl(*verb.split(), "--help")
    assert done.returncode == 0 and verb in done.stdout and not done.stderr


def test_help_of_everything_names_every_verb():
    for args in (["--help"], ["help"]):
        done = shuntctl(*args)
        assert done.returncode == 0
        assert all(verb in done.stdout for verb in VERBS)
        assert "Exit codes" in done.stdout


def test_the_manual_names_every_verb():
    with open(os.path.join(ROOT, "docs/man/shuntctl.1"), encoding="utf-8") as f:
        text = f.read()
    assert [verb for verb in VERBS if verb not in text] == []


def test_the_manual_has_every_key_of_the_configuration():
    keywords = subprocess.run([binary("shuntd"), "--keywords"], capture_output=True, text=True,
                              check=True).stdout
    with open(os.path.join(ROOT, "docs/man/shunt.yaml.5"), encoding="utf-8") as f:
        assert keywords in f.read(), "bring it up to date: make man"


def test_the_configuration_in_the_readme_is_good(lab):
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as f:
        blocks = re.findall(r"```yaml\n(.*?)```", f.read(), re.DOTALL)
    assert blocks
    for block in blocks:
        path = lab.path("readme.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(block)
        done = subprocess.run([binary("shuntd"), "-c", path, "--check"], capture_output=True,
                              text=True, check=False)
        assert done.returncode == 0 and not done.stderr, done


@pytest.mark.parametrize("page", ["shuntctl.1", "shuntd.8", "shunt-load.8", "shunt-decap.8"])
def test_the_manual_names_every_long_option(page):
    name = page.partition(".")[0]
    texts = [subprocess.run([binary(name), *args, "--help"], capture_output=True, text=True,
                            check=True).stdout
             for args in ([[], ["attach"], ["detach"], ["status"], ["probe"]]
                          if name == "shunt-load" else [[]])]
    with open(os.path.join(ROOT, "docs/man", page), encoding="utf-8") as f:
        manual = f.read().replace("\\-", "-")
    options = set(re.findall(r"--[a-z][a-z-]+", " ".join(texts)))
    assert len(options) > 4 and sorted(o for o in options if o not in manual) == []


@pytest.mark.parametrize("args", [
    [], ["nope"], ["backend"], ["backend", "nope"], ["service", "show"], ["status", "extra"],
    ["backend", "add", "web", "b3"], ["backend", "drain", "web"], ["backend", "drain", "/x"],
    ["backend", "weight", "web", "b1"], ["backend", "weight", "web", "b1", "many"],
    ["backend", "weight", "web/b1", "-1"], ["backend", "add", "p", "b", "a", "--weight", "1001"],
    ["status", "--save"], ["-o", "xml", "status"], ["--nope"], ["config", "apply"],
])
def test_wrong_usage_is_2(args):
    done = shuntctl("--socket", "/nonexistent", *args)
    assert done.returncode == 2 and done.stderr and not done.stdout


@pytest.mark.parametrize("args, meant", [
    (["bakend", "list"], "backend"), (["stauts"], "status"), (["backend", "drian"], "drain"),
    (["config", "aply", "x"], "apply"),
])
def test_a_verb_that_was_probably_meant_is_named(args, meant):
    done = shuntctl(*args)
    assert done.returncode == 2 and f"did you mean '{meant}'" in done.stderr


def test_an_unreachable_daemon_is_4():
    done = shuntctl("--socket", "/nonexistent/s.sock", "status")
    assert done.returncode == 4 and "/nonexistent/s.sock" in done.stderr and not done.stdout
    done = shuntctl("status", env={"SHUNT_SOCKET": "/nonexistent/env.sock"})
    assert done.returncode == 4 and "/nonexistent/env.sock" in done.stderr


def test_a_file_that_cannot_be_read_is_1():
    done = shuntctl("config", "apply", "/nonexistent/c.yaml")
    assert done.returncode == 1 and "/nonexistent/c.yaml" in done.stderr


# ---- with one

def test_the_socket_comes_from_the_environment(daemon):
    assert shuntctl("status", env={"SHUNT_SOCKET": daemon.socket}).returncode == 0


@pytest.mark.parametrize("args, words", [
    (["status"], ["running", "generation 1", "2 of 2"]),
    (["service", "list"], ["SERVICE", "web", "http", "127.0.0.1:8080/tcp"]),
    (["service", "show", "web"], ["listen        127.0.0.1:8080/tcp", "responses",
                                   "header_bytes 32 KiB",
                                   "request_header 10s", "web/b1", "127.0.0.1:9002"]),
    (["pool", "list"], ["web", "2 of 2"]),
    (["pool", "show", "web"], ["connect_timeout 3s", "web/b2"]),
    (["backend", "list"], ["ADDRESS", "127.0.0.1:9001", "up"]),
    (["backend", "list", "web"], ["b1", "b2"]),
    (["health"], ["STATE", "unknown"]),
    (["config", "show"], ["127.0.0.1:9001"]),
    (["version"], ["shuntctl ", "shuntd "]),
    (["config", "check"], ["good"]),
    (["config", "diff"], ["no difference"]),
])
def test_tables_for_people_and_json_for_programs(daemon, args, words):
    done = daemon.ctl(*args)
    assert done.rc == 0 and not done.stderr, done
    assert all(word in done.stdout for word in words), done
    json.loads(daemon.ctl("-o", "json", *args).stdout)


def test_columns_are_aligned(daemon):
    lines = daemon.ctl("backend", "list").stdout.splitlines()
    at = lines[0].index("STATE")
    assert [line[at:at + 2] for line in lines[1:]] == ["up", "up"]


def test_what_the_daemon_refuses_is_3(daemon):
    for args in (["service", "show", "nope"], ["pool", "show", "nope"], ["backend", "list", "nope"],
                 ["backend", "drain", "web", "nope"], ["backend", "remove", "nope", "b1"],
                 ["backend", "add", "web", "b1", "127.0.0.1:9009"],
                 ["backend", "add", "web", "b3", "not-an-address"]):
        done = daemon.ctl(*args)
        assert done.rc == 3 and done.stderr and not done.stdout, (args, done)
        error = json.loads(daemon.ctl("-o", "json", *args).stderr)["error"]
        assert error["reason"] in ("not-found", "exists", "refused")
    assert daemon.generation() == 1


def test_the_life_of_a_backend(daemon):
    def state():
        b = backends(daemon)["b3"]
        return b["state"], b["admin_state"], b["usable"], b["weight"]
    done = daemon.ctl("backend", "add", "web", "b3", "127.0.0.1:9003", "--weight", 3)
    assert done.rc == 0 and "+ backend web/b3" in done.stdout
    assert state() == ("up", "up", True, 3)
    done = daemon.ctl("backend", "drain", "web/b3")
    assert "state: up -> drain" in done.stdout
    assert state() == ("draining", "drain", False, 3)
    done = daemon.ctl("backend", "drain", "web", "b3")  # once more: nothing to do, and no error
    assert done.rc == 0 and "unchanged" in done.stdout
    assert daemon.ctl("backend", "undrain", "web", "b3").rc == 0
    assert state() == ("up", "up", True, 3)
    assert daemon.ctl("backend", "disable", "web", "b3").rc == 0
    assert state() == ("disabled", "disabled", False, 3)
    assert daemon.ctl("backend", "enable", "web", "b3").rc == 0
    assert daemon.ctl("backend", "weight", "web/b3", 0).rc == 0
    assert state() == ("up", "up", False, 0)
    assert "- backend web/b3" in daemon.ctl("backend", "remove", "web/b3").stdout
    assert set(backends(daemon)) == {"b1", "b2"}


def test_changes_that_are_not_saved_are_shown_and_lost(daemon):
    daemon.ctl("backend", "weight", "web/b1", 7)
    assert "unsaved changes" in daemon.ctl("status").stdout
    diff = daemon.ctl("config", "diff").stdout
    assert "backend web/b1 weight: 7 -> " in diff
    daemon.restart()
    assert backends(daemon)["b1"]["weight"] == 1
    assert "unsaved changes" not in daemon.ctl("status").stdout


@pytest.mark.parametrize("how", ["--save", "config save"])
def test_saved_changes_are_kept(daemon, how):
    former = open(daemon.config_path, encoding="utf-8").read()
    os.chmod(daemon.config_path, 0o640)
    if how == "--save":
        done = daemon.ctl("backend", "weight", "web/b1", 7, "--save")
        assert done.rc == 0 and "saved to" in done.stdout
    else:
        daemon.ctl("backend", "weight", "web/b1", 7)
        done = daemon.ctl("config", "save")
        assert done.rc == 0 and ".bak" in done.stdout
    assert "unsaved changes" not in daemon.ctl("status").stdout
    assert open(daemon.config_path + ".bak", encoding="utf-8").read() == former
    assert os.stat(daemon.config_path).st_mode & 0o777 == 0o640
    with open(daemon.config_path, encoding="utf-8") as f:
        document = yaml.safe_load(f)
    assert document["pools"]["web"]["backends"][0] == {
        "name": "b1", "address": "127.0.0.1:9001", "weight": 7}
    daemon.restart()
    assert backends(daemon)["b1"]["weight"] == 7


def test_saving_through_a_link_keeps_the_link(lab, shuntd):
    daemon = shuntd(CONFIG, ns=lab.namespace("host"), start=False)
    real = lab.path("real.yaml")
    os.rename(daemon.config_path, real)
    os.symlink(real, daemon.config_path)
    daemon.start()
    assert daemon.ctl("backend", "weight", "web/b1", 7, "--save").rc == 0
    assert os.path.islink(daemon.config_path) and os.path.exists(real + ".bak")


def test_saving_where_it_cannot_be_is_1_and_the_change_stays(lab, shuntd):
    daemon = shuntd(CONFIG, ns=lab.namespace("host"))
    os.remove(daemon.config_path)
    done = daemon.ctl("backend", "weight", "web/b1", 7, "--save")
    assert done.rc == 1 and "was not saved" in done.stderr
    assert backends(daemon)["b1"]["weight"] == 7


def test_config_apply_from_a_file_and_from_standard_input(lab, daemon):
    document = yaml.safe_load(daemon.ctl("config", "show").stdout)
    document["pools"]["web"]["backends"][0]["weight"] = 9
    path = lab.path("new.yaml")
    with open(path, "w", encoding="utf-8") as f:
        yaml.safe_dump(document, f)
    assert "weight" in daemon.ctl("config", "diff", path).stdout
    assert "would change 1" in daemon.ctl("config", "check", path).stdout
    assert daemon.generation() == 1
    assert daemon.ctl("config", "apply", path).rc == 0
    assert backends(daemon)["b1"]["weight"] == 9
    document["pools"]["web"]["backends"][0]["weight"] = 4
    done = shuntctl("--socket", daemon.socket, "config", "apply", "-",
                    input=yaml.safe_dump(document))
    assert done.returncode == 0, done.stderr
    assert backends(daemon)["b1"]["weight"] == 4


def test_a_bad_file_is_shown_with_its_name_line_and_column(lab, daemon):
    path = lab.path("bad.yaml")
    with open(path, "w", encoding="utf-8") as f:
        f.write("pools:\n  web:\n    bakends: []\n")
    for verb in ("check", "diff", "apply"):
        done = daemon.ctl("config", verb, path)
        assert done.rc == 3 and f"{path}:3:5: error: " in done.stderr, done
    done = shuntctl("--socket", daemon.socket, "config", "apply", "-", input="a: [")
    assert done.returncode == 3 and "(standard input):" in done.stderr
    assert daemon.generation() == 1


def test_a_file_is_brought_into_the_usual_form(daemon, lab):
    path = lab.path("form.yaml")
    with open(path, "w", encoding="utf-8") as f:
        f.write("# mine\nnode:   {workers: 2}   # two\npools:\n    web: {}\n")
    os.chmod(path, 0o640)
    done = daemon.ctl("config", "fmt", path, "--check")
    assert done.rc == 1 and done.stdout == f"{path}: another form\n"
    assert daemon.ctl("config", "fmt", path).rc == 0
    with open(path, encoding="utf-8") as f:
        assert f.read() == "# mine\nnode: # two\n  workers: 2\npools:\n  web: {}\n"
    assert os.stat(path).st_mode & 0o777 == 0o640
    assert daemon.ctl("config", "fmt", path, "--check").rc == 0
    with open(path, "w", encoding="utf-8") as f:
        f.write("node: [\n")
    done = daemon.ctl("config", "fmt", path)
    assert done.rc == 3 and f"{path}:2:1: error: malformed YAML" in done.stderr, done
