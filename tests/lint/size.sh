#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Files of more than 800 lines and functions of more than 100 must be split; functions of more than
# 60 lines are listed, for the reviewer to ask why.
set -euo pipefail
cd "${1:-$(dirname "$0")/../..}"

{ find bpf loader userspace cli tests bench \( -name '*.[ch]' -o -name '*.py' \) 2> /dev/null || true; } |
	sort |
	xargs -r awk -v max_file=800 -v max_function=100 -v long_function=60 '
	FNR == 1 {
		file_ends()
		file = FILENAME
		name = ""
	}
	{ lines = FNR }
	# A definition starts in the first column; its body is between braces in the first column.
	/^[a-zA-Z_].*\(/ && !/;[ \t]*$/ && !/^#/ { start = FNR; name = $0 }
	/^}/ && name != "" && file ~ /\.[ch]$/ {
		length_now = FNR - start + 1
		sub(/\(.*/, "", name)
		sub(/.*[ *]/, "", name)
		if (length_now > max_function)
			say(start, name "() has " length_now " lines, more than " max_function)
		else if (length_now > long_function)
			printf "%s:%d: note: %s() has %d lines\n", file, start, name, length_now
		name = ""
	}
	END {
		file_ends()
		exit bad
	}
	function file_ends()
	{
		if (file != "" && lines > max_file)
			say(lines, "the file has more than " max_file " lines")
	}
	function say(line, text)
	{
		printf "%s:%d: %s\n", file, line, text
		bad = 1
	}
'
