/* SPDX-License-Identifier: BSD-2-Clause */
/* What a service listens on, as text and by what it covers. Pure; any thread. */
#ifndef CONF_LISTEN_H
#define CONF_LISTEN_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/snapshot.h"

#define LISTEN_STRLEN (ENDPOINT_STRLEN + 16) /* prefix length, a second port, the protocol */

/* 0, or -EINVAL. A prefix of full length is its address. */
int listen_parse(const char *text, struct listen *ret_listen);

/* Write text with its zero into buf and return buf. len: LISTEN_STRLEN at least. */
char *listen_format(const struct listen *l, char *buf, size_t len);

/* <0, 0, >0: a total order, by address and port first; 0: both say the same. */
int listen_cmp(const struct listen *a, const struct listen *b);

bool listen_is_exact(const struct listen *l); /* one port of one address */
bool listen_has_port(const struct listen *l, uint16_t port);
bool listen_has_addr(const struct listen *l, const struct addr *addr);

/* Does a connection whose local end is ep come to it? A wildcard address has every one. */
bool listen_has(const struct listen *l, const struct endpoint *ep);

/* The proxied service that a connection with this local end comes to: an address before a longer before
 * a shorter prefix, of each a port before a narrower before a wider range, a wildcard last. NULL: none. */
const struct service *listen_find_proxied(const struct snapshot *snap, const struct endpoint *ep);

/*
 * By which listening sockets proxied services are served, as a text that tells them apart: those of a
 * port and address ("192.0.2.1:80"), or, for all its ranges and prefixes of a family, those of the
 * service ("NAME/4", "NAME/6"). Returns buf.
 */
#define LISTEN_GROUP_STRLEN 80
char *listen_group(const struct service *s, const struct listen *l, char buf[LISTEN_GROUP_STRLEN]);

/* Do the first len bits of both say the same? Of one family. */
bool addr_in_prefix(const struct addr *addr, const struct addr *prefix, unsigned len);

/* Has it an address of that prefix (of len bits) and, there, one of those ports? */
bool listen_overlaps(const struct listen *l, const struct addr *prefix, unsigned len, uint16_t low,
		     uint16_t high);

#endif
