# SPDX-License-Identifier: BSD-2-Clause
"""The JSON schema of the configuration beside shuntd itself: what is good is good to both, and what
the schema can know to be wrong is wrong to both. And the examples are good."""
import copy
import glob
import json
import os
import re
import subprocess

import jsonschema
import pytest
import yaml

from lab import binary

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EXAMPLES = sorted(glob.glob(os.path.join(ROOT, "examples", "**", "*.yaml"), recursive=True))


class Loader(yaml.SafeLoader):
    """Of YAML 1.2, as editors read it: on and off are words."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers
            if tag in ("tag:yaml.org,2002:null", "tag:yaml.org,2002:int")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()}
Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(true|false)$"), "tf")


@pytest.fixture(scope="module")
def validator():
    text = subprocess.run([binary("shuntd"), "--schema"], capture_output=True, text=True,
                          check=True).stdout
    schema = json.loads(text)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def problems(validator, document):
    return [error.message for error in validator.iter_errors(document)]


def load(path):
    with open(path, encoding="utf-8") as f:
        return yaml.load(f, Loader)


def check(path, *args, env=None):
    return subprocess.run([binary("shuntd"), "-c", path, "--check", *args], capture_output=True,
                          text=True, check=False, env={**os.environ, **(env or {})})


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: os.path.relpath(p, ROOT))
def test_the_schema_knows_every_example(validator, path):
    assert problems(validator, load(path)) == []


def test_the_schema_knows_every_block_of_the_readme(validator):
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as f:
        blocks = re.findall(r"```yaml\n(.*?)```", f.read(), re.DOTALL)
    assert blocks
    for block in blocks:
        assert problems(validator, yaml.load(block, Loader)) == [], block


BASE = {
    "node": {"workers": 2},
    "pools": {"p": {"health": {"tcp": {}, "every": "2s"}, "backends": [
        {"name": "b1", "address": "127.0.0.1:9001"}]}},
    "services": {"s": {"listen": "127.0.0.1:8080/tcp", "mode": "http", "pool": "p"}},
}


def changed(path, value):
    """BASE with another value at a.b.0.c, "-" takes it away."""
    document = copy.deepcopy(BASE)
    at = document
    *way, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    for key in way:
        at = at[key] if isinstance(at, list) else at.setdefault(key, {})
    if value == "-":
        del at[last]
    else:
        at[last] = value
    return document


BROKEN = [("node.wrkers", 2), ("extra", {}), ("node.xdp_mode", "fast"), ("node.icmp_rate", 70000),
          ("node.drain_timeout", 5), ("node.drain_timeout", "5 s"), ("node.limits.flows", 1),
          ("pools.p.health.every", "soon"), ("pools.p.health.http", {}),
          ("pools.p.backends", {}), ("pools.p.backends.0.name", "-"),
          ("pools.p.backends.0.weight", 1001), ("pools.p.backends.0.colour", "red"),
          ("pools", []), ("services.s.mode", "ftp"), ("services.s.limits.header_bytes", "8kb"),
          ("services.s.listen", None), ("services.s.routes", [{"mach": {}}]),
          ("guard.block", [{"note": "no prefix"}]), ("admin.history", 0), ("admin.watch", "maybe")]
GOOD = [("node.drain_timeout", "1m"), ("node.icmp_rate", "${RATE}"),
        ("pools.p.health", "none"), ("pools.p.backends.0.weight", 0), ("guard.block",
        ["10.0.0.0/8", {"prefix": "192.0.2.0/24", "note": "x"}]), ("node", None),
        ("services.s.limits.header_bytes", "8KiB"), ("services.s.limits.header_bytes", 8192)]


@pytest.mark.parametrize("path,value", BROKEN)
def test_what_is_broken_is_refused_by_both(lab, validator, path, value):
    document = changed(path, value)
    assert problems(validator, document)
    file = lab.path("broken.yaml")
    with open(file, "w", encoding="utf-8") as f:
        json.dump(document, f)
    assert check(file).returncode == 1


@pytest.mark.parametrize("path,value", GOOD)
def test_what_is_good_is_taken_by_both(lab, validator, path, value):
    document = changed(path, value)
    assert problems(validator, document) == []
    file = lab.path("good.yaml")
    with open(file, "w", encoding="utf-8") as f:
        json.dump(document, f)
    done = check(file, env={"RATE": "5"})
    assert done.returncode == 0, done.stderr


def test_the_daemon_gives_the_same_schema(lab, shuntd, validator):
    daemon = shuntd(BASE, ns=lab.namespace("host"))
    assert json.loads(daemon.ctl("config", "schema").stdout) == validator.schema


@pytest.mark.parametrize("name", ["fleet", "https/shunt.yaml"])
def test_examples_of_more_than_a_file_are_good(lab, name):
    directory = lab.path("site-tls")
    os.mkdir(directory)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
                    "/CN=www.example.com", "-addext", "subjectAltName=DNS:www.example.com",
                    "-keyout", f"{directory}/site.key", "-out", f"{directory}/site.pem"],
                   check=True, capture_output=True)
    os.chmod(f"{directory}/site.key", 0o600)
    done = check(os.path.join(ROOT, "examples", name), "--strict",
                 env={"TLS_DIR": directory, "BACKEND_TOKEN": "very-secret"})
    assert done.returncode == 0, done.stderr
    assert "good, services: " in done.stdout
    if name != "fleet":
        done = check(os.path.join(ROOT, "examples", name), env={"TLS_DIR": directory})
        assert done.returncode == 1 and "${BACKEND_TOKEN}: there is no such" in done.stderr
