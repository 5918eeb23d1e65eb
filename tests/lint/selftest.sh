#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Each lint is given a small tree with one thing wrong, and must refuse it; and the same tree
# without it, and must not.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
bad=0

fresh()
{
	rm -rf "${tree:?}"/*
	cp "$here/../../.clang-format" "$tree/"
	mkdir -p "$tree"/{bpf,loader,cli,tests/lint,userspace/{core,conf,l4,l7}}
	cp "$here"/../../bpf/*abi.h "$tree/bpf/"
	cp "$here/abi_check.c" "$tree/tests/lint/"
	spdx > "$tree/userspace/core/good.c"
}

spdx()
{
	echo "/* SPDX-License-Identifier: BSD-2-Clause */"
}

# refuses LINT FILE: with FILE as on standard input the lint fails, without it it does not.
refuses()
{
	local file=$tree/$2 output
	fresh
	if ! output=$("$here/$1.sh" "$tree" 2>&1); then
		printf '%s: refuses a tree with nothing wrong:\n%s\n' "$1" "$output"
		bad=1
	fi
	mkdir -p "$(dirname "$file")"
	cat > "$file"
	if "$here/$1.sh" "$tree" > /dev/null 2>&1; then
		echo "$1: did not notice $2"
		bad=1
	fi
}

refuses layers userspace/l7/a.c <<< '#include "l4/l4.h"'
refuses layers userspace/core/a.c <<< '#include "conf/tree.h"'
refuses layers bpf/a.h <<< '#include "core/diag.h"'
refuses layers userspace/l7/a.h <<< '#include "bpf/abi.h"'
refuses layers cli/a.c <<< '#include "conf/tree.h"'
refuses layers userspace/l4/a.c <<< '#include "loader/probe.h"'
refuses layers userspace/l4/a.c <<< '#include "ring.h"'
refuses banned userspace/core/a.c <<< '	strcpy(a, b);'
refuses banned tests/unit/a.c <<< '	usleep(10);'
refuses banned tests/net/test_a.py <<< '    time.sleep(1)'
refuses banned userspace/l4/a.c <<< '#include <bpf/bpf.h>'
refuses banned userspace/l7/conn.c <<< '#include <llhttp.h>'
refuses banned userspace/l7/conn.c <<< '#include <openssl/ssl.h>'
refuses banned bpf/a.h <<< '	bpf_printk("x");'
refuses format userspace/core/a.c <<< 'int  a( void ) {return 1;}'
refuses format tests/net/a.py <<< 'a = 1 '
refuses size userspace/core/a.c < <(seq 801)
refuses size userspace/core/a.c < <(printf 'int a(void)\n{\n'; seq 100; echo '}')
refuses abi bpf/abi.h < <(sed '0,/__u8 _pad\[2\];/s///' "$here/../../bpf/abi.h")
refuses shellcheck tests/a.sh < <(printf '#!/bin/sh\nrm $1\n')
refuses cppcheck userspace/core/a.c < <(spdx; printf 'int a(void)\n{\n\tint x[2];\n\treturn x[2];\n}\n')
refuses words userspace/core/a.c < <(spdx; echo '/* TO''DO */')
refuses words userspace/core/a.c < <(spdx; echo '/* see /ho''me/me/notes */')
refuses words userspace/core/a.c <<< 'int a;'
refuses python tests/net/a.py <<< 'import os'
exit $bad
