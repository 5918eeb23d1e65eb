/* SPDX-License-Identifier: BSD-2-Clause */
/* Which route a ClientHello takes, whatever the order of the routes. */
#include "tests/unit/conf_util.h"

#include "l7/sni_route.h"

static const char routes[] =
	"pools: {p: {health: none, backends: [{name: a, address: \"10.0.0.1:80\"}]}, "
	"h2: {health: none, backends: [{name: a, address: \"10.0.0.2:80\"}]}, "
	"wild: {health: none, backends: [{name: a, address: \"10.0.0.3:80\"}]}, "
	"deep: {health: none, backends: [{name: a, address: \"10.0.0.4:80\"}]}, "
	"exact: {health: none, backends: [{name: a, address: \"10.0.0.5:80\"}]}}\n"
	"services: {s: {listen: 10.9.0.1:443/tcp, mode: tls, pool: p, sni_routes: ["
	"{alpn: h2, pool: h2}, "
	"{sni: \"*.example\", pool: wild}, "
	"{sni: \"*.a.example\", alpn: h2, pool: h2}, "
	"{sni: \"*.a.example\", pool: deep}, "
	"{sni: [x.a.example, y.example], pool: exact}]}}\n";

static const struct {
	const char *name;
	struct slice alpn;
	const char *pool;
} rows[] = {
	{"", {0}, "p"},
	{"", SLICE("\2h2"), "h2"},
	{"other", {0}, "p"},
	{"other", SLICE("\2h3\2h2"), "h2"},
	{"other", SLICE("\2h3\2h1"), "p"},
	{"example", {0}, "p"},
	{"b.example", {0}, "wild"},
	{"b.example", SLICE("\2h2"), "wild"}, /* a name counts more than a protocol */
	{"y.example", {0}, "exact"},
	{"a.example", {0}, "wild"},
	{"b.a.example", {0}, "deep"},
	{"b.a.example", SLICE("\2h2"), "h2"},
	{"c.b.a.example", {0}, "deep"},
	{"xa.example", {0}, "wild"},
	{"x.a.example", SLICE("\2h2"), "exact"},
	{"x.a.example.org", {0}, "p"},
};

static void test_routes(void **state)
{
	struct runtime *rt = runtime_new();
	struct snapshot *snap = build_good(rt, routes);
	struct service *s = &snap->services[0];

	(void)state;
	for (size_t turn = 0; turn < s->sni_route_count; turn++) {
		struct sni_route first = s->sni_routes[0];

		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			struct client_hello h = {.name_len = strlen(rows[i].name),
						 .alpn = rows[i].alpn};

			memcpy(h.name, rows[i].name, h.name_len);
			if (strcmp(sni_route_pool(s, &h)->name, rows[i].pool) != 0)
				fail_msg("%s: %s", rows[i].name, sni_route_pool(s, &h)->name);
		}
		memmove(s->sni_routes, s->sni_routes + 1, (s->sni_route_count - 1) * sizeof(first));
		s->sni_routes[s->sni_route_count - 1] = first;
	}
	s->pool = NULL;
	assert_null(sni_route_pool(s, &(struct client_hello){.name_len = 0}));
	snapshot_unref(snap);
	runtime_free(rt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_routes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
