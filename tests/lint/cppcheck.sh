#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# cppcheck over everything that runs in user space; tests/lint/cppcheck.txt says what is not a bug
# and why.
set -euo pipefail
cd "${1:-$(dirname "$0")/../..}"
suppressions=()
[ -e tests/lint/cppcheck.txt ] && suppressions=(--suppressions-list=tests/lint/cppcheck.txt)
dirs=()
for dir in loader userspace cli; do
	[ -d $dir ] && dirs+=("$dir")
done
exec cppcheck --quiet --error-exitcode=1 --enable=warning,performance,portability --std=c11 \
	--inline-suppr --max-configs=4 -j "$(nproc)" "${suppressions[@]}" \
	-D'LIBBPF_OPTS(type, name, ...)=struct type name = {0}' \
	-D'DECLARE_LIBXDP_OPTS(type, name, ...)=struct type name = {0}' \
	-I . -I userspace -D__linux__ -D_GNU_SOURCE -D__x86_64__ "${dirs[@]}"
