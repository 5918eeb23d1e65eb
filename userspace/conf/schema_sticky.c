/* SPDX-License-Identifier: BSD-2-Clause */
/* The keys of cookies that bring clients back: a part of the table in schema.h. */
#include "conf/fields.h"
#include "conf/schema.h"
#include "conf/snapshot.h"

#define FIELD(type, member) .offset = offsetof(type, member), .width = sizeof(((type *)0)->member)

#define SECOND	1000ULL
#define TTL_MAX (365 * 24 * 3600 * SECOND)

static const char *const secure_words[] = {"auto", "on", "off", NULL};
static const char *const samesite_words[] = {"lax", "strict", "none", NULL};

static const struct keyword sticky_keys[] = {
	{.name = "cookie",
	 .text = "its name",
	 .type = KEY_TEXT,
	 FIELD(struct pool_sticky, cookie),
	 .form = "the name of a cookie, of at most 64 bytes",
	 .refuse_text = field_refuse_cookie,
	 .required = true},
	{.name = "key",
	 .text = "file with a secret of 32 bytes or more that signs cookies, the same in a whole "
		 "fleet; another secret makes all cookies void. It is read when the daemon starts "
		 "and by a reload",
	 .type = KEY_TEXT,
	 FIELD(struct pool_sticky, key),
	 .form = "an absolute path",
	 .refuse_text = field_refuse_path,
	 .required = true},
	{.name = "ttl",
	 .text = "how long a cookie is good; one that is older than half of it is replaced; 0s: "
		 "until the client forgets it",
	 .type = KEY_DURATION,
	 FIELD(struct pool_sticky, ttl_s),
	 .scale = SECOND,
	 .max = TTL_MAX,
	 .fallback = "0s"},
	{.name = "path",
	 .text = "its Path attribute",
	 .type = KEY_TEXT,
	 FIELD(struct pool_sticky, path),
	 .form = "a path that starts with /, without spaces and semicolons",
	 .refuse_text = field_refuse_cookie_path,
	 .fallback = "/"},
	{.name = "secure",
	 .text = "its Secure attribute; auto: where the client speaks TLS to us",
	 .type = KEY_CHOICE,
	 FIELD(struct pool_sticky, secure),
	 .words = secure_words,
	 .fallback = "auto"},
	{.name = "samesite",
	 .text = "its SameSite attribute; clients want secure with none",
	 .type = KEY_CHOICE,
	 FIELD(struct pool_sticky, samesite),
	 .words = samesite_words,
	 .fallback = "lax"},
};
const struct section schema_sticky = {
	.name = "sticky of a pool",
	.text = "A cookie, HttpOnly and signed, that says which backend a client has",
	.keys = sticky_keys,
	.count = sizeof(sticky_keys) / sizeof(sticky_keys[0])};
