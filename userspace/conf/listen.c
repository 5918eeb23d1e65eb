/* SPDX-License-Identifier: BSD-2-Clause */
/* What a service listens on: see listen.h. */
#include "conf/listen.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ANY_PORT "any"

/* Bytes from..to as text of their own; false where they are more than fit. */
static bool cut(const char *from, const char *to, char *buf, size_t len)
{
	if ((size_t)(to - from) >= len)
		return false;
	memcpy(buf, from, (size_t)(to - from));
	buf[to - from] = 0;
	return true;
}

/* "443", "8000-8099", "any" or "*". */
static int parse_ports(const char *text, struct listen *l)
{
	const char *dash = strchr(text, '-');
	char low[8];

	if (!strcmp(text, ANY_PORT) || !strcmp(text, "*")) {
		l->port_hi = UINT16_MAX;
		return 0;
	}
	if (!dash)
		return port_parse(text, &l->ep.port);
	if (!cut(text, dash, low, sizeof(low)) || port_parse(low, &l->ep.port) < 0 ||
	    port_parse(dash + 1, &l->port_hi) < 0 || l->port_hi <= l->ep.port)
		return -EINVAL;
	return 0;
}

/* "203.0.113.10", "203.0.113.0/24"; an IPv6 one stands in brackets, which are not part of it here. */
static int parse_addr(const char *text, bool bracketed, struct listen *l)
{
	unsigned len;

	if (addr_parse_prefix(text, true, &l->ep.addr, &len) < 0 ||
	    bracketed != (l->ep.addr.family == AF_INET6))
		return -EINVAL;
	if (len < (bracketed ? 128U : 32U))
		l->prefix_len = (uint8_t)len;
	/* All addresses there are: not told apart from none. */
	return len == 0 ? -EINVAL : 0;
}

int listen_parse(const char *text, struct listen *ret_listen)
{
	const char *slash = strrchr(text, '/'), *end, *ports;
	char addr[INET6_ADDRSTRLEN + 4], port[16];
	bool bracketed = *text == '[';
	struct listen l = {0};

	if (!slash)
		return -EINVAL;
	if (!strcmp(slash, "/tcp"))
		l.proto = IPPROTO_TCP;
	else if (!strcmp(slash, "/udp"))
		l.proto = IPPROTO_UDP;
	end = strchr(text, bracketed ? ']' : ':');
	ports = bracketed && end ? end + 1 : end;
	if (!l.proto || !ports || ports >= slash || *ports != ':' ||
	    !cut(text + bracketed, end, addr, sizeof(addr)) ||
	    !cut(ports + 1, slash, port, sizeof(port)))
		return -EINVAL;
	if (parse_addr(addr, bracketed, &l) < 0 || parse_ports(port, &l) < 0)
		return -EINVAL;
	*ret_listen = l;
	return 0;
}

char *listen_format(const struct listen *l, char *buf, size_t len)
{
	bool bracketed = l->ep.addr.family == AF_INET6;
	char addr[ADDR_STRLEN], prefix[8] = "", ports[16];

	addr_format(&l->ep.addr, addr, sizeof(addr));
	if (l->prefix_len)
		snprintf(prefix, sizeof(prefix), "/%u", l->prefix_len);
	if (l->port_hi && !l->ep.port)
		snprintf(ports, sizeof(ports), ANY_PORT);
	else if (l->port_hi)
		snprintf(ports, sizeof(ports), "%u-%u", l->ep.port, l->port_hi);
	else
		snprintf(ports, sizeof(ports), "%u", l->ep.port);
	snprintf(buf, len, "%s%s%s%s:%s/%s", bracketed ? "[" : "", addr, prefix,
		 bracketed ? "]" : "", ports, proto_name(l->proto));
	return buf;
}

int listen_cmp(const struct listen *a, const struct listen *b)
{
	int c = endpoint_cmp(&a->ep, &b->ep);

	if (!c)
		c = (int)a->proto - (int)b->proto;
	if (!c)
		c = (int)a->port_hi - (int)b->port_hi;
	return c ? c : (int)a->prefix_len - (int)b->prefix_len;
}

bool listen_is_exact(const struct listen *l)
{
	return !l->port_hi && !l->prefix_len;
}

bool listen_has_port(const struct listen *l, uint16_t port)
{
	return l->port_hi ? port >= l->ep.port && port <= l->port_hi : port == l->ep.port;
}

bool addr_in_prefix(const struct addr *addr, const struct addr *prefix, unsigned len)
{
	unsigned whole = len / 8, rest = len % 8;

	if (memcmp(addr->bytes, prefix->bytes, whole) != 0)
		return false;
	return !rest || !((addr->bytes[whole] ^ prefix->bytes[whole]) >> (8 - rest));
}

bool listen_has_addr(const struct listen *l, const struct addr *addr)
{
	if (!l->prefix_len)
		return !addr_cmp(&l->ep.addr, addr);
	return l->ep.addr.family == addr->family &&
	       addr_in_prefix(addr, &l->ep.addr, l->prefix_len);
}

bool listen_has(const struct listen *l, const struct endpoint *ep)
{
	if (!listen_has_port(l, ep->port))
		return false;
	if (!l->prefix_len && addr_is_unspecified(&l->ep.addr))
		return l->ep.addr.family == ep->addr.family;
	return listen_has_addr(l, &ep->addr);
}

/* Is a to be asked before b, where both have the address and port? */
static bool goes_before(const struct listen *a, const struct listen *b)
{
	bool any_a = !a->prefix_len && addr_is_unspecified(&a->ep.addr);
	bool any_b = !b->prefix_len && addr_is_unspecified(&b->ep.addr);
	unsigned len_a = a->prefix_len ? a->prefix_len : UINT8_MAX;
	unsigned len_b = b->prefix_len ? b->prefix_len : UINT8_MAX;
	int width_a = a->port_hi ? a->port_hi - a->ep.port : 0;
	int width_b = b->port_hi ? b->port_hi - b->ep.port : 0;

	if (any_a != any_b)
		return any_b;
	return len_a != len_b ? len_a > len_b : width_a < width_b;
}

const struct service *listen_find_proxied(const struct snapshot *snap, const struct endpoint *ep)
{
	const struct service *found = NULL;
	const struct listen *first = NULL;

	for (size_t i = 0; i < snap->service_count; i++) {
		const struct service *s = &snap->services[i];

		for (size_t k = 0; service_is_proxied(s) && k < s->listen_count; k++) {
			const struct listen *l = &s->listens[k];

			if (!listen_has(l, ep) || (first && !goes_before(l, first)))
				continue;
			first = l;
			found = s;
		}
	}
	return found;
}

char *listen_group(const struct service *s, const struct listen *l, char buf[LISTEN_GROUP_STRLEN])
{
	if (listen_is_exact(l))
		return endpoint_format(&l->ep, buf, LISTEN_GROUP_STRLEN);
	snprintf(buf, LISTEN_GROUP_STRLEN, "%s/%c", s->name,
		 l->ep.addr.family == AF_INET ? '4' : '6');
	return buf;
}

bool listen_overlaps(const struct listen *l, const struct addr *prefix, unsigned len, uint16_t low,
		     uint16_t high)
{
	/* As many bits as both have: equal so far, they have addresses in common. */
	unsigned common = l->prefix_len && l->prefix_len < len ? l->prefix_len : len;

	return l->ep.addr.family == prefix->family &&
	       (l->port_hi ? l->port_hi : l->ep.port) >= low && l->ep.port <= high &&
	       addr_in_prefix(&l->ep.addr, prefix, common);
}
