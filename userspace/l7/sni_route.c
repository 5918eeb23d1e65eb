/* SPDX-License-Identifier: BSD-2-Clause */
/* TLS routes: see sni_route.h. */
#include "l7/sni_route.h"

/* How well a route fits, in this order: the whole name, a suffix by its length, any name. */
#define FIT_NOT	  0U
#define FIT_ANY	  1U /* a suffix: and its length */
#define FIT_WHOLE 1000U

static unsigned fit_name(const char *pattern, const struct client_hello *h)
{
	size_t len = strlen(pattern);

	if (pattern[0] != '*')
		return len == h->name_len && !memcmp(pattern, h->name, len) ? FIT_WHOLE : FIT_NOT;
	pattern++; /* ".example.com" */
	len--;
	if (h->name_len <= len || memcmp(h->name + h->name_len - len, pattern, len) != 0)
		return FIT_NOT;
	return FIT_ANY + (unsigned)len;
}

static unsigned fit_names(const struct sni_route *r, const struct client_hello *h)
{
	unsigned best = r->name_count ? FIT_NOT : FIT_ANY;

	for (size_t i = 0; i < r->name_count && best < FIT_WHOLE; i++) {
		unsigned fit = fit_name(r->names[i], h);

		best = fit > best ? fit : best;
	}
	return best;
}

static bool offers_one(const struct sni_route *r, struct slice offered)
{
	struct slice protocol;

	while (client_hello_next_alpn(&offered, &protocol))
		for (size_t i = 0; i < r->protocol_count; i++)
			if (slice_eq(protocol,
				     (struct slice){r->protocols[i], strlen(r->protocols[i])}))
				return true;
	return false;
}

const struct pool *sni_route_pool(const struct service *s, const struct client_hello *hello)
{
	const struct pool *best = s->pool;
	unsigned best_fit = FIT_NOT;

	for (size_t i = 0; i < s->sni_route_count; i++) {
		const struct sni_route *r = &s->sni_routes[i];
		unsigned fit = 2 * fit_names(r, hello) + (r->protocol_count > 0);

		if (fit < 2 * FIT_ANY || fit <= best_fit ||
		    (r->protocol_count && !offers_one(r, hello->alpn)))
			continue;
		best = r->pool;
		best_fit = fit;
	}
	return best;
}
