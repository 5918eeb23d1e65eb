#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Every shell script, by its first line.
set -euo pipefail
cd "${1:-$(dirname "$0")/../..}"
find . -path './build*' -prune -o -path ./.git -prune -o -type f -print0 |
	xargs -0 grep -lIE -m1 '^#!(/usr)?/bin/(env )?(busybox )?(ba)?sh' |
	while read -r script; do
		# grep takes the first match of the file, not only of its first line.
		head -n 1 "$script" | grep -q '^#!' && echo "$script"
	done | sort | xargs -r shellcheck
