/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What this kernel, this user and these interfaces can do, found by trying. For `shunt-load probe`
 * and for messages that say what is missing. Main thread.
 */
#ifndef LOADER_PROBE_H
#define LOADER_PROBE_H

#include <stdbool.h>
#include <stddef.h>

#define PROBE_TEXT_MAX 192

struct probe_item {
	const char *name; /* "btf", "cap-bpf", "xdp-dispatcher", ... */
	bool ok;
	bool required;		   /* Shunt cannot steer without it */
	char text[PROBE_TEXT_MAX]; /* what was found, or what to do */
};

/* ifnames: interfaces to look at as well; may be NULL with count 0. ret_items: malloc'ed.
 * 0, or -errno. */
int probe_run(const char *const *ifnames, size_t count, struct probe_item **ret_items,
	      size_t *ret_count);

#endif
