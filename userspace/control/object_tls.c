/* SPDX-License-Identifier: BSD-2-Clause */
/* JSON of a service's certificates: see objects.h. */
#include <time.h>

#include "control/json_build.h"
#include "control/objects.h"
#include "tls/cert.h"

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

static json_t *certificate_json(const struct tls_files *f, const struct tls_cert *c)
{
	json_t *o = json_object();
	bool failed = !o;

	json_put(o, "cert", json_string(f->cert), &failed);
	json_put(o, "names", names_json(c), &failed);
	json_put(o, "key", json_string(tls_key_kind_name(c->kind)), &failed);
	json_put(o, "bits", json_integer(c->bits), &failed);
	json_put(o, "not_before", when_json(c->not_before), &failed);
	json_put(o, "not_after", when_json(c->not_after), &failed);
	json_put(o, "expires_in_seconds", json_integer(c->not_after - time(NULL)), &failed);
	return json_finish(o, failed);
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
	for (size_t i = 0; i < s->tls.certificate_count; i++)
		json_push(list, certificate_json(&s->tls.certificates[i], s->tls.loaded[i]),
			  &failed);
	json_put(o, "policy", json_string(tls_policy_words[s->tls.policy]), &failed);
	json_put(o, "certificates", list, &failed);
	return json_finish(o, failed);
}
