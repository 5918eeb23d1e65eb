/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/cert_near.h"

#include <stdbool.h>

/* Who renews by machine does so when a third is left: then this was missed. */
#define CERT_NEAR_S	(14 * 24 * 3600)
#define NEAR_PART_OF(s) ((s) / 4)

static bool is_near(int64_t from, int64_t to, int64_t at_most, int64_t now)
{
	int64_t near = NEAR_PART_OF(to - from);

	return to - now < (near < at_most ? near : at_most);
}

const char *cert_warning(const struct tls_cert *c, int64_t now)
{
	if (c->not_after <= now)
		return "has expired";
	if (c->not_before > now)
		return "is not valid yet";
	return is_near(c->not_before, c->not_after, CERT_NEAR_S, now) ? "expires soon" : NULL;
}

const char *staple_warning(struct tls_staple *s, int64_t now)
{
	struct tls_staple_info info;

	tls_staple_info(s, &info);
	switch (info.state) {
	case TLS_STAPLE_GOOD: break;
	case TLS_STAPLE_EXPIRED: return "its OCSP response has expired";
	case TLS_STAPLE_EARLY: return "its OCSP response is not valid yet";
	case TLS_STAPLE_REVOKED: return "its OCSP response says that it is revoked";
	case TLS_STAPLE_UNKNOWN: return "its OCSP responder does not know it";
	}
	if (tls_staple_problem(s))
		return "the file of its OCSP response cannot be used";
	return is_near(info.this_update, info.next_update, INT64_MAX, now)
		       ? "its OCSP response expires soon"
		       : NULL;
}
