/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * The few words that parse.h, hash.h and csum.h take from their surroundings. They are built for
 * the kernel by clang, and natively, as plain C, for unit tests and the fuzzer.
 */
#ifndef SHUNT_BPF_COMPAT_H
#define SHUNT_BPF_COMPAT_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef __bpf__

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#else

#include <endian.h>

#ifndef __noinline
#define __noinline __attribute__((noinline))
#endif

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

/* The compiler takes the variable for another one from here on. */
#define barrier_var(x) asm volatile("" : "+r"(x))

#define bpf_htons(x) htobe16(x)
#define bpf_ntohs(x) be16toh(x)
#define bpf_htonl(x) htobe32(x)
#define bpf_ntohl(x) be32toh(x)

#endif

/*
 * x, of which the kernel's verifier forgets what it knew: it follows each known value on its own to the
 * end of the program, and all unknown ones together. any: a number that it does not know, from a packet.
 */
static __always_inline __u64 forget(__u64 x, __u64 any)
{
	x ^= any;
	barrier_var(x);
	return x ^ any;
}

#endif
