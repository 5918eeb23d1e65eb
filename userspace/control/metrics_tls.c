/* SPDX-License-Identifier: BSD-2-Clause */
/* Metrics of certificates: see metrics_int.h. */
#include "control/metrics_int.h"
#include "tls/cert.h"
#include "tls/staple.h"

/* A value of one certificate; false: it has none. */
typedef bool (*value_of)(const struct service *s, size_t i, double *ret_value);

static bool not_after(const struct service *s, size_t i, double *ret_value)
{
	*ret_value = (double)s->tls.loaded[i]->not_after;
	return true;
}

static bool take_staple(const struct service *s, size_t i, struct tls_staple_info *ret_info)
{
	if (s->tls.staples[i])
		tls_staple_info(s->tls.staples[i], ret_info);
	return s->tls.staples[i] != NULL;
}

static bool this_update(const struct service *s, size_t i, double *ret_value)
{
	struct tls_staple_info info;

	if (!take_staple(s, i, &info))
		return false;
	*ret_value = (double)info.this_update;
	return true;
}

static bool next_update(const struct service *s, size_t i, double *ret_value)
{
	struct tls_staple_info info;

	if (!take_staple(s, i, &info))
		return false;
	*ret_value = (double)info.next_update;
	return true;
}

static bool is_good(const struct service *s, size_t i, double *ret_value)
{
	struct tls_staple_info info;

	if (!take_staple(s, i, &info))
		return false;
	*ret_value = info.state == TLS_STAPLE_GOOD;
	return true;
}

static void add(struct exposition *e, const struct snapshot *snap, size_t count, value_of value)
{
	for (size_t i = 0; i < count; i++) {
		const struct service *s = &snap->services[i];
		double n;

		for (size_t k = 0; service_has_tls(s) && k < s->tls.certificate_count; k++)
			if (value(s, k, &n))
				exposition_number(e,
						  (const struct label[]){
							  {"service", s->name},
							  {"cert", s->tls.certificates[k].cert},
							  {0}},
						  n);
	}
}

void metrics_certificates(struct exposition *e, const struct snapshot *snap, size_t count)
{
	exposition_family(e, "shunt_certificate_not_after_seconds", METRIC_GAUGE,
			  "When a certificate expires, in seconds since 1970.");
	add(e, snap, count, not_after);
	exposition_family(
		e, "shunt_ocsp_this_update_seconds", METRIC_GAUGE,
		"When the OCSP response of a certificate was made, in seconds since 1970.");
	add(e, snap, count, this_update);
	exposition_family(
		e, "shunt_ocsp_next_update_seconds", METRIC_GAUGE,
		"When the OCSP response of a certificate expires, in seconds since 1970.");
	add(e, snap, count, next_update);
	exposition_family(e, "shunt_ocsp_good", METRIC_GAUGE,
			  "Is the OCSP response of a certificate one that clients get?");
	add(e, snap, count, is_good);
}
