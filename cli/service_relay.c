/* SPDX-License-Identifier: BSD-2-Clause */
/* tcp and tls services on a page: see service_relay.h. */
#include "cli/service_relay.h"

#include <stdlib.h>

#include "cli/cmd.h"
#include "cli/fields.h"
#include "cli/print.h"

static void print_routes(const json_t *routes)
{
	size_t i;
	json_t *route;

	json_array_foreach (routes, i, route) {
		char *names = cmd_join(json_object_get(route, "sni"));
		char *protocols = cmd_join(json_object_get(route, "alpn"));
		bool has_names = names && *names, has_protocols = protocols && *protocols;

		print_line(i ? "" : "routes", "%s%s%s to pool %s", has_names ? names : "any name",
			   has_protocols ? " with " : "", has_protocols ? protocols : "",
			   field_text(route, "pool"));
		free(names);
		free(protocols);
	}
}

/* What went wrong, as far as it did. */
static void print_troubles(const json_t *relay)
{
	static const struct {
		const char *field, *text;
	} kinds[] = {
		{"connect_failures", "without a backend that took them (connect_failures)"},
		{"resets", "broken off by one side (resets)"},
		{"killed", "closed by a command (killed)"},
		{"idle_timeouts", "closed without a byte for too long (idle_timeouts)"},
		{"hello_invalid", "without a ClientHello by the rules (hello_invalid)"},
		{"hello_timeouts", "without a whole ClientHello in time (hello_timeouts)"},
		{"unrecognized_names", "that no route is for (unrecognized_names)"},
		{"aborted", "left by their clients before they had begun (aborted)"},
	};
	char buf[PRINT_UNIT_MAX];

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		uint64_t n = field_count(relay, kinds[i].field);

		if (n)
			print_line("", "%s %s", format_count(n, buf), kinds[i].text);
	}
}

void service_print_relay(const json_t *relay)
{
	char a[PRINT_UNIT_MAX], b[PRINT_UNIT_MAX], c[PRINT_UNIT_MAX], d[PRINT_UNIT_MAX];
	uint64_t max = field_count(relay, "connections_per_worker");

	print_routes(json_object_get(relay, "sni_routes"));
	print_line("timeouts", "idle %s, half_closed %s, client_hello %s",
		   format_age(field_count(relay, "idle_ms"), a),
		   format_age(field_count(relay, "half_closed_ms"), b),
		   format_age(field_count(relay, "client_hello_ms"), c));
	print_line("limits", "connections %s a worker", max ? format_count(max, a) : "any");
	print_line("connections", "%s open, %s accepted, %s refused over the limit, %s failed",
		   format_count(field_count(relay, "open_connections"), a),
		   format_count(field_count(relay, "connections"), b),
		   format_count(field_count(relay, "refused"), c),
		   format_count(field_count(relay, "accept_failures"), d));
	print_troubles(relay);
	print_line("retries", "%s backends tried after another had failed",
		   format_count(field_count(relay, "retries"), a));
	print_line("bytes", "%s from clients, %s to clients",
		   format_bytes(field_count(relay, "bytes_in"), a),
		   format_bytes(field_count(relay, "bytes_out"), b));
}

void service_print_proxy_in(const json_t *proxy_in)
{
	char a[PRINT_UNIT_MAX], b[PRINT_UNIT_MAX], c[PRINT_UNIT_MAX];
	char *from;

	if (!json_is_object(proxy_in))
		return;
	from = cmd_join(json_object_get(proxy_in, "from"));
	print_line("proxy header", "%s, from %s, within %s", field_text(proxy_in, "header"),
		   from ? from : "-", format_age(field_count(proxy_in, "timeout_ms"), a));
	print_line("", "%s refused without trust, %s with an invalid header, %s too late",
		   format_count(field_count(proxy_in, "untrusted"), a),
		   format_count(field_count(proxy_in, "invalid"), b),
		   format_count(field_count(proxy_in, "timeouts"), c));
	free(from);
}
