/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Cookies that bring a client back to its backend. A value is, in hexadecimal digits, a hash of the
 * backend's name and address, the time of its making, and an HMAC-SHA256 of both and of the pool's
 * name, cut to 16 bytes; workers and daemons with the same secret agree. One thread.
 */
#ifndef L7_STICKY_H
#define L7_STICKY_H

#include <stdbool.h>

#include "core/slice.h"

struct backend;
struct client;
struct head;
struct header_edit;
struct pool;

struct sticky {
	const struct backend *backend; /* that is to be tried first; NULL: any */
	bool is_old;		       /* the cookie is to be replaced */
};

/* What the request's cookie says; counts what is wrong with it. pool: with a cookie. */
void sticky_find(const struct client *who, const struct head *h, const struct pool *pool,
		 struct sticky *ret);

/* The value of Set-Cookie, in buf, and the edit that adds it. */
#define STICKY_COOKIE_MAX 640U
struct slice sticky_cookie(const struct client *who, const struct backend *be,
			   char buf[STICKY_COOKIE_MAX]);
extern const struct header_edit sticky_edit;

#endif
