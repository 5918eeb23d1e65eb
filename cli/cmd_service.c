/* SPDX-License-Identifier: BSD-2-Clause */
/* shuntctl service: the list, and one on a page. */
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/fields.h"
#include "cli/print.h"
#include "cli/service_relay.h"

static uint64_t sum_of(const json_t *counters)
{
	const char *name;
	json_t *value;
	uint64_t sum = 0;

	json_object_foreach ((json_t *)counters, name, value) {
		sum += (uint64_t)json_integer_value(value);
	}
	return sum;
}

static uint64_t bytes_of(const json_t *http)
{
	return field_count(http, "bytes_in") + field_count(http, "bytes_out");
}

/* What a proxied service, of whatever mode, has counted; NULL: it is not proxied. */
static const json_t *proxied_part(const json_t *s)
{
	const json_t *http = json_object_get(s, "http"), *relay = json_object_get(s, "relay");

	return json_is_object(http) ? http : json_is_object(relay) ? relay : NULL;
}

/* ---- list ---- */

/* The first address, and how many there are besides. */
static void add_listen(struct table *t, const json_t *listen)
{
	const char *first = json_string_value(json_array_get(listen, 0));
	size_t n = json_array_size(listen);

	if (n > 1)
		table_add(t, "%s +%zu", first ? first : "?", n - 1);
	else
		table_add(t, "%s", first ? first : "?");
}

static void add_service(struct table *t, const json_t *s)
{
	const json_t *proxied = proxied_part(s);
	char usable[96];

	table_add(t, "%s", field_text(s, "name"));
	table_add(t, "%s", field_text(s, "mode"));
	add_listen(t, json_object_get(s, "listen"));
	table_add(t, "%s", field_text(s, "pool"));
	table_add(t, "%s",
		  cmd_usable(json_object_get(s, "backend_states"), usable, sizeof(usable)));
	if (proxied)
		table_add(t, "%llu", (unsigned long long)field_count(proxied, "open_connections"));
}

static void add_steered(struct table *t, const json_t *s)
{
	const json_t *l4 = json_object_get(s, "l4");
	char buf[PRINT_UNIT_MAX];

	add_service(t, s);
	table_add(t, "%s", format_count(field_count(l4, "new_flows"), buf));
	table_add(t, "%s", format_count(field_count(l4, "packets"), buf));
	table_add(t, "%s", format_bytes(field_count(l4, "bytes"), buf));
	table_add(t, "%s", format_count(sum_of(json_object_get(l4, "drops")), buf));
}

static void add_proxied(struct table *t, const json_t *s)
{
	const json_t *http = json_object_get(s, "http");
	bool has_requests = json_is_object(http);
	char buf[PRINT_UNIT_MAX];

	add_service(t, s);
	table_add(t, "%s", has_requests ? format_count(field_count(http, "requests"), buf) : "-");
	table_add(t, "%s", format_bytes(bytes_of(proxied_part(s)), buf));
	table_add(t, "%s",
		  has_requests ? format_count(field_count(http, "responses_5xx"), buf) : "-");
}

static int print_services(const json_t *services)
{
	static const char *const steered_headings[] = {"SERVICE",  "MODE",   "LISTEN",
						       "POOL",	   "USABLE", ">NEW FLOWS",
						       ">PACKETS", ">BYTES", ">DROPPED"};
	static const char *const proxied_headings[] = {"SERVICE",   "MODE",   "LISTEN",
						       "POOL",	    "USABLE", ">OPEN",
						       ">REQUESTS", ">BYTES", ">5XX"};
	struct table steered, proxied;
	size_t i;
	json_t *s;

	table_init(&steered, steered_headings,
		   sizeof(steered_headings) / sizeof(steered_headings[0]));
	table_init(&proxied, proxied_headings,
		   sizeof(proxied_headings) / sizeof(proxied_headings[0]));
	json_array_foreach (services, i, s) {
		if (proxied_part(s))
			add_proxied(&proxied, s);
		else
			add_steered(&steered, s);
	}
	return table_print_both(&steered, &proxied, "no services");
}

int cmd_service_list(const struct cli *cli)
{
	struct reply r;
	bool shown;
	int code = cmd_get(cli, "/v1/services", &r, &shown);

	if (!shown)
		code = print_services(json_object_get(r.json, "services"));
	reply_deinit(&r);
	return code;
}

/* ---- one ---- */

static void print_head(const json_t *s)
{
	const json_t *listen = json_object_get(s, "listen");
	char usable[96];
	size_t i;
	json_t *it;

	print_line("service", "%s", field_text(s, "name"));
	print_line("mode", "%s", field_text(s, "mode"));
	print_line("pool", "%s", field_text(s, "pool"));
	print_line("usable", "%s",
		   cmd_usable(json_object_get(s, "backend_states"), usable, sizeof(usable)));
	json_array_foreach (listen, i, it) {
		print_line(i ? "" : "listen", "%s",
			   json_string_value(it) ? json_string_value(it) : "?");
	}
}

/* The counters that are not zero, each behind its name. */
static void print_drops(const json_t *drops)
{
	char buf[PRINT_UNIT_MAX];
	const char *name, *label = "dropped";
	json_t *value;

	json_object_foreach ((json_t *)drops, name, value) {
		if (json_integer_value(value) <= 0)
			continue;
		print_line(label, "%s %s", format_count((uint64_t)json_integer_value(value), buf),
			   name);
		label = "";
	}
	if (label[0])
		print_line(label, "none");
}

/* "on-change", or "on-change (tcp), always (udp)". */
static void print_tracking(const json_t *tracking)
{
	const char *tcp = json_string_value(json_object_get(tracking, "tcp"));
	const char *udp = json_string_value(json_object_get(tracking, "udp"));

	if (tcp && udp && strcmp(tcp, udp) != 0)
		print_line("tracking", "%s (tcp), %s (udp)", tcp, udp);
	else
		print_line("tracking", "%s", tcp ? tcp : udp ? udp : "?");
}

static void print_moves(const json_t *moves)
{
	char entries[PRINT_UNIT_MAX], age[PRINT_UNIT_MAX];
	uint64_t oldest_s = field_count(moves, "oldest_seconds");

	print_line("slots", "%llu settled, %llu moving%s%s",
		   (unsigned long long)field_count(moves, "slots_settled"),
		   (unsigned long long)field_count(moves, "slots_moving"),
		   oldest_s ? ", oldest " : "", oldest_s ? format_age(oldest_s * 1000, age) : "");
	if (json_is_integer(json_object_get(moves, "flow_entries")))
		print_line("entries", "%s, counted %s ago",
			   format_count(field_count(moves, "flow_entries"), entries),
			   format_age(field_count(moves, "counted_seconds_ago") * 1000, age));
	else
		print_line("entries", "not counted yet");
}

/* "1,024 of 16,384 of its own (IPv4), 0 of 32,768 that all share". */
static void print_nat(const json_t *nat)
{
	const char *label = "nat flows", *family;
	json_t *share;

	json_object_foreach ((json_t *)nat, family, share) {
		uint64_t flows = field_count(share, "flows");

		if (!flows && strcmp(family, "ipv4") != 0)
			continue;
		print_line(label,
			   "%llu %s, room for %llu of its own, %llu of %llu in use that all share",
			   (unsigned long long)flows, family,
			   (unsigned long long)field_count(share, "own"),
			   (unsigned long long)field_count(share, "common_used"),
			   (unsigned long long)field_count(share, "common"));
		label = "";
	}
}

/* "10.0.0.0/8, 192.0.2.1/32 -> near", one line a route. */
static void print_source_routes(const json_t *routes)
{
	const char *label = "routes";
	size_t i, k;
	json_t *route, *from;

	json_array_foreach ((json_t *)routes, i, route) {
		char text[512] = "";
		size_t len = 0;

		json_array_foreach (json_object_get(route, "from"), k, from) {
			if (len < sizeof(text))
				len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s",
							k ? ", " : "", json_string_value(from));
		}
		print_line(label, "%s to pool %s", text, field_text(route, "pool"));
		label = "";
	}
}

static void print_quic(const json_t *l4)
{
	const json_t *quic = json_object_get(l4, "quic");
	char routed[PRINT_UNIT_MAX], unknown[PRINT_UNIT_MAX];

	if (!json_is_object(quic))
		return;
	print_line("quic", "server id of %llu octets (%s)",
		   (unsigned long long)field_count(quic, "server_id_length"),
		   field_text(quic, "cid"));
	print_line("", "%s packets by connection id (cid), %s by their flow instead (cid-unknown)",
		   format_count(field_count(l4, "cid"), routed),
		   format_count(field_count(l4, "cid_unknown"), unknown));
}

static void print_steered(const json_t *l4)
{
	const json_t *idle = json_object_get(l4, "idle_seconds");
	char packets[PRINT_UNIT_MAX], bytes[PRINT_UNIT_MAX], flows[PRINT_UNIT_MAX];
	char syn[PRINT_UNIT_MAX], est[PRINT_UNIT_MAX], fin[PRINT_UNIT_MAX], udp[PRINT_UNIT_MAX];

	print_line("ring", "%llu slots", (unsigned long long)field_count(l4, "ring_size"));
	print_tracking(json_object_get(l4, "tracking"));
	print_moves(json_object_get(l4, "moves"));
	print_nat(json_object_get(l4, "nat"));
	print_line("affinity", "%s", field_text(l4, "affinity"));
	print_source_routes(json_object_get(l4, "source_routes"));
	print_quic(l4);
	print_line("idle", "syn %s, established %s, fin %s, udp %s",
		   format_age(field_count(idle, "syn") * 1000, syn),
		   format_age(field_count(idle, "established") * 1000, est),
		   format_age(field_count(idle, "fin") * 1000, fin),
		   format_age(field_count(idle, "udp") * 1000, udp));
	print_line("traffic", "%s packets, %s, %s new flows",
		   format_count(field_count(l4, "packets"), packets),
		   format_bytes(field_count(l4, "bytes"), bytes),
		   format_count(field_count(l4, "new_flows"), flows));
	if (field_count(l4, "reply_packets"))
		print_line("replies", "%s packets, %s",
			   format_count(field_count(l4, "reply_packets"), packets),
			   format_bytes(field_count(l4, "reply_bytes"), bytes));
	if (field_count(l4, "stale"))
		print_line("", "%s flows placed anew, their backend was gone or down (stale)",
			   format_count(field_count(l4, "stale"), flows));
	if (field_count(l4, "untracked"))
		print_line("", "%s packets without room for a flow entry (untracked)",
			   format_count(field_count(l4, "untracked"), flows));
	if (field_count(l4, "insert_limited"))
		print_line("", "%s packets over the limit of new flow entries (insert-limited)",
			   format_count(field_count(l4, "insert_limited"), flows));
	print_drops(json_object_get(l4, "drops"));
}

static void print_responses(const json_t *http)
{
	static const struct {
		const char *field, *text;
	} kinds[] = {
		{"responses_1xx", "1xx"},
		{"responses_2xx", "2xx"},
		{"responses_3xx", "3xx"},
		{"responses_4xx", "4xx"},
		{"responses_5xx", "5xx"},
		{"local_errors", "of them errors of the proxy's own (local_errors)"},
		{"rate_limited", "of these, over a rate limit"},
		{"shed_low", "of these, too much to do, low priority (shed_low)"},
		{"shed_normal", "of these, the same, normal priority (shed_normal)"},
		{"shed_high", "of these, the same, high priority (shed_high)"},
	};
	char buf[PRINT_UNIT_MAX];
	const char *label = "responses";

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		uint64_t n = field_count(http, kinds[i].field);

		if (!n)
			continue;
		print_line(label, "%s %s", format_count(n, buf), kinds[i].text);
		label = "";
	}
	if (label[0])
		print_line(label, "none");
}

/* "request_header 10s, ...": the fields of an object without their unit, as in the configuration. */
static void print_timeouts(const json_t *timeouts)
{
	char line[256] = "", age[PRINT_UNIT_MAX];
	size_t len = 0;
	const char *name;
	json_t *value;

	json_object_foreach ((json_t *)timeouts, name, value) {
		int n = snprintf(line + len, sizeof(line) - len, "%s%.*s %s", len ? ", " : "",
				 (int)(strlen(name) - strlen("_ms")), name,
				 format_age((uint64_t)json_integer_value(value), age));

		if (n < 0 || (size_t)n >= sizeof(line) - len)
			break;
		len += (size_t)n;
	}
	print_line("timeouts", "%s", line);
}

static const char *format_limit(uint64_t n, const char *(*format)(uint64_t n, char *buf), char *buf)
{
	return n ? format(n, buf) : "any";
}

static void print_limits(const json_t *l)
{
	char line[PRINT_UNIT_MAX], header[PRINT_UNIT_MAX], body[PRINT_UNIT_MAX];
	char count[PRINT_UNIT_MAX], conns[PRINT_UNIT_MAX];
	char rate[PRINT_UNIT_MAX], requests[PRINT_UNIT_MAX];

	print_line("limits",
		   "request_line %s, header_bytes %s, header_count %s, body %s, "
		   "client_rate %s a second, requests %s a connection, connections %s a worker",
		   format_bytes(field_count(l, "request_line_bytes"), line),
		   format_bytes(field_count(l, "header_bytes"), header),
		   format_count(field_count(l, "header_count"), count),
		   format_limit(field_count(l, "body_bytes"), format_bytes, body),
		   format_limit(field_count(l, "client_rate_bytes"), format_bytes, rate),
		   format_limit(field_count(l, "requests_per_connection"), format_count, requests),
		   format_limit(field_count(l, "connections_per_worker"), format_count, conns));
}

/* Of bodies, and of HTTP/2. */
static void print_more_limits(const json_t *l)
{
	char ext[PRINT_UNIT_MAX], trailer[PRINT_UNIT_MAX], fields[PRINT_UNIT_MAX];
	char pipelined[PRINT_UNIT_MAX], streams[PRINT_UNIT_MAX], resets[PRINT_UNIT_MAX];
	char controls[PRINT_UNIT_MAX], continuations[PRINT_UNIT_MAX];

	print_line("", "chunk_extensions %s, trailer_bytes %s, trailer_count %s, pipelined %s",
		   format_bytes(field_count(l, "chunk_extension_bytes"), ext),
		   format_bytes(field_count(l, "trailer_bytes"), trailer),
		   format_count(field_count(l, "trailer_count"), fields),
		   format_limit(field_count(l, "pipelined_requests"), format_count, pipelined));
	print_line(
		"",
		"HTTP/2: streams %s, resets %s a second, control_frames %s a second, "
		"continuations %s",
		format_count(field_count(l, "streams"), streams),
		format_limit(field_count(l, "resets_per_second"), format_count, resets),
		format_limit(field_count(l, "control_frames_per_second"), format_count, controls),
		format_count(field_count(l, "continuations"), continuations));
}

static void print_staple(const json_t *ocsp)
{
	json_int_t left = json_integer_value(json_object_get(ocsp, "expires_in_seconds"));
	uint64_t ms = (uint64_t)(left < 0 ? -left : left) * 1000;
	char age[PRINT_UNIT_MAX];

	if (!json_is_object(ocsp))
		return;
	print_line("", "OCSP response %s, %s %s%s: %s", field_text(ocsp, "state"),
		   left < 0 ? "expired" : "expires in", format_age(ms, age), left < 0 ? " ago" : "",
		   field_text(ocsp, "file"));
	if (json_is_string(json_object_get(ocsp, "problem")))
		print_line("", "what is in its file now cannot be used: %s",
			   field_text(ocsp, "problem"));
}

/* Policy, handshakes, and of each certificate the key, the names and when it expires. */
static void print_tls(const json_t *http)
{
	const json_t *tls = json_object_get(http, "tls");
	char done[PRINT_UNIT_MAX], resumed[PRINT_UNIT_MAX], failed[PRINT_UNIT_MAX];
	char open[PRINT_UNIT_MAX], refused[PRINT_UNIT_MAX], limit[PRINT_UNIT_MAX];
	bool has_staple = false;
	size_t i;
	json_t *c;

	if (!json_is_object(tls))
		return;
	print_line("tls",
		   "policy %s; handshakes: %s done, %s of them resumed, %s failed, %s under way, "
		   "%s refused over the limit of %s a worker",
		   field_text(tls, "policy"),
		   format_count(field_count(http, "tls_handshakes"), done),
		   format_count(field_count(http, "tls_resumed"), resumed),
		   format_count(field_count(http, "tls_failures"), failed),
		   format_count(field_count(http, "open_tls_handshakes"), open),
		   format_count(field_count(http, "tls_refused"), refused),
		   format_limit(field_count(json_object_get(http, "limits"),
					    "tls_handshakes_per_worker"),
				format_count, limit));
	if (!strcmp(field_text(tls, "early_data"), "on"))
		print_line("", "early data taken in %s handshakes, refused in %s",
			   format_count(field_count(http, "tls_early"), done),
			   format_count(field_count(http, "tls_early_refused"), failed));
	json_array_foreach (json_object_get(tls, "certificates"), i, c) {
		const json_t *names = json_object_get(c, "names");
		const char *name = json_string_value(json_array_get(names, 0));
		json_int_t left = json_integer_value(json_object_get(c, "expires_in_seconds"));
		uint64_t ms = (uint64_t)(left < 0 ? -left : left) * 1000;

		print_line(i ? "" : "certificate", "%s %llu for %s%s, %s %s%s: %s",
			   field_text(c, "key"), (unsigned long long)field_count(c, "bits"),
			   name ? name : "no name", json_array_size(names) > 1 ? " and others" : "",
			   left < 0 ? "expired" : "expires in", format_age(ms, done),
			   left < 0 ? " ago" : "", field_text(c, "cert"));
		print_staple(json_object_get(c, "ocsp"));
		has_staple |= json_is_object(json_object_get(c, "ocsp"));
	}
	if (has_staple)
		print_line("", "OCSP responses: %s sent, %s not sent as they were not good",
			   format_count(field_count(http, "ocsp_stapled"), done),
			   format_count(field_count(http, "ocsp_withheld"), failed));
}

/* Requests that were answered with an error for want of a response, by what went wrong. */
static void print_failures(const json_t *http)
{
	static const struct {
		const char *key, *text;
	} causes[] = {
		{"failed_connect", "no connection"}, {"failed_reset", "broken off"},
		{"failed_timeout", "late"},	     {"failed_response", "malformed"},
		{"failed_no_backend", "no backend"}, {"failed_limit", "over a limit of the pool"},
	};
	char line[256] = "", buf[PRINT_UNIT_MAX], won[PRINT_UNIT_MAX];
	size_t len = 0;

	for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++) {
		uint64_t n = field_count(http, causes[i].key);

		if (n && len < sizeof(line))
			len += (size_t)snprintf(line + len, sizeof(line) - len, "%s%s %s",
						len ? ", " : "", format_count(n, buf),
						causes[i].text);
	}
	if (len)
		print_line("failed", "%s", line);
	if (field_count(http, "retries_withheld"))
		print_line("", "%s not retried, over a budget or a limit",
			   format_count(field_count(http, "retries_withheld"), buf));
	if (field_count(http, "hedges"))
		print_line("hedges", "%s, %s of them won",
			   format_count(field_count(http, "hedges"), buf),
			   format_count(field_count(http, "hedges_won"), won));
}

static void print_proxied(const json_t *http)
{
	char a[PRINT_UNIT_MAX], b[PRINT_UNIT_MAX], c[PRINT_UNIT_MAX], d[PRINT_UNIT_MAX];

	print_timeouts(json_object_get(http, "timeouts"));
	print_limits(json_object_get(http, "limits"));
	print_more_limits(json_object_get(http, "limits"));
	print_tls(http);
	print_line("connections", "%s open, %s accepted, %s refused over the limit, %s failed",
		   format_count(field_count(http, "open_connections"), a),
		   format_count(field_count(http, "connections"), b),
		   format_count(field_count(http, "refused"), c),
		   format_count(field_count(http, "accept_failures"), d));
	if (field_count(http, "killed"))
		print_line("", "%s closed by a command, with %s requests under way",
			   format_count(field_count(http, "killed"), a),
			   format_count(field_count(http, "killed_requests"), b));
	print_line("requests", "%s, %s aborted by clients, %s retried",
		   format_count(field_count(http, "requests"), a),
		   format_count(field_count(http, "aborted"), b),
		   format_count(field_count(http, "retries"), c));
	print_failures(http);
	if (field_count(http, "tunnels"))
		print_line("tunnels", "%s opened", format_count(field_count(http, "tunnels"), a));
	print_line("bytes", "%s from clients, %s to clients",
		   format_bytes(field_count(http, "bytes_in"), a),
		   format_bytes(field_count(http, "bytes_out"), b));
	print_responses(http);
	if (field_count(http, "access_lines"))
		print_line("access log", "%s lines, %s lost",
			   format_count(field_count(http, "access_lines"), a),
			   format_count(field_count(http, "access_lost"), b));
}

/* What the kernel keeps away from the proxy; of steered services the drops are told above. */
static void print_guard(const json_t *s)
{
	const json_t *guard = json_object_get(s, "guard");
	char buf[PRINT_UNIT_MAX];

	if (json_is_string(json_object_get(guard, "settings")))
		print_line("guard", "%s", field_text(guard, "settings"));
	if (field_count(guard, "syn_cookies_sent"))
		print_line("", "%s SYNs answered by cookies",
			   format_count(field_count(guard, "syn_cookies_sent"), buf));
	if (json_is_object(guard) && proxied_part(s))
		print_drops(json_object_get(guard, "drops"));
}

/* What the program for listening sockets did. */
static void print_sockets(const json_t *s)
{
	const json_t *sockets = json_object_get(s, "socket_program");
	char chosen[PRINT_UNIT_MAX], lost[PRINT_UNIT_MAX];

	if (!json_is_object(sockets))
		return;
	print_line("sockets", "chosen for %s packets, not for %s",
		   format_count(field_count(sockets, "chosen"), chosen),
		   format_count(field_count(sockets, "no_socket") + field_count(sockets, "failed"),
				lost));
}

/* Has an earlier route the pool of route i, or the service itself? */
static bool pool_is_shown(const json_t *s, const json_t *routes, size_t i)
{
	const char *pool = field_text(json_array_get(routes, i), "pool");

	for (size_t k = 0; k < i; k++)
		if (!strcmp(field_text(json_array_get(routes, k), "pool"), pool))
			return true;
	return !strcmp(field_text(s, "pool"), pool);
}

/* The backends of the pools that only routes lead to. */
static int print_route_pools(const struct cli *cli, const json_t *s)
{
	const json_t *routes = json_object_get(json_object_get(s, "l4"), "source_routes");
	int code = 0;

	if (!routes)
		routes = json_object_get(json_object_get(s, "relay"), "sni_routes");

	for (size_t i = 0; i < json_array_size(routes) && !code; i++) {
		const char *name = field_text(json_array_get(routes, i), "pool");
		struct reply pool = {0};
		bool shown;

		if (pool_is_shown(s, routes, i))
			continue;
		code = cmd_get_named(cli, "/v1/pools", name, &pool, &shown);
		if (!shown) {
			printf("\npool %s\n", name);
			code = cmd_print_backends(json_object_get(pool.json, "backends"));
		}
		reply_deinit(&pool);
	}
	return code;
}

int cmd_service_show(const struct cli *cli)
{
	struct reply r, pool = {0};
	bool shown, pool_shown = true;
	int code = cmd_get_named(cli, "/v1/services", cli->argv[0], &r, &shown);

	if (!shown && json_is_null(json_object_get(r.json, "pool")))
		pool_shown = false;
	else if (!shown)
		code = cmd_get_named(cli, "/v1/pools", field_text(r.json, "pool"), &pool,
				     &pool_shown);
	if (!pool_shown) {
		print_head(r.json);
		if (json_is_object(json_object_get(r.json, "http")))
			print_proxied(json_object_get(r.json, "http"));
		else if (json_is_object(json_object_get(r.json, "relay")))
			service_print_relay(json_object_get(r.json, "relay"));
		else
			print_steered(json_object_get(r.json, "l4"));
		service_print_proxy_in(json_object_get(r.json, "proxy_protocol"));
		print_sockets(r.json);
		print_guard(r.json);
		if (pool.json)
			putchar('\n');
		if (pool.json)
			code = cmd_print_backends(json_object_get(pool.json, "backends"));
		if (!code)
			code = print_route_pools(cli, r.json);
	}
	reply_deinit(&pool);
	reply_deinit(&r);
	return code;
}
