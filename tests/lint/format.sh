#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# C as .clang-format says (make format mends it); other text without stray blanks or long lines.
set -uo pipefail
cd "${1:-$(dirname "$0")/../..}" || exit 1
bad=0

mapfile -t sources < <(find bpf loader userspace cli tests bench -name '*.[ch]' 2> /dev/null | sort)
if [ ${#sources[@]} -gt 0 ]; then
	for source in "${sources[@]}"; do
		if ! clang-format --dry-run -Werror "$source" > /dev/null 2>&1; then
			echo "$source: not formatted (make format)"
			bad=1
		fi
	done
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
