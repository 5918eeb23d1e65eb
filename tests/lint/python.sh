#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Names that are not defined or not used, in every Python file.
set -euo pipefail
cd "${1:-$(dirname "$0")/../..}"
{
	find . -path './build*' -prune -o -path ./.git -prune -o -name '*.py' -print
	grep -rlIE -m1 --exclude-dir=.git --exclude-dir='build*' '^#!/usr/bin/python3' . || true
} | sort -u | xargs -r pyflakes3
