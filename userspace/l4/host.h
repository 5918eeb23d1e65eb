/* SPDX-License-Identifier: BSD-2-Clause */
/* What the desired rows take from this host: tunnel source addresses and MTU. Main thread. */
#ifndef L4_HOST_H
#define L4_HOST_H

#include <stdint.h>

#include "conf/snapshot.h"

struct host {
	const char *interface;	  /* the first of the node, for messages; borrowed */
	struct addr source[2];	  /* [0] IPv4 [1] IPv6; family 0: there is none */
	struct addr own[2];	  /* of the first interface, likewise */
	uint32_t entropy_bits[2]; /* low bits of the source that may carry flow entropy, <= 32 */
	uint16_t mtu;		  /* smallest of the node's interfaces */
	unsigned processors;	  /* that share the room for new flows; 0 is 1 */
};

/* 0; -ENODEV where an interface of the node does not exist, or another -errno; d filled. */
int host_read(const struct node *node, struct host *ret_host, struct diag *d);

#endif
