#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Things that slip into a tree and do not belong there: left-over work, merge marks, paths of
# somebody's own machine, characters that look like others, and files without a licence line.
set -uo pipefail
cd "${1:-$(dirname "$0")/../..}" || exit 1
bad=0
self=./tests/lint/words.sh
mapfile -t files < <(find . -path './build*' -prune -o -path ./.git -prune -o -name __pycache__ -prune \
	-o -path '*/corpus/*' -prune -o -type f -print | grep -vxF $self | sort)

refuse()
{
	if grep -nIHP "$2" "${files[@]}" 2> /dev/null; then
		echo "^ $1"
		bad=1
	fi
}

refuse "left-over work: do it, or file it" '\b(TODO|FIXME|XXX|HACK)\b'
refuse "a merge that was not finished" '^(<<<<<<<|>>>>>>>) '
refuse "a path of one machine" '(?<![\w.])/(home|Users|work)/(?!\s)|/tmp/wt\b'
refuse "a number that readers cannot look up" '\b[Ii]ssue #?[0-9]+'

for file in "${files[@]}"; do
	case $file in
	*.c | *.h | *.py | *.sh)
		if ! head -n 3 "$file" | grep -q SPDX-License-Identifier; then
			echo "$file: no SPDX line"
			bad=1
		fi
		;;
	esac
	case $file in
	*.c | *.h | *.sh | */Makefile)
		if LC_ALL=C grep -nHP '[^\x00-\x7F]' "$file"; then
			echo "^ only ASCII in code"
			bad=1
		fi
		;;
	esac
done
exit $bad
