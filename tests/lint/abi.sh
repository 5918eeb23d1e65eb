#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# bpf/*abi.h have the same layout for the C compiler and for the BPF target, without hidden padding.
set -euo pipefail
cd "${1:-$(dirname "$0")/../..}"
check=tests/lint/abi_check.c
flags=(-std=gnu11 -Wall -Wextra -Wpadded -Werror -fsyntax-only -iquote .)

"${CC:-gcc}" "${flags[@]}" $check
"${CLANG:-clang}" "${flags[@]}" $check
"${CLANG:-clang}" -target bpf "${flags[@]}" -I"/usr/include/$("${CC:-gcc}" -print-multiarch)" $check
