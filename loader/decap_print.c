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
	for (int i = 0; i < DECAP_RESULT_COUNT; i++)
		fprintf(out, "  %-20s %" PRIu64 "\n", result_names[i], s->counters[i]);
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

/* A new reference, or NULL. */
static json_t *state_json(const struct decap_state *s)
{
	json_t *services = json_array(), *counters = json_object();
	char text[ADDR_STRLEN];

	/* A failed append or set shows in the sizes below; NULL containers fail each. */
	for (size_t i = 0; i < s->service_count; i++)
		(void)json_array_append_new(
			services, json_string(addr_format(&s->services[i], text, sizeof(text))));
	for (int i = 0; i < DECAP_RESULT_COUNT; i++)
		put_counter(counters, result_names[i], s->counters[i]);
	if (json_array_size(services) != s->service_count ||
	    json_object_size(counters) != DECAP_RESULT_COUNT) {
		json_decref(services);
		json_decref(counters);
		return NULL;
	}
	return json_pack("{s:s, s:b, s:s, s:I, s:o, s:o}", "interface", s->ifname, "attached",
			 s->attached, "mode", decap_how_name(s->how), "program_id",
			 (json_int_t)s->prog_id, "services", services, "counters", counters);
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
