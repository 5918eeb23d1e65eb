/* SPDX-License-Identifier: BSD-2-Clause */
/* The interfaces of this network namespace and what XDP program each has, in one look. Any
 * thread. */
#ifndef LOADER_IFACES_H
#define LOADER_IFACES_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct iface {
	int index;
	unsigned mtu;
	uint32_t prog_id; /* 0: none */
	bool generic;	  /* the program is attached in generic mode */
	char name[IF_NAMESIZE];
};

/* ret_list: malloc'ed. 0, or -errno. */
int ifaces_list(struct iface **ret_list, size_t *ret_count);

/* One of them, by name. 0, -ENODEV, or another -errno. */
int ifaces_find(const char *name, struct iface *ret_iface);

#endif
