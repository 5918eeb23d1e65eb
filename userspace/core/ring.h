/* SPDX-License-Identifier: BSD-2-Clause */
/* Maglev lookup tables with true weights. Pure; any thread. */
#ifndef CORE_RING_H
#define CORE_RING_H

#include <stddef.h>
#include <stdint.h>

/* pool and name are the identity that decides which slots a member prefers. Borrowed. */
struct ring_member {
	const char *pool;
	const char *name;
	uint32_t weight; /* 0: takes no slot */
};

/*
 * Give every slot an owner: ret_owner[slot] is an index into members. The slots that an identity
 * gets depend on the set of (identity, weight), not on the order of members. size must be prime.
 * 0; -ENOENT: no member has a weight; -EINVAL: size is no prime; -ENOMEM.
 */
int ring_fill(const struct ring_member *members, size_t count, uint32_t *ret_owner, uint32_t size);

#endif
