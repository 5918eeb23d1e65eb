# SPDX-License-Identifier: BSD-2-Clause
"""shuntctl completion: what shells get to complete."""
import os
import pty
import re
import shutil
import subprocess

import pytest

from lab import binary

CONFIG = {
    "pools": {
        "web": {"health": "none", "backends": [{"name": "b1", "address": "127.0.0.1:9001"},
                                               {"name": "b2", "address": "127.0.0.1:9002"}]},
        "mail": {"health": "none", "backends": [{"name": "m1", "address": "127.0.0.1:9025"}]},
    },
    "services": {"shop": {"listen": ["127.0.0.1:8080/tcp"], "mode": "http", "pool": "web"}},
}
BACKEND_VERBS = ["list", "add", "remove", "drain", "undrain", "disable", "enable", "weight"]


@pytest.fixture
def daemon(lab, shuntd):
    return shuntd(CONFIG, ns=lab.namespace("host"))


def shell_env(socket="/nonexistent/s.sock"):
    """Where the shuntctl of the build is the one on the PATH."""
    folder = os.path.dirname(binary("shuntctl"))
    return {**os.environ, "PATH": folder + ":" + os.environ["PATH"], "SHUNT_SOCKET": socket}


def words(*line, socket="/nonexistent/s.sock"):
    done = subprocess.run([binary("shuntctl"), "completion", "words", "--", *line],
                          capture_output=True, text=True, check=True, env=shell_env(socket))
    assert not done.stderr
    return done.stdout.split()


def script(shell):
    done = subprocess.run([binary("shuntctl"), "completion", shell], capture_output=True,
                          text=True, check=True)
    return done.stdout


def bash(*line, socket):
    """What bash would offer for the last of these words."""
    code = script("bash") + """
        COMP_WORDS=(shuntctl "$@")
        COMP_CWORD=$#
        $(complete -p shuntctl | sed 's/.*-F \\([^ ]*\\) .*/\\1/') shuntctl "${!#}"
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    done = subprocess.run(["bash", "-c", code, "bash", *line], capture_output=True, text=True,
                          check=True, env=shell_env(socket))
    assert not done.stderr
    return done.stdout.split()


# ---- without a daemon

def test_nouns_and_verbs():
    assert {"status", "backend", "wait", "completion"} <= set(words(""))
    assert len(words("")) == len(set(words("")))
    assert words("back") == ["backend"]
    assert words("backend", "") == BACKEND_VERBS
    assert words("backend", "dr") == ["drain"]
    assert words("nope", "") == [] and words("status", "") == []


def test_every_verb_of_the_help_with_its_options():
    text = subprocess.run([binary("shuntctl"), "--help"], capture_output=True, text=True,
                          check=True).stdout.partition("Options:")[0]
    synopses = re.findall(r"^  (\S.*?)(?:  .*)?$", text, re.MULTILINE)
    assert len(synopses) > 30
    for synopsis in synopses:
        verb = re.split(r" (?=[\[A-Z])|\s+\S*\|", synopsis)[0].split()
        assert verb[-1] in words(*verb), synopsis
        offered = words(*verb, "--")
        used = set(re.findall(r"--[a-z-]+", synopsis))
        assert used <= set(offered) and "--socket" in offered, synopsis
        changes = "--save" in used
        others = {"--weight", "--flows", "--wait", "--strict"} - used
        assert not others & set(offered), synopsis
        assert changes or "--if-generation" not in offered, synopsis


def test_words_that_are_as_they_are():
    assert words("log", "level", "") == ["error", "warning", "info", "debug"]
    assert words("completion", "z") == ["zsh"]
    assert words("-o", "") == ["table", "json"]
    assert words("--output", "=", "j") == ["json"]  # as bash takes it apart
    assert words("--output", "=") == ["table", "json"]
    assert words("--output=j") == ["--output=json"]
    assert words("--output=json", "config", "ro") == ["rollback"]


def test_files_are_left_to_the_shell():
    for line in (["config", "apply", ""], ["config", "check", "x"], ["-s", "/"],
                 ["config", "diff", ""]):
        assert words(*line) == [":files"]


def test_without_a_daemon_there_are_no_names():
    assert words("service", "show", "") == []


# ---- with one

def test_names_of_services_pools_and_backends(daemon):
    def ask(*line):
        return words(*line, socket=daemon.socket)
    assert ask("service", "show", "") == ["shop"]
    assert sorted(ask("pool", "show", "")) == ["mail", "web"]
    assert ask("backend", "drain", "w") == ["web"]
    assert ask("backend", "drain", "web", "") == ["b1", "b2"]
    assert ask("backend", "drain", "--wait", "--timeout", "5s", "web", "b2") == ["b2"]
    assert ask("backend", "drain", "web/") == ["web/b1", "web/b2"]
    assert ask("backend", "drain", "web/b1", "") == []
    assert ask("backend", "add", "mail", "") == []  # a new one
    assert ask("backend", "list", "m") == ["mail"]
    assert ask("wait", "health", "mail/") == ["mail/m1"]
    assert ask("guard", "remove", "--service", "") == ["shop"]
    assert ask("config", "rollback", "") == ["1"]
    assert words("-s", daemon.socket, "service", "show", "") == ["shop"]
    assert words(f"--socket={daemon.socket}", "service", "show", "") == ["shop"]


def test_bash_completes(daemon):
    assert bash("backend", "", socket=daemon.socket) == BACKEND_VERBS
    assert bash("backend", "drain", "web", "", socket=daemon.socket) == ["b1", "b2"]
    assert bash("backend", "drain", "web", "b1", "--w", socket=daemon.socket) == ["--wait"]
    assert bash("config", "apply", "", socket=daemon.socket) == []


def test_keys_that_are_pressed_in_bash(daemon):
    """A terminal, the tab key, and the command that came of it."""
    master, slave = pty.openpty()
    with subprocess.Popen(["bash", "--norc", "--noprofile", "-i"], stdin=slave, stdout=slave,
                          stderr=slave, start_new_session=True,
                          env={**shell_env(daemon.socket), "TERM": "dumb", "INPUTRC": "/dev/null",
                               "HISTFILE": ""}) as shell:
        os.close(slave)
        os.write(master, b"source <(shuntctl completion bash)\n")
        os.write(master, b"shuntctl back\tdra\tma\tm1\n exit\n")
        shown = b""
        while chunk := read_terminal(master):
            shown += chunk
        assert shell.wait() == 0
    os.close(master)
    states = {b["name"]: b["state"] for b in daemon.ctl_json("backend", "list")["backends"]}
    assert states == {"b1": "up", "b2": "up", "m1": "draining"}, shown.decode()


def read_terminal(fd):
    try:
        return os.read(fd, 4096)
    except OSError:  # nobody is at the other end any more
        return b""


def test_zsh_takes_the_script(daemon):
    if not shutil.which("zsh"):
        pytest.skip("no zsh")
    code = script("zsh")
    subprocess.run(["zsh", "-f", "-n"], input=code, text=True, check=True)
    test = """
        compdef() { }
        compadd() { print -l -- ${(P)2} }
        _files() { print files }
        """ + code + """
        words=(shuntctl backend drain web '') CURRENT=5
        _shuntctl
        words=(shuntctl config apply '') CURRENT=4
        _shuntctl
        words=(shuntctl service show nope) CURRENT=4
        _shuntctl
    """
    done = subprocess.run(["zsh", "-f", "-c", test], capture_output=True, text=True, check=True,
                          env=shell_env(daemon.socket))
    assert done.stdout.split() == ["b1", "b2", "files"] and not done.stderr


def test_fish_completes(daemon, lab):
    if not shutil.which("fish"):
        pytest.skip("no fish")
    code = script("fish") + "\ncomplete -C 'shuntctl backend drain web '\n" \
        "complete -C 'shuntctl wait re'\n"
    done = subprocess.run(["fish", "--no-config", "-c", code], capture_output=True, text=True,
                          check=True, env={**shell_env(daemon.socket), "HOME": lab.path("home")})
    assert done.stdout.split() == ["b1", "b2", "ready"], done
