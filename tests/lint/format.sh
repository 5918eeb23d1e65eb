#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# C as .clang-format says (make format mends it); other text without stray blanks or long lines.
set -uo pipefail
cd "${1:-$(dirname "$0")/../..}" || exit 1
bad=0

# Output of clang-format: FILE:LINE:COLUMN: error: ..., and the line.
if ! { find bpf loader userspace cli tests bench -name '*.[ch]' 2> /dev/null || true; } |
	xargs -r clang-format --dry-run -Werror 2>&1 |
	awk -F: '/error: code should be clang-formatted/ && !seen[$1]++ {
		print $1 ":" $2 ": not formatted (make format)"
	} END { exit length(seen) > 0 }'; then
	bad=1
fi

mapfile -t texts < <(find . -path './build*' -prune -o -path ./.git -prune -o -type f \
	\( -name '*.py' -o -name '*.sh' -o -name '*.md' -o -name '*.y*ml' -o -name Makefile \) -print | sort)
for text in "${texts[@]}"; do
	if grep -nHE '[[:blank:]]+$' "$text"; then
		bad=1
	fi
	case $text in
	*.py)
		if grep -nHE '^.{101,}$' "$text"; then
			bad=1
		fi
		;;
	esac
done
exit $bad
