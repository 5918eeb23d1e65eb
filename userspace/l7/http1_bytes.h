/* SPDX-License-Identifier: BSD-2-Clause */
/* Classes of bytes in HTTP/1 messages (RFC 9110, 5.6.2; RFC 9112, 3.2). Pure. */
#ifndef L7_HTTP1_BYTES_H
#define L7_HTTP1_BYTES_H

#include <stdbool.h>
#include <stddef.h>

#define HTTP1_TOKEN  1 /* tchar */
#define HTTP1_TARGET 2 /* printable ASCII but "#" */
#define HTTP1_HOST   4 /* of a host and port: no comma, no user name */

extern const unsigned char http1_bytes[256];

static inline bool http1_all(const char *p, size_t len, unsigned char_class)
{
	for (size_t i = 0; i < len; i++)
		if (!(http1_bytes[(unsigned char)p[i]] & char_class))
			return false;
	return true;
}

static inline bool http1_is_token(const char *p, size_t len)
{
	return len && http1_all(p, len, HTTP1_TOKEN);
}

/* Value of a hexadecimal digit; -1: is none. */
static inline int http1_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

#endif
