/* SPDX-License-Identifier: BSD-2-Clause */
/* shuntctl pool: the list, and one on a page. */
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/fields.h"
#include "cli/print.h"

/* ---- list ---- */

static void add_check(struct table *t, const json_t *health)
{
	char every[PRINT_UNIT_MAX];

	if (!json_is_object(health))
		table_add(t, "none");
	else
		table_add(t, "%s every %s", field_text(health, "check"),
			  format_age(field_count(health, "every_ms"), every));
}

static int print_pools(const json_t *pools)
{
	static const char *const headings[] = {"POOL", "FORWARD", "CHECK", "USABLE", "SERVICES"};
	struct table t;
	char usable[96];
	size_t i;
	json_t *p;

	table_init(&t, headings, sizeof(headings) / sizeof(headings[0]));
	json_array_foreach (pools, i, p) {
		char *services = cmd_join(json_object_get(p, "services"));

		table_add(&t, "%s", field_text(p, "name"));
		table_add(&t, "%s", field_text(p, "forward"));
		add_check(&t, json_object_get(p, "health"));
		table_add(&t, "%s",
			  cmd_usable(json_object_get(p, "backend_states"), usable, sizeof(usable)));
		table_add(&t, "%s", !services ? "?" : services[0] ? services : "-");
		free(services);
	}
	if (!json_array_size(pools)) {
		table_deinit(&t);
		puts("no pools");
		return API_EXIT_OK;
	}
	return table_print(&t);
}

int cmd_pool_list(const struct cli *cli)
{
	struct reply r;
	bool shown;
	int code = cmd_get(cli, "/v1/pools", &r, &shown);

	if (!shown)
		code = print_pools(json_object_get(r.json, "pools"));
	reply_deinit(&r);
	return code;
}

/* ---- one ---- */

static void print_http_check(const json_t *health, const char *port)
{
	const char *host = json_string_value(json_object_get(health, "host"));
	const char *body = json_string_value(json_object_get(health, "body"));
	const char *regex = json_string_value(json_object_get(health, "body_regex"));
	char statuses[128] = "";
	size_t len = 0, i;
	json_t *range;

	json_array_foreach (json_object_get(health, "statuses"), i, range) {
		long long low = json_integer_value(json_array_get(range, 0));
		long long high = json_integer_value(json_array_get(range, 1));

		if (len < sizeof(statuses))
			len += (size_t)snprintf(statuses + len, sizeof(statuses) - len,
						low == high ? "%s%lld" : "%s%lld to %lld",
						i ? ", " : "", low, high);
	}
	print_line("check", "http GET %s, port %s, status %s%s%s", field_text(health, "path"), port,
		   statuses, host ? ", host " : "", host ? host : "");
	if (body || regex)
		print_line("", "body with %s %s", body ? "the text" : "a match of",
			   body ? body : regex);
}

static void print_check(const json_t *health)
{
	char every[PRINT_UNIT_MAX], timeout[PRINT_UNIT_MAX],
		port[PRINT_UNIT_MAX] = "of the backend";
	const char *host = json_string_value(json_object_get(health, "host"));

	if (!json_is_object(health)) {
		print_line("check", "none: backends count as good");
		return;
	}
	if (field_count(health, "port"))
		(void)snprintf(port, sizeof(port), "%llu",
			       (unsigned long long)field_count(health, "port"));
	if (json_is_string(json_object_get(health, "path")))
		print_http_check(health, port);
	else if (!strcmp(field_text(health, "check"), "grpc"))
		print_line("check", "grpc, service %s, port %s%s%s", field_text(health, "service"),
			   port, host ? ", host " : "", host ? host : "");
	else
		print_line("check", "%s, port %s", field_text(health, "check"), port);
	print_line("", "every %s, timeout %s, up after %llu good, down after %llu bad",
		   format_age(field_count(health, "every_ms"), every),
		   format_age(field_count(health, "timeout_ms"), timeout),
		   (unsigned long long)field_count(health, "rise"),
		   (unsigned long long)field_count(health, "fall"));
}

static void print_sources(const json_t *p)
{
	const json_t *sources = json_object_get(p, "source_nat");
	size_t i;
	json_t *it;

	if (json_is_string(sources))
		print_line("source_nat", "%s", json_string_value(sources));
	json_array_foreach (sources, i, it) {
		print_line(i ? "" : "source_nat", "%s", json_string_value(it));
	}
	if (json_is_string(json_object_get(p, "source_ports")))
		print_line("source_ports", "%s", field_text(p, "source_ports"));
}

static void print_forward(const json_t *p)
{
	char connect[PRINT_UNIT_MAX], idle[PRINT_UNIT_MAX];

	if (json_is_string(json_object_get(p, "next_hop")))
		print_line("forward", "%s, next hop %s", field_text(p, "forward"),
			   field_text(p, "next_hop"));
	else
		print_line("forward", "%s", field_text(p, "forward"));
	if (field_count(p, "tunnel_mtu"))
		print_line("mtu", "%llu", (unsigned long long)field_count(p, "tunnel_mtu"));
	else if (json_object_get(p, "tunnel_mtu"))
		print_line("mtu", "of the interface");
	print_sources(p);
	if (!json_object_get(p, "connect_timeout_ms"))
		return;
	print_line("timeouts", "connect_timeout %s, idle_timeout %s",
		   format_age(field_count(p, "connect_timeout_ms"), connect),
		   format_age(field_count(p, "idle_timeout_ms"), idle));
	print_line("limits", "idle_connections %llu to each backend from each worker",
		   (unsigned long long)field_count(p, "idle_connections_max"));
	print_line("proxy header", "%s", field_text(p, "proxy_protocol"));
}

/* "connections 10, interval 10s"; nothing where all are zero. */
static void print_counts(const char *label, const json_t *counts)
{
	char line[256] = "", value[PRINT_UNIT_MAX];
	size_t len = 0;
	const char *name;
	json_t *n;

	json_object_foreach ((json_t *)counts, name, n) {
		size_t end = strlen(name);
		bool is_time = end > 3 && !strcmp(name + end - 3, "_ms");
		uint64_t count = (uint64_t)json_integer_value(n);

		if (!count || len >= sizeof(line))
			continue;
		len += (size_t)snprintf(line + len, sizeof(line) - len, "%s%.*s %s",
					len ? ", " : "", (int)(is_time ? end - 3 : end), name,
					is_time ? format_age(count, value)
						: format_count(count, value));
	}
	if (len)
		print_line(label, "%s", line);
}

static void print_resilience(const json_t *p)
{
	print_counts("most", json_object_get(p, "limits"));
	print_counts("outlier", json_object_get(p, "outlier"));
	print_counts("refused", json_object_get(p, "refused"));
	if (field_count(p, "retries"))
		print_line("retries", "%llu under way",
			   (unsigned long long)field_count(p, "retries"));
}

/* "round-robin", and where there are several groups, what each gets. */
static void print_balance(const json_t *balance)
{
	const json_t *groups = json_object_get(balance, "groups");
	const char *by = json_string_value(json_object_get(balance, "by"));
	char slow[PRINT_UNIT_MAX];
	size_t i;
	json_t *g;

	if (!json_is_object(balance))
		return;
	print_line("balance", "%s%s%s", field_text(balance, "policy"), by ? " by " : "",
		   by ? by : "");
	if (field_count(balance, "slow_start_ms"))
		print_line("slow_start", "%s",
			   format_age(field_count(balance, "slow_start_ms"), slow));
	json_array_foreach (groups, i, g) {
		bool panic = json_is_true(json_object_get(g, "panic"));

		if (json_array_size(groups) < 2 && !panic)
			break;
		print_line(i ? "" : "groups", "priority %llu, %s: %.1f%% over %zu%s",
			   (unsigned long long)field_count(g, "priority"),
			   json_is_true(json_object_get(g, "local_zone")) ? "own zone" : "others",
			   json_number_value(json_object_get(g, "share_percent")),
			   json_object_size(json_object_get(g, "weights")),
			   panic ? ", panic: also those that are down" : "");
	}
}

/* Where more backends come from, and whether that works. */
static void print_discover(const json_t *d)
{
	char ago[PRINT_UNIT_MAX], ttl[PRINT_UNIT_MAX];
	const char *error = json_string_value(json_object_get(d, "error"));

	if (!json_is_object(d))
		return;
	print_line("discover", "%s %s: %llu found%s", field_text(d, "kind"),
		   field_text(d, "source"), (unsigned long long)field_count(d, "found"),
		   json_is_true(json_object_get(d, "restored")) ? ", by an earlier shuntd" : "");
	if (error)
		print_line("", "the last answer was not good: %s", error);
	if (json_is_integer(json_object_get(d, "good_ms_ago")))
		print_line("", "good %s ago%s%s", format_age(field_count(d, "good_ms_ago"), ago),
			   field_count(d, "ttl_ms") ? ", for " : "",
			   field_count(d, "ttl_ms") ? format_age(field_count(d, "ttl_ms"), ttl)
						    : "");
	print_line("", "asked %llu, failed %llu, empty %llu, refused %llu, changes %llu",
		   (unsigned long long)field_count(d, "lookups"),
		   (unsigned long long)field_count(d, "failures"),
		   (unsigned long long)field_count(d, "empty"),
		   (unsigned long long)field_count(d, "refused"),
		   (unsigned long long)field_count(d, "changes"));
}

int cmd_pool_show(const struct cli *cli)
{
	char usable[96], *services = NULL;
	struct reply r;
	bool shown;
	int code = cmd_get_named(cli, "/v1/pools", cli->argv[0], &r, &shown);

	if (!shown) {
		services = cmd_join(json_object_get(r.json, "services"));
		print_line("pool", "%s", field_text(r.json, "name"));
		print_line("services", "%s", services && services[0] ? services : "none uses it");
		print_line("usable", "%s",
			   cmd_usable(json_object_get(r.json, "backend_states"), usable,
				      sizeof(usable)));
		print_forward(r.json);
		print_discover(json_object_get(r.json, "discover"));
		print_balance(json_object_get(r.json, "balance"));
		print_check(json_object_get(r.json, "health"));
		print_resilience(r.json);
		putchar('\n');
		code = cmd_print_backends(json_object_get(r.json, "backends"));
	}
	free(services);
	reply_deinit(&r);
	return code;
}
