/* SPDX-License-Identifier: BSD-2-Clause */
#include "loader/decap_print.h"

#include <errno.h>
#include <inttypes.h>

#include <jansson.h>

static const char *const result_names[] = {
#define X(name, text) [DECAP_##name] = text,
	DECAP_RESULTS(X)
#undef X
};

static const char *const kind_names[] = {
#define X(name, text) [DECAP_KIND_##name] = text,
	DECAP_KINDS(X)
#undef X
};

/* Of all kinds of packets together. */
static uint64_t total(const struct decap_state *s, int result)
{
	uint64_t sum = 0;

	for (int kind = 0; kind < DECAP_KIND_COUNT; kind++)
		sum += s->counters[DECAP_COUNTER(kind, result)];
	return sum;
}

static void print_counters(const struct decap_state *s, FILE *out)
{
	fprintf(out, "  %-20s %12s", "packets", "all");
	for (int kind = 0; kind < DECAP_KIND_COUNT; kind++)
		fprintf(out, " %12s", kind_names[kind]);
	fputc('\n', out);
	for (int i = 0; i < DECAP_RESULT_COUNT; i++) {
		fprintf(out, "  %-20s %12" PRIu64, result_names[i], total(s, i));
		for (int kind = 0; kind < DECAP_KIND_COUNT; kind++)
			fprintf(out, " %12" PRIu64, s->counters[DECAP_COUNTER(kind, i)]);
		fputc('\n', out);
	}
}

static void print_state(const struct decap_state *s, FILE *out)
{
	char text[ADDR_STRLEN];

	if (s->attached)
		fprintf(out, "%s: attached (%s), program %" PRIu32 "\n", s->ifname,
			decap_how_name(s->how), s->prog_id);
	else
		fprintf(out, "%s: not attached any more; attach or detach to tidy up\n", s->ifname);
	fprintf(out, "  %-20s", "services");
	for (size_t i = 0; i < s->service_count; i++)
		fprintf(out, " %s", addr_format(&s->services[i], text, sizeof(text)));
	fputc('\n', out);
	if (s->gue_port)
		fprintf(out, "  %-20s %" PRIu16 "\n", "gue-port", s->gue_port);
	else
		fprintf(out, "  %-20s off\n", "gue-port");
	print_counters(s, out);
}

void decap_print_text(const struct decap_state *states, size_t count, FILE *out)
{
	if (!count)
		fprintf(out, "attached to no interface\n");
	for (size_t i = 0; i < count; i++)
		print_state(&states[i], out);
}

/* Names of results have hyphens, fields have underscores. */
static void put_counter(json_t *counters, const char *name, uint64_t value)
{
	char key[32];

	(void)snprintf(key, sizeof(key), "%s", name); /* no result has a longer name */
	for (char *c = key; *c; c++)
		if (*c == '-')
			*c = '_';
	(void)json_object_set_new(counters, key, json_integer((json_int_t)value));
}

/* kind: DECAP_KIND_COUNT: all together. A new reference, or NULL. */
static json_t *counters_json(const struct decap_state *s, int kind)
{
	json_t *counters = json_object();

	/* A failed set shows in the size; a NULL container fails each. */
	for (int i = 0; i < DECAP_RESULT_COUNT; i++)
		put_counter(counters, result_names[i],
			    kind == DECAP_KIND_COUNT ? total(s, i)
						     : s->counters[DECAP_COUNTER(kind, i)]);
	if (json_object_size(counters) == DECAP_RESULT_COUNT)
		return counters;
	json_decref(counters);
	return NULL;
}

/* The same for each kind alone. */
static json_t *kinds_json(const struct decap_state *s)
{
	json_t *kinds = json_object();

	for (int kind = 0; kind < DECAP_KIND_COUNT; kind++)
		(void)json_object_set_new(kinds, kind_names[kind], counters_json(s, kind));
	if (json_object_size(kinds) == DECAP_KIND_COUNT)
		return kinds;
	json_decref(kinds);
	return NULL;
}

static json_t *services_json(const struct decap_state *s)
{
	json_t *services = json_array();
	char text[ADDR_STRLEN];

	for (size_t i = 0; i < s->service_count; i++)
		(void)json_array_append_new(
			services, json_string(addr_format(&s->services[i], text, sizeof(text))));
	if (json_array_size(services) == s->service_count)
		return services;
	json_decref(services);
	return NULL;
}

/* A new reference, or NULL (json_pack takes over its objects, and fails for one that is NULL). */
static json_t *state_json(const struct decap_state *s)
{
	return json_pack("{s:s, s:b, s:s, s:I, s:o, s:i, s:o, s:o}", "interface", s->ifname,
			 "attached", s->attached, "mode", decap_how_name(s->how), "program_id",
			 (json_int_t)s->prog_id, "services", services_json(s), "gue_port",
			 (int)s->gue_port, "counters", counters_json(s, DECAP_KIND_COUNT), "kinds",
			 kinds_json(s));
}

int decap_print_json(const struct decap_state *states, size_t count, FILE *out)
{
	json_t *list = json_array(), *root;
	int err = -ENOMEM;

	for (size_t i = 0; i < count; i++)
		(void)json_array_append_new(list, state_json(&states[i]));
	root = json_pack("{s:o}", "interfaces", list);
	if (root && json_array_size(list) == count && !json_dumpf(root, out, JSON_INDENT(2))) {
		fputc('\n', out);
		err = 0;
	}
	json_decref(root);
	return err;
}

void decap_print_findings(const struct findings *f, FILE *out)
{
	for (size_t i = 0; i < f->count; i++) {
		const struct finding *finding = &f->list[i];
		const char *before = " -- ";

		fprintf(out, "%-4s  %s", check_level_name(finding->level), finding->what);
		if (finding->why)
			fprintf(out, " -- %s", finding->why);
		for (int n = 0; n < CHECK_FIXES; n++) {
			if (!finding->fix[n])
				continue;
			fprintf(out, "%s%s", before, finding->fix[n]);
			before = ", or: ";
		}
		fputc('\n', out);
	}
}

/* A new reference, or NULL. */
static json_t *finding_json(const struct finding *finding)
{
	json_t *fixes = json_array();
	size_t count = 0;

	for (int n = 0; n < CHECK_FIXES; n++) {
		if (!finding->fix[n])
			continue;
		count++;
		(void)json_array_append_new(fixes, json_string(finding->fix[n]));
	}
	if (json_array_size(fixes) != count) {
		json_decref(fixes);
		return NULL;
	}
	return json_pack("{s:s, s:s, s:s, s:s?, s:o}", "level", check_level_name(finding->level),
			 "subject", check_subject_name(finding->subject), "what", finding->what,
			 "why", finding->why, "fixes", fixes);
}

int decap_print_findings_json(const struct findings *f, FILE *out)
{
	json_t *list = json_array(), *root;
	int err = -ENOMEM;

	for (size_t i = 0; i < f->count; i++)
		(void)json_array_append_new(list, finding_json(&f->list[i]));
	root = json_pack("{s:s, s:o}", "worst", check_level_name(findings_worst(f)), "findings",
			 list);
	if (root && json_array_size(list) == f->count && !json_dumpf(root, out, JSON_INDENT(2))) {
		fputc('\n', out);
		err = 0;
	}
	json_decref(root);
	return err;
}
