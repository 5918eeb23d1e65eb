/* SPDX-License-Identifier: BSD-2-Clause */
/* IP addresses and endpoints: see addr.h. */
#include "core/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

int addr_parse(const char *text, struct addr *ret_addr)
{
	struct addr a = {0};

	if (inet_pton(AF_INET, text, &a.v4) == 1) {
		a.family = AF_INET;
	} else if (inet_pton(AF_INET6, text, &a.v6) == 1) {
		a.family = AF_INET6;
	} else {
		return -EINVAL;
	}
	*ret_addr = a;
	return 0;
}

/* Plain digits, no sign, no leading zero beside "0" itself, at most max. */
static int parse_number(const char *text, unsigned max, unsigned *ret)
{
	unsigned n = 0;
	const char *p = text;

	if (*p == '0' && p[1])
		return -EINVAL;
	for (; *p >= '0' && *p <= '9'; p++) {
		n = n * 10 + (unsigned)(*p - '0');
		if (n > max)
			return -EINVAL;
	}
	if (p == text || *p)
		return -EINVAL;
	*ret = n;
	return 0;
}

static bool has_host_bits(const struct addr *a, unsigned len)
{
	unsigned total = a->family == AF_INET ? 32 : 128;

	for (unsigned bit = len; bit < total; bit++)
		if (a->bytes[bit / 8] & (0x80U >> bit % 8))
			return true;
	return false;
}

int addr_parse_prefix(const char *text, bool strict, struct addr *ret_addr, unsigned *ret_len)
{
	const char *slash = strchr(text, '/');
	char buf[ADDR_STRLEN];
	struct addr a;
	unsigned len, max;

	if (!slash)
		slash = text + strlen(text);
	if ((size_t)(slash - text) >= sizeof(buf))
		return -EINVAL;
	memcpy(buf, text, (size_t)(slash - text));
	buf[slash - text] = 0;
	if (addr_parse(buf, &a) < 0)
		return -EINVAL;
	max = a.family == AF_INET ? 32 : 128;
	len = max;
	if (*slash && parse_number(slash + 1, max, &len) < 0)
		return -EINVAL;
	if (strict && has_host_bits(&a, len))
		return -EINVAL;
	*ret_addr = a;
	*ret_len = len;
	return 0;
}

int port_parse(const char *text, uint16_t *ret_port)
{
	unsigned n;

	if (parse_number(text, 65535, &n) < 0 || n == 0)
		return -EINVAL;
	*ret_port = (uint16_t)n;
	return 0;
}

int endpoint_parse(const char *text, struct endpoint *ret_ep)
{
	struct endpoint ep = {0};
	const char *host = text, *end, *port = NULL;
	char buf[ADDR_STRLEN];

	if (*text == '[') {
		host = text + 1;
		end = strchr(host, ']');
		if (!end || (end[1] && end[1] != ':'))
			return -EINVAL;
		if (end[1] == ':')
			port = end + 2;
	} else {
		const char *colon = strchr(text, ':');

		end = text + strlen(text);
		if (colon && !strchr(colon + 1, ':')) { /* exactly one: IPv4 with a port */
			end = colon;
			port = colon + 1;
		}
	}
	if ((size_t)(end - host) >= sizeof(buf))
		return -EINVAL;
	memcpy(buf, host, (size_t)(end - host));
	buf[end - host] = 0;
	if (addr_parse(buf, &ep.addr) < 0 || (*text == '[' && ep.addr.family != AF_INET6))
		return -EINVAL;
	if (port && port_parse(port, &ep.port) < 0)
		return -EINVAL;
	*ret_ep = ep;
	return 0;
}

/* inet_ntop() spends its time in snprintf(), and the proxy writes an address with every request. */
static char *format_v4(const uint8_t bytes[4], char *buf)
{
	char *p = buf;

	for (int i = 0; i < 4; i++) {
		if (i)
			*p++ = '.';
		if (bytes[i] >= 100)
			*p++ = (char)('0' + bytes[i] / 100);
		if (bytes[i] >= 10)
			*p++ = (char)('0' + bytes[i] / 10 % 10);
		*p++ = (char)('0' + bytes[i] % 10);
	}
	*p = 0;
	return buf;
}

char *addr_format(const struct addr *addr, char *buf, size_t len)
{
	if (addr->family == AF_INET && len >= INET_ADDRSTRLEN)
		return format_v4(addr->bytes, buf);
	if (!addr->family || !inet_ntop(addr->family, addr->bytes, buf, (socklen_t)len))
		snprintf(buf, len, "-");
	return buf;
}

char *endpoint_format(const struct endpoint *ep, char *buf, size_t len)
{
	char a[ADDR_STRLEN];

	addr_format(&ep->addr, a, sizeof(a));
	if (!ep->port)
		snprintf(buf, len, "%s", a);
	else
		snprintf(buf, len, ep->addr.family == AF_INET6 ? "[%s]:%u" : "%s:%u", a, ep->port);
	return buf;
}

int addr_cmp(const struct addr *a, const struct addr *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

int endpoint_cmp(const struct endpoint *a, const struct endpoint *b)
{
	int c = addr_cmp(&a->addr, &b->addr);

	return c ? c : (int)a->port - (int)b->port;
}

bool addr_is_unspecified(const struct addr *addr)
{
	static const uint8_t zero[16];

	return addr->family && !memcmp(addr->bytes, zero, sizeof(zero));
}

bool addr_is_loopback(const struct addr *addr)
{
	if (addr->family == AF_INET)
		return addr->bytes[0] == 127;
	return addr->family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&addr->v6);
}

void endpoint_to_sockaddr(const struct endpoint *ep, struct sockaddr_storage *ret_ss,
			  socklen_t *ret_len)
{
	memset(ret_ss, 0, sizeof(*ret_ss));
	if (ep->addr.family == AF_INET6) {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret_ss;

		in6->sin6_family = AF_INET6;
		in6->sin6_addr = ep->addr.v6;
		in6->sin6_port = htons(ep->port);
		*ret_len = sizeof(*in6);
	} else {
		struct sockaddr_in *in = (struct sockaddr_in *)ret_ss;

		in->sin_family = AF_INET;
		in->sin_addr = ep->addr.v4;
		in->sin_port = htons(ep->port);
		*ret_len = sizeof(*in);
	}
}

int endpoint_from_sockaddr(const struct sockaddr *sa, struct endpoint *ret_ep)
{
	struct endpoint ep = {0};

	ep.addr.family = (uint8_t)sa->sa_family;
	if (sa->sa_family == AF_INET) {
		ep.addr.v4 = ((const struct sockaddr_in *)sa)->sin_addr;
		ep.port = ntohs(((const struct sockaddr_in *)sa)->sin_port);
	} else if (sa->sa_family == AF_INET6) {
		ep.addr.v6 = ((const struct sockaddr_in6 *)sa)->sin6_addr;
		ep.port = ntohs(((const struct sockaddr_in6 *)sa)->sin6_port);
	} else {
		return -EAFNOSUPPORT;
	}
	*ret_ep = ep;
	return 0;
}
