/* SPDX-License-Identifier: BSD-2-Clause */
/* See sticky.h. */
#include "l7/sticky.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "conf/runtime.h"
#include "core/clock.h"
#include "l7/conn.h"
#include "l7/http1_parse.h"
#include "l7/routing.h"
#include "route/header_edit.h"
#include "tls/mac.h"

#define MAC_LEN	 16U
#define TAG_LEN	 8U
#define TIME_LEN 8U
/* Tag, time, MAC. */
#define TOKEN_LEN (TAG_LEN + TIME_LEN + MAC_LEN)

const struct header_edit sticky_edit = {.op = HEADER_ADD, .name = SLICE("set-cookie")};

/* ---- tokens -------------------------------------------------------------------------------- */

static void put_number(unsigned char out[8], uint64_t n)
{
	for (unsigned i = 0; i < 8; i++)
		out[i] = (unsigned char)(n >> (56 - 8 * i));
}

static uint64_t get_number(const unsigned char in[8])
{
	uint64_t n = 0;

	for (unsigned i = 0; i < 8; i++)
		n = n << 8 | in[i];
	return n;
}

/* Of the token's beginning, and the pool's name. False: OpenSSL failed. */
static bool sign(const struct pool *pool, const unsigned char *token, unsigned char mac[MAC_LEN])
{
	unsigned char text[TAG_LEN + TIME_LEN + 256], whole[TLS_MAC_LEN];
	size_t len = strnlen(pool->name, sizeof(text) - TAG_LEN - TIME_LEN);

	memcpy(text, token, TAG_LEN + TIME_LEN);
	memcpy(text + TAG_LEN + TIME_LEN, pool->name, len);
	if (!tls_mac(pool->sticky.secret, text, TAG_LEN + TIME_LEN + len, whole))
		return false;
	memcpy(mac, whole, MAC_LEN);
	return true;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool decode(struct slice value, unsigned char token[TOKEN_LEN])
{
	if (value.len != (size_t)2 * TOKEN_LEN)
		return false;
	for (unsigned i = 0; i < TOKEN_LEN; i++) {
		int high = digit(value.ptr[(size_t)2 * i]),
		    low = digit(value.ptr[(size_t)2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		token[i] = (unsigned char)(high << 4 | low);
	}
	return true;
}

/* ---- from the client ----------------------------------------------------------------------- */

/* Sessions go on while a backend drains, and where its weight was taken away. */
static bool may_go_on(const struct backend *be)
{
	return be->admin != ADMIN_DISABLED &&
	       atomic_load_explicit(&be->rt->health, memory_order_relaxed) != HEALTH_DOWN &&
	       !backend_is_ejected(be, clock_now_ms());
}

static const struct backend *find_tag(const struct pool *pool, uint64_t tag)
{
	for (size_t i = 0; i < pool->backend_count; i++)
		if (pool->backends[i].sticky_tag == tag)
			return &pool->backends[i];
	return NULL;
}

void sticky_find(const struct client *who, const struct head *h, const struct pool *pool,
		 struct sticky *ret)
{
	const struct route_input in = {
		.next_field = routing_next_field, .fields = h->fields, .field_count = h->count};
	struct service_counters *n = conn_counters(who->conn);
	unsigned char token[TOKEN_LEN], mac[MAC_LEN];
	const struct backend *be;
	struct slice value;
	uint64_t now = (uint64_t)time(NULL), made, ttl = pool->sticky.ttl_s;

	*ret = (struct sticky){0};
	if (!route_cookie(&in, slice_of(pool->sticky.cookie), &value))
		return;
	if (!decode(value, token) || !sign(pool, token, mac) ||
	    !tls_mac_is_equal(mac, token + TAG_LEN + TIME_LEN, MAC_LEN)) {
		counter_add(&n->sticky_forged, 1);
		return;
	}
	be = find_tag(pool, get_number(token));
	made = get_number(token + TAG_LEN);
	if (!be || (ttl && now > made && now - made > ttl))
		counter_add(&n->sticky_stale, 1);
	else if (!may_go_on(be))
		counter_add(&n->sticky_moved, 1);
	else
		*ret = (struct sticky){.backend = be,
				       .is_old = ttl && now > made && now - made > ttl / 2};
}

/* ---- to the client ------------------------------------------------------------------------- */

struct slice sticky_cookie(const struct client *who, const struct backend *be,
			   char buf[STICKY_COOKIE_MAX])
{
	static const char *const samesite[] = {"Lax", "Strict", "None"};
	const struct pool_sticky *conf = &be->pool->sticky;
	bool secure = conf->secure == STICKY_SECURE_ON ||
		      (conf->secure == STICKY_SECURE_AUTO && who->conn->io.tls);
	unsigned char token[TOKEN_LEN] = {0};
	char text[2 * TOKEN_LEN + 1], age[48] = "";
	int len;

	put_number(token, be->sticky_tag);
	put_number(token + TAG_LEN, (uint64_t)time(NULL));
	/* Where OpenSSL fails, it is a cookie that will not be believed. */
	(void)sign(be->pool, token, token + TAG_LEN + TIME_LEN);
	for (unsigned i = 0; i < TOKEN_LEN; i++)
		(void)snprintf(text + (size_t)2 * i, 3, "%02x", token[i]);
	if (conf->ttl_s)
		(void)snprintf(age, sizeof(age), "; Max-Age=%u", conf->ttl_s);
	len = snprintf(buf, STICKY_COOKIE_MAX, "%s=%s; Path=%s%s; HttpOnly; SameSite=%s%s",
		       conf->cookie, text, conf->path, age, samesite[conf->samesite],
		       secure ? "; Secure" : "");
	return (struct slice){buf, (size_t)len};
}
