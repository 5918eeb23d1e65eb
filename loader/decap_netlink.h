/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Questions to the kernel about its links, addresses, routes, sockets and packet filters, for
 * `shunt-decap check`. Asks only, changes nothing. All return 0 or -errno. Main thread.
 */
#ifndef LOADER_DECAP_NETLINK_H
#define LOADER_DECAP_NETLINK_H

#include <stddef.h>

#include "loader/decap_facts.h"

/* name, index, mtu, up, arp, kind of each interface; the rest zero. ret_list: malloc'ed. */
int netlink_links(struct fact_iface **ret_list, size_t *ret_count);

/* ret_list: malloc'ed. */
int netlink_addresses(struct fact_address **ret_list, size_t *ret_count);

/* How the host would send to dst. src: NULL or of family 0: any address of it. What the kernel
 * answers, refusal or route, goes into ret_route; -errno: it could not be asked. */
int netlink_route(const struct addr *dst, const struct addr *src, struct fact_route *ret_route);

/* What becomes of a packet that comes in by an interface: 0, or the kernel's -errno, in ret_err. */
int netlink_input(const struct addr *src, const struct addr *dst, unsigned ifindex, int *ret_err);

/* Does a socket take what comes for this endpoint, by TCP or UDP? */
int netlink_listening(const struct endpoint *ep, bool *ret_listening);

/* Chains of nftables that see packets on their way in. */
int netlink_input_chains(unsigned *ret_count);

#endif
