# SPDX-License-Identifier: BSD-2-Clause
"""What the benchmarks that are run by Python share; it needs tests/net among the places to import
from."""
import os
import re
import shutil
import subprocess

from lab import binary


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
