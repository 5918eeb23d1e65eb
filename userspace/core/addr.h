/* SPDX-License-Identifier: BSD-2-Clause */
/* IP addresses and endpoints as values: parse, format, compare. Pure; any thread. */
#ifndef CORE_ADDR_H
#define CORE_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define ADDR_STRLEN	INET6_ADDRSTRLEN
#define ENDPOINT_STRLEN (INET6_ADDRSTRLEN + 8) /* brackets, colon, five digits */

/* Unused bytes are zero, so that two equal addresses are equal byte for byte. */
struct addr {
	uint8_t family; /* AF_INET, AF_INET6; 0: none */
	union {
		struct in_addr v4;
		struct in6_addr v6;
		uint8_t bytes[16];
	};
};

struct endpoint {
	struct addr addr;
	uint16_t port; /* host order; 0: none */
};

/* "192.0.2.1" or "2001:db8::1". 0, or -EINVAL. */
int addr_parse(const char *text, struct addr *ret_addr);

/* "192.0.2.0/24", or a bare address (full length). 0, or -EINVAL also where host bits are set and
 * strict is true. */
int addr_parse_prefix(const char *text, bool strict, struct addr *ret_addr, unsigned *ret_len);

/* "192.0.2.1:80", "[2001:db8::1]:80", or an address alone (port 0). 0, or -EINVAL. */
int endpoint_parse(const char *text, struct endpoint *ret_ep);

/* Decimal 1..65535, nothing else around it. 0, or -EINVAL. */
int port_parse(const char *text, uint16_t *ret_port);

/* Write text with its zero into buf and return buf. len: ADDR_STRLEN, ENDPOINT_STRLEN at least. */
char *addr_format(const struct addr *addr, char *buf, size_t len);
char *endpoint_format(const struct endpoint *ep, char *buf, size_t len);

/* <0, 0, >0: a total order, by family first. */
int addr_cmp(const struct addr *a, const struct addr *b);
int endpoint_cmp(const struct endpoint *a, const struct endpoint *b);

/* 0.0.0.0 or ::; 127.0.0.0/8 or ::1. */
bool addr_is_unspecified(const struct addr *addr);
bool addr_is_loopback(const struct addr *addr);

/* Conversions to and from what the socket calls want. ret_len: size of the address written. */
void endpoint_to_sockaddr(const struct endpoint *ep, struct sockaddr_storage *ret_ss,
			  socklen_t *ret_len);
int endpoint_from_sockaddr(const struct sockaddr *sa, struct endpoint *ret_ep);

#endif
