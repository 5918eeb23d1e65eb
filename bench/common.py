# SPDX-License-Identifier: BSD-2-Clause
"""What the benchmarks that are run by Python share; it needs tests/net among the places to import
from."""
import json
import os
import re
import shutil
import subprocess
import sys

from lab import PYTHON, ROOT, binary

JSON_MARK = "@json "  # the result's line in what a virtual machine prints


class BenchError(Exception):
    """Something that a person can put right, or a measurement that means nothing."""


def cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        match = re.search(r"^model name\s*: (.*)$", info.read(), re.MULTILINE)
    return match.group(1) if match else "unknown"


def shunt_version():
    out = subprocess.run([binary("shuntd"), "--version"], capture_output=True, text=True,
                         check=True).stdout
    return re.search(r"\d+\.\d+\.\d+", out).group(0)


def need(tools):
    """Programs, each with the Debian package that has it."""
    missing = [f"{tool} (Debian package {package})" for tool, package in tools.items()
               if not shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")]
    if missing:
        raise BenchError("missing: " + ", ".join(missing))


def run_in_machine(kernel, script, argv, env=None):
    """The same script on a kernel of vm/kernels.list, in a virtual machine, whose files are gone
    afterwards: with --in-machine it prints its result behind JSON_MARK."""
    command = [os.path.join(ROOT, "vm/run"), kernel, "--", PYTHON,
               os.path.relpath(os.path.abspath(script), ROOT), *argv, "--in-machine"]
    env = {"SHUNT_TEST_PATIENCE": "15", "VM_TIMEOUT": "3600", **(env or {}), **os.environ}
    data = None
    print(f"booting {kernel}", flush=True)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env, cwd=ROOT) as proc:
        for line in proc.stdout:
            if line.startswith(JSON_MARK):
                data = json.loads(line[len(JSON_MARK):])
            else:
                print(line, end="", flush=True)
    if proc.returncode or not data:
        raise BenchError(f"the machine's run ended with status {proc.returncode}")
    data["cpu"] = f"emulated by qemu on {cpu_model()}"
    return data


def write_json(path, data):
    """path: None, where nobody asked for it."""
    if not path:
        return
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(data, file, indent=1)
        file.write("\n")


def run_main(main):
    """A benchmark ends with what it says, or with a line about what it lacks."""
    try:
        main()
    except (BenchError, AssertionError, subprocess.SubprocessError) as exc:
        sys.exit(f"bench: {exc}")
