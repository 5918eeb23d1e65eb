#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Who may include whom. Each line of the table: a folder, then what its files may include by
# quotes: folders (all of it) or single headers. Every quoted include names its folder.
set -euo pipefail
cd "${1:-$(dirname "$0")/../..}"

table='
bpf		bpf
loader		loader bpf core skel
core		core
admin		admin core
dns		dns core
log		log core
tls		tls core
route		route core
limit		limit core
conf		conf limit route tls log/sink.h core bpf/abi.h
l4		l4 conf core bpf/abi.h bpf/hash.h loader/loader.h loader/maps.h loader/maps_flows.h loader/maps_wide.h loader/maps_guard.h loader/maps_nat.h loader/maps_devices.h loader/maps_vips.h loader/sockets.h
l7		l7 conf limit route tls log/writer.h core
health		health l7 conf route tls core
worker		worker l7 conf core tls/shared.h tls/tickets.h
control		control dns admin log worker health l7 l4 conf route tls/cert.h tls/staple.h tls/digest.h tls/tickets.h core bpf/abi.h loader/loader.h loader/maps.h bpf/capture_abi.h loader/capture.h loader/probe.h loader/rehearse.h
cli		cli core conf/value.h control/message.h
'

{
	find bpf loader cli -name '*.[ch]' 2> /dev/null || true
	find userspace -mindepth 2 -name '*.[ch]' 2> /dev/null || true
} | sort | xargs -r awk -v table="$table" '
	BEGIN {
		rows = split(table, row, "\n")
		for (r = 1; r <= rows; r++) {
			words = split(row[r], word, /[ \t]+/)
			for (w = 2; w <= words; w++)
				may[word[1] "<" word[w]] = 1
		}
	}
	FNR == 1 {
		folder = FILENAME
		sub(/^userspace\//, "", folder)
		sub(/\/.*/, "", folder)
	}
	/^[ \t]*#[ \t]*include[ \t]*"/ {
		split($0, part, "\"")
		target = part[2]
		from = target
		sub(/\/.*/, "", from)
		if (target !~ /\//)
			say("include \"" target "\" does not name its folder")
		else if (!((folder "<" from) in may) && !((folder "<" target) in may))
			say(folder " must not include \"" target "\"")
	}
	function say(text)
	{
		printf "%s:%d: %s\n", FILENAME, FNR, text
		bad = 1
	}
	END { exit bad }
'
