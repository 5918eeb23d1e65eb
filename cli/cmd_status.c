/* SPDX-License-Identifier: BSD-2-Clause */
/* shuntctl status, version, health. */
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/fields.h"
#include "cli/print.h"

#define ROW "%-15s "

static void print_config(const json_t *s)
{
	const json_t *restart = json_object_get(s, "restart_needed_for");
	size_t i;
	json_t *c;

	print_safe(stdout, ROW "%s, generation %llu", "configuration", field_text(s, "config_file"),
		   (unsigned long long)field_count(s, "generation"));
	putchar('\n');
	if (field_count(s, "started_from_generation"))
		printf(ROW "THE FILE IS BAD and was not taken: started from generation %llu, the "
			   "last good one (shuntctl config check)\n",
		       "", (unsigned long long)field_count(s, "started_from_generation"));
	if (json_is_true(json_object_get(s, "unsaved_changes")))
		printf(ROW "unsaved changes: the file differs from what is in force "
			   "(shuntctl config diff, config save)\n",
		       "");
	json_array_foreach (restart, i, c) {
		print_safe(stdout, ROW "takes effect when shuntd starts again: %s %s", "",
			   field_text(c, "object"), field_text(c, "field"));
		putchar('\n');
	}
}

static void print_sockets(const json_t *program)
{
	const json_t *list = json_object_get(program, "not_local");
	char chosen[PRINT_UNIT_MAX];
	size_t i;
	json_t *it;

	if (json_is_true(json_object_get(program, "in_use")))
		printf(ROW "given connections by a program, chosen %s times\n", "sockets",
		       format_count(field_count(program, "chosen"), chosen));
	if (json_is_string(json_object_get(program, "problem"))) {
		print_safe(stdout, ROW "no program gives them connections: %s", "sockets",
			   field_text(program, "problem"));
		putchar('\n');
	}
	json_array_foreach (list, i, it) {
		print_safe(stdout, ROW "not all of %s is local to this host (ip route add local)",
			   "", json_string_value(it));
		putchar('\n');
	}
}

static void print_interfaces(const json_t *l4)
{
	size_t i;
	json_t *it;
	const json_t *list = json_object_get(l4, "interfaces");

	if (!json_array_size(list))
		printf(ROW "none attached\n", "interfaces");
	json_array_foreach (list, i, it) {
		print_safe(stdout, ROW "%s: XDP %s, %s, program id %llu", i ? "" : "interfaces",
			   field_text(it, "name"), field_text(it, "mode"),
			   !strcmp(field_text(it, "kind"), "dispatcher") ? "in a dispatcher"
									 : "the only program",
			   (unsigned long long)field_count(it, "program_id"));
		putchar('\n');
	}
}

static void print_drift(const json_t *drift)
{
	char age[PRINT_UNIT_MAX];

	if (!field_count(drift, "repaired"))
		return;
	print_safe(stdout,
		   ROW "%llu rows that another program had changed were put back, the last %s "
		       "ago: %s",
		   "", (unsigned long long)field_count(drift, "repaired"),
		   format_age(field_count(drift, "last_age_ms"), age), field_text(drift, "last"));
	putchar('\n');
}

static void print_tables(const json_t *l4)
{
	const json_t *t = json_object_get(l4, "tables");
	char buf[PRINT_UNIT_MAX], flows[PRINT_UNIT_MAX], pending[PRINT_UNIT_MAX];

	printf(ROW "%s of memory%s", "kernel tables",
	       format_bytes(field_count(t, "memory_bytes"), buf),
	       json_is_true(json_object_get(l4, "tables_adopted")) ? ", adopted at the start" : "");
	if (json_is_integer(json_object_get(t, "flows")))
		printf(", %s flows, %s pending", format_count(field_count(t, "flows"), flows),
		       format_count(field_count(t, "pending_flows"), pending));
	putchar('\n');
	print_drift(json_object_get(l4, "drift"));
	if (field_count(l4, "lingering_backends"))
		printf(ROW "%llu removed backends still have flows\n", "",
		       (unsigned long long)field_count(l4, "lingering_backends"));
}

/* There are many where a prefix is used. */
#define SOURCES_SHOWN 8

static void print_nat(const json_t *nat)
{
	const json_t *sources = json_object_get(nat, "sources");
	char flows[PRINT_UNIT_MAX], tcp[PRINT_UNIT_MAX], udp[PRINT_UNIT_MAX];
	size_t i;
	json_t *s;

	if (!json_is_object(nat))
		return;
	printf(ROW "%s flows\n", "nat", format_count(field_count(nat, "flows"), flows));
	json_array_foreach (sources, i, s) {
		if (i == SOURCES_SHOWN) {
			printf(ROW "and %zu more sources (-o json has them)\n", "",
			       json_array_size(sources) - i);
			break;
		}
		print_safe(stdout, ROW "source %s: %s TCP flows, %s UDP", "",
			   field_text(s, "address"), format_count(field_count(s, "tcp"), tcp),
			   format_count(field_count(s, "udp"), udp));
		putchar('\n');
	}
}

static void print_verdicts(const json_t *l4)
{
	const char *name, *gap = "";
	json_t *value, *verdicts = json_object_get(l4, "verdicts");
	char buf[PRINT_UNIT_MAX];

	printf(ROW, "packets");
	json_object_foreach (verdicts, name, value) {
		if (!json_integer_value(value))
			continue;
		printf("%s%s %s", gap, format_count((uint64_t)json_integer_value(value), buf),
		       name);
		gap = ", ";
	}
	puts(*gap ? "" : "none yet");
}

/* Only while there is something to tell. */
static void print_overload(const json_t *o)
{
	uint64_t full = field_count(o, "workers_not_accepting");

	if (!field_count(o, "pressure_permille") && !full)
		return;
	printf(ROW "refusing requests of priority: %s; pressure %.1f, lag %.1f ms, "
		   "%llu bytes held, %llu workers do not accept\n",
	       "overload", field_text(o, "state"),
	       (double)field_count(o, "pressure_permille") / 1000,
	       (double)field_count(o, "lag_us") / 1000,
	       (unsigned long long)field_count(o, "memory_bytes"), (unsigned long long)full);
}

/* Only while one is under way, or where the last one failed, or this process came by one. */
static void print_upgrade(const json_t *u)
{
	if (json_is_integer(json_object_get(u, "pid")))
		printf(ROW "under way: pid %llu, %s\n", "upgrade",
		       (unsigned long long)field_count(u, "pid"), field_text(u, "state"));
	if (json_is_string(json_object_get(u, "last_failure"))) {
		print_safe(stdout, ROW "the last one failed: %s", "upgrade",
			   field_text(u, "last_failure"));
		putchar('\n');
	}
	if (json_is_integer(json_object_get(u, "took_over_from_pid"))) {
		print_safe(stdout, ROW "took over from pid %llu, version %s", "upgrade",
			   (unsigned long long)field_count(u, "took_over_from_pid"),
			   field_text(u, "took_over_from_version"));
		putchar('\n');
	}
}

int cmd_status(const struct cli *cli)
{
	char usable[96], age[PRINT_UNIT_MAX];
	struct reply r;
	bool shown;
	int code = cmd_get(cli, cli->given & TAKES_FLOWS ? "/v1/status?flows=1" : "/v1/status", &r,
			   &shown);
	const json_t *s = r.json, *proxy = json_object_get(s, "proxy");
	const json_t *l4 = json_object_get(s, "l4");

	if (shown)
		goto out;
	print_safe(stdout, ROW "%s, %s, pid %llu, up %s", "shuntd", field_text(s, "version"),
		   field_text(s, "state"), (unsigned long long)field_count(s, "pid"),
		   format_age(field_count(s, "uptime_seconds") * 1000, age));
	putchar('\n');
	print_upgrade(json_object_get(s, "upgrade"));
	print_config(s);
	printf(ROW "%llu\n", "services", (unsigned long long)field_count(s, "services"));
	printf(ROW "usable: %s\n", "backends",
	       cmd_usable(json_object_get(s, "backend_states"), usable, sizeof(usable)));
	printf(ROW "%llu workers, %llu open connections, %llu idle connections to backends\n",
	       "proxy", (unsigned long long)field_count(proxy, "workers"),
	       (unsigned long long)field_count(proxy, "open_connections"),
	       (unsigned long long)field_count(proxy, "idle_backend_connections"));
	print_overload(json_object_get(proxy, "overload"));
	print_sockets(json_object_get(proxy, "socket_program"));
	if (json_is_object(l4)) {
		print_interfaces(l4);
		print_tables(l4);
		print_nat(json_object_get(l4, "nat"));
		print_verdicts(l4);
	} else {
		printf(ROW "none configured: the proxy runs alone\n", "interfaces");
	}
out:
	reply_deinit(&r);
	return code;
}

int cmd_version(const struct cli *cli)
{
	struct reply r;
	bool shown;
	int code;

	if (cli->output == OUTPUT_TABLE)
		puts("shuntctl " SHUNT_VERSION);
	code = cmd_get(cli, "/v1/version", &r, &shown);
	if (!shown) {
		print_safe(stdout, "shuntd %s (kernel interface %llu)",
			   field_text(r.json, "version"),
			   (unsigned long long)field_count(r.json, "abi"));
		putchar('\n');
	}
	reply_deinit(&r);
	return code;
}

/* ---- health ---- */

static void add_health(struct table *t, const json_t *h)
{
	const json_t *checked = json_object_get(h, "checked_ms_ago");
	const json_t *changed = json_object_get(h, "changed_ms_ago");
	char buf[PRINT_UNIT_MAX];

	table_add(t, "%s/%s", field_text(h, "pool"), field_text(h, "name"));
	table_add(t, "%s", field_text(h, "address"));
	table_add(t, "%s", field_text(h, "check"));
	table_add(t, "%s", field_text(h, "state"));
	table_add(t, "%s",
		  json_is_integer(changed) ? format_age((uint64_t)json_integer_value(changed), buf)
					   : "-");
	table_add(t, "%s",
		  json_is_integer(checked) ? format_age((uint64_t)json_integer_value(checked), buf)
					   : "-");
	table_add(t, "%llu/%llu", (unsigned long long)field_count(h, "failures"),
		  (unsigned long long)field_count(h, "checks"));
	table_add(t, "%s", field_text(h, "result"));
}

static int print_health(const json_t *reply)
{
	static const char *const headings[] = {"BACKEND", "ADDRESS",  "CHECK",	 "STATE",
					       ">SINCE",  ">CHECKED", ">FAILED", "RESULT"};
	struct table t;
	size_t i;
	json_t *h;

	table_init(&t, headings, sizeof(headings) / sizeof(headings[0]));
	json_array_foreach (json_object_get(reply, "backends"), i, h) {
		add_health(&t, h);
	}
	return table_print(&t);
}

int cmd_health(const struct cli *cli)
{
	struct reply r;
	bool shown;
	int code = cmd_get_of_pool(cli, "/v1/health", &r, &shown);

	if (!shown)
		code = print_health(r.json);
	reply_deinit(&r);
	return code;
}
