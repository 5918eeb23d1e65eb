#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Every shell script, by its first line.
set -uo pipefail
cd "${1:-$(dirname "$0")/../..}" || exit 1
find . -path './build*' -prune -o -path ./.git -prune -o -type f -print |
	while read -r file; do
		# read fails on a file without a newline; binary bytes are dropped by bash.
		IFS= read -r first 2> /dev/null < "$file" || true
		if [[ ${first:-} =~ ^#!/bin/(busybox )?(ba)?sh ]]; then
			echo "$file"
		fi
	done | sort | xargs -r shellcheck
