/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/* CLOCK_MONOTONIC_COARSE. It moves once a tick, and to ask for it is a call, while the count of ticks
 * can be read without one: each processor asks once a tick. */
#ifndef SHUNT_BPF_CLOCK_H
#define SHUNT_BPF_CLOCK_H

#include "bpf/compat.h"

struct tick {
	__u64 count;
	__u64 now_ns;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct tick);
	__uint(max_entries, 1);
} sh_tick SEC(".maps");

static __always_inline __u64 clock_now_ns(void)
{
	__u32 zero = 0;
	struct tick *tick = bpf_map_lookup_elem(&sh_tick, &zero);
	__u64 count = bpf_jiffies64();

	if (!tick)
		return bpf_ktime_get_coarse_ns();
	if (tick->count != count) {
		tick->now_ns = bpf_ktime_get_coarse_ns();
		tick->count = count;
	}
	return tick->now_ns;
}

/* The same by a call: see backend_find_far(). */
static __noinline __u64 clock_now_ns_far(void)
{
	return clock_now_ns();
}

#endif
