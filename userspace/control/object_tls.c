/* SPDX-License-Identifier: BSD-2-Clause */
/* JSON of a service's certificates: see objects.h. */
#include <time.h>

#include "control/cert_near.h"
#include "control/json_build.h"
#include "control/objects.h"
#include "tls/cert.h"
#include "tls/staple.h"

static json_t *names_json(const struct tls_cert *c)
{
	json_t *list = json_array();
	bool failed = !list;

	for (size_t i = 0; i < c->name_count; i++)
		json_push(list, json_string(c->names[i]), &failed);
	return json_finish(list, failed);
}

static json_t *when_json(int64_t seconds)
{
	char text[32];
	time_t when = (time_t)seconds;
	struct tm tm;

	(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&when, &tm));
	return json_string(text);
}

static json_t *staple_json(const char *path, struct tls_staple *s)
{
	struct tls_staple_info info;
	const char *problem;
	json_t *o;
	bool failed;

	if (!s)
		return json_null();
	problem = tls_staple_problem(s);
	tls_staple_info(s, &info);
	o = json_object();
	failed = !o;
	json_put(o, "file", json_string(path), &failed);
	json_put(o, "state", json_string(tls_staple_state_text(info.state)), &failed);
	json_put(o, "problem", problem ? json_string(problem) : json_null(), &failed);
	json_put(o, "this_update", when_json(info.this_update), &failed);
	json_put(o, "next_update", when_json(info.next_update), &failed);
	json_put(o, "age_seconds", json_integer(time(NULL) - info.this_update), &failed);
	json_put(o, "expires_in_seconds", json_integer(info.next_update - time(NULL)), &failed);
	return json_finish(o, failed);
}

/* The certificate's own matter first. */
static json_t *warning_json(const struct tls_cert *c, struct tls_staple *staple)
{
	const char *text = cert_warning(c, time(NULL));

	if (!text && staple)
		text = staple_warning(staple, time(NULL));
	return text ? json_string(text) : json_null();
}

/* service: its name, where it is not told by where this stands; else NULL. */
static json_t *certificate_json(const char *service, const struct tls_files *f,
				const struct tls_cert *c, struct tls_staple *staple)
{
	json_t *o = json_object();
	bool failed = !o;

	if (service)
		json_put(o, "service", json_string(service), &failed);
	json_put(o, "cert", json_string(f->cert), &failed);
	json_put(o, "names", names_json(c), &failed);
	json_put(o, "key", json_string(tls_key_kind_name(c->kind)), &failed);
	json_put(o, "bits", json_integer(c->bits), &failed);
	json_put(o, "not_before", when_json(c->not_before), &failed);
	json_put(o, "not_after", when_json(c->not_after), &failed);
	json_put(o, "expires_in_seconds", json_integer(c->not_after - time(NULL)), &failed);
	json_put(o, "ocsp", staple_json(f->ocsp, staple), &failed);
	json_put(o, "warning", warning_json(c, staple), &failed);
	return json_finish(o, failed);
}

static void push_certificates(json_t *list, const char *name, const struct service *s, bool *failed)
{
	for (size_t i = 0; service_has_tls(s) && i < s->tls.certificate_count; i++)
		json_push(list,
			  certificate_json(name, &s->tls.certificates[i], s->tls.loaded[i],
					   s->tls.staples[i]),
			  failed);
}

json_t *object_certificates(const struct snapshot *snap)
{
	json_t *list = json_array();
	bool failed = !list;

	for (size_t i = 0; i < snap->service_count; i++)
		push_certificates(list, snap->services[i].name, &snap->services[i], &failed);
	return json_pack("{s:o}", "certificates", json_finish(list, failed));
}

json_t *object_tls(const struct service *s)
{
	json_t *o, *list;
	bool failed;

	if (!service_has_tls(s))
		return json_null();
	o = json_object();
	list = json_array();
	failed = !o || !list;
	push_certificates(list, NULL, s, &failed);
	json_put(o, "policy", json_string(tls_policy_words[s->tls.policy]), &failed);
	json_put(o, "early_data", json_string(s->tls.early_data == EARLY_DATA_ON ? "on" : "off"),
		 &failed);
	json_put(o, "certificates", list, &failed);
	return json_finish(o, failed);
}
