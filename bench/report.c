/* SPDX-License-Identifier: BSD-2-Clause */
#include "bench/report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include <jansson.h>

#define JSON_DIGITS 5
#define CPU_LINE    256

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double median(const double *values, unsigned count)
{
	double sorted[MAX_ROUNDS];

	memcpy(sorted, values, count * sizeof(*values));
	qsort(sorted, count, sizeof(*sorted), ascending);
	return (sorted[count / 2] + sorted[(count - 1) / 2]) / 2;
}

double least(const double *values, unsigned count)
{
	double min = values[0];

	for (unsigned i = 1; i < count; i++)
		if (values[i] < min)
			min = values[i];
	return min;
}

void report_table(FILE *out, const struct result *results, unsigned count)
{
	fprintf(out, "%-20s %-8s %8s %8s %8s %8s %8s %6s\n", "case", "program", "ns", "min",
		"floor", "restore", "x floor", "goal");
	for (const struct result *r = results; r < results + count; r++) {
		fprintf(out, "%-20s %-8s %8.1f %8.1f %8.1f %8.1f %8.2f", r->what->name,
			*r->program ? r->program : "-", median(r->ns, r->rounds),
			least(r->ns, r->rounds), median(r->floor_ns, r->rounds),
			median(r->restore_ns, r->rounds), median(r->ratio, r->rounds));
		if (r->what->goal > 0)
			fprintf(out, " %6.1f%s", r->what->goal,
				median(r->ratio, r->rounds) <= r->what->goal ? "" : " missed");
		fputc('\n', out);
	}
}

/* Of the first processor, as the kernel names it. */
static void cpu_model(char *ret_model, size_t size)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	char line[CPU_LINE];

	snprintf(ret_model, size, "unknown");
	while (f && fgets(line, sizeof(line), f)) {
		char *value = strchr(line, ':');

		if (strncmp(line, "model name", strlen("model name")) || !value)
			continue;
		value[strcspn(value, "\n")] = 0;
		snprintf(ret_model, size, "%s", value + 2);
		break;
	}
	if (f)
		fclose(f);
}

static json_t *numbers(const double *values, unsigned count)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < count; i++)
		json_array_append_new(list, json_real(values[i]));
	return list;
}

static json_t *result_json(const struct result *r)
{
	const struct bench_case *c = r->what;

	return json_pack(
		"{s:s, s:s, s:s, s:s, s:i, s:i, s:f, s:i, s:f, s:f, s:f, s:f, s:o, s:o, s:o}",
		"case", c->name, "program", r->program, "tracking", tracking_name(c->tracking),
		"forward", forward_name(c->forward), "family", c->family, "flows", (int)c->flows,
		"goal", c->goal, "packets", (int)r->packets, "ns", median(r->ns, r->rounds),
		"ns_min", least(r->ns, r->rounds), "floor_ns", median(r->floor_ns, r->rounds),
		"ratio", median(r->ratio, r->rounds), "ns_rounds", numbers(r->ns, r->rounds),
		"floor_ns_rounds", numbers(r->floor_ns, r->rounds), "restore_ns_rounds",
		numbers(r->restore_ns, r->rounds));
}

int report_json(const char *path, const struct result *results, unsigned count)
{
	json_t *list = json_array(), *root;
	struct utsname host = {};
	char cpu[CPU_LINE];
	int err = -ENOMEM;

	for (unsigned i = 0; i < count; i++)
		json_array_append_new(list, result_json(&results[i]));
	(void)uname(&host); /* cannot fail with a good pointer */
	cpu_model(cpu, sizeof(cpu));
	root = json_pack("{s:s, s:s, s:s, s:o}", "version", SHUNT_VERSION, "kernel", host.release,
			 "cpu", cpu, "results", list);
	if (!root)
		return err;
	err = json_dump_file(root, path, JSON_INDENT(1) | JSON_REAL_PRECISION(JSON_DIGITS)) ? -EIO
											    : 0;
	json_decref(root);
	return err;
}
