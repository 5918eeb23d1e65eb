#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Calls that are not to be made, and libraries that belong to one place.
set -uo pipefail
cd "${1:-$(dirname "$0")/../..}" || exit 1
bad=0

# refuse TEXT REGEX GREP-ARGS...: what matches is wrong. Lines that are a comment do not count.
refuse()
{
	local text=$1 regex=$2 found
	shift 2
	found=$(grep -nEr "$regex" "$@" 2> /dev/null | grep -vE '^[^:]+:[0-9]+:[[:space:]]*(/?\*|//|#[^i])' || true)
	if [ -n "$found" ]; then
		echo "$text:"
		echo "$found"
		bad=1
	fi
}

# only_in TEXT REGEX FILES-REGEX: an include that is right in some files only.
only_in()
{
	local found
	found=$(grep -nEr --include='*.[ch]' "^[[:space:]]*#[[:space:]]*include[[:space:]]*[<\"]($2)" \
		bpf loader userspace cli tests 2> /dev/null | grep -vE "^($3)" || true)
	if [ -n "$found" ]; then
		echo "$1:"
		echo "$found"
		bad=1
	fi
}

code=(bpf loader userspace cli tests --include=*.c --include=*.h)

refuse "no bound on what is written" '\b(strcpy|strcat|sprintf|vsprintf|gets|stpcpy)\(' "${code[@]}"
refuse "state between calls, or errors that cannot be seen" '\b(strtok|atoi|atol|atoll|atof)\(' "${code[@]}"
refuse "stack of a size that others choose" '\balloca\(' "${code[@]}"
refuse "not for programs in production" '\b(bpf_printk|bpf_trace_printk)\(' bpf
refuse "printf in a library: return errors, or use the log" '\b(printf|puts)\(' \
	userspace/core userspace/route userspace/conf userspace/l4 userspace/l7 userspace/health userspace/worker \
	userspace/control --include=*.c
refuse "a test waits for a condition, with a deadline" '\b(sleep|usleep|nanosleep|clock_nanosleep)\(' \
	tests --include=*.c --include=*.h
# lab.py has the one loop that waits; servers.py and clients.py are the outside world.
refuse "a test waits for a condition: wait_until()" '\bsleep\(' tests --include=*.py \
	--exclude=lab.py --exclude=servers.py --exclude=clients.py

only_in "only loader/ (and tests that load programs) may use libbpf and libxdp" \
	'bpf/(libbpf|bpf|btf)\.h|xdp/libxdp\.h' 'loader/|tests/bpf/|tests/net/'
only_in "only l7/http1_parse.c may use llhttp" 'llhttp\.h' 'userspace/l7/http1_parse\.c'
only_in "only l7/h2_* and health/probe_grpc.c may use nghttp2" 'nghttp2/' \
	'userspace/l7/h2_|userspace/health/probe_grpc\.c'
only_in "only tls/ and l7/tls* (and tests of them) may use OpenSSL" 'openssl/' \
	'userspace/tls/|userspace/l7/tls|tests/unit/test_tls_'
only_in "only route/regex.c may use PCRE2" 'pcre2' 'userspace/route/regex\.c'
only_in "only conf/ may use libyaml" 'yaml\.h' 'userspace/conf/'
only_in "only control/ may use libmicrohttpd" 'microhttpd\.h' 'userspace/control/'
only_in "only cli/ may use libcurl" 'curl/' 'cli/'

exit $bad
