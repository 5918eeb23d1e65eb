/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of requests: see request_id.h. */
#include "l7/request_id.h"

bool request_id_is_good(struct slice id)
{
	static const char bytes[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "-._~:/+=@,;|";

	if (!id.len || id.len > REQUEST_ID_MAX)
		return false;
	for (size_t i = 0; i < id.len; i++)
		if (!memchr(bytes, id.ptr[i], sizeof(bytes) - 1))
			return false;
	return true;
}

/* The lowest digits of n. */
static char *put_hex(char *out, uint64_t n, unsigned digits)
{
	for (unsigned i = digits; i; i--)
		*out++ = "0123456789abcdef"[n >> 4 * (i - 1) & 15];
	return out;
}

struct slice request_id_make(char out[REQUEST_ID_MADE], uint64_t unix_ms, const uint64_t random[2])
{
	char *p = put_hex(out, unix_ms >> 16, 8);

	*p++ = '-';
	p = put_hex(p, unix_ms, 4);
	*p++ = '-';
	*p++ = '7'; /* version */
	p = put_hex(p, random[0], 3);
	*p++ = '-';
	p = put_hex(p, 8 | (random[0] >> 12 & 3), 1); /* variant */
	p = put_hex(p, random[0] >> 14, 3);
	*p++ = '-';
	p = put_hex(p, random[1], 12);
	return (struct slice){out, (size_t)(p - out)};
}
