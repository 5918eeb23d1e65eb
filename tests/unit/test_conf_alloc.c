/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The whole way of a configuration with the n-th allocation failing, for every n: parse, build,
 * diff, edit, write. Each failure is told, nothing is lost. Linked with --wrap for the allocation
 * functions; libyaml's own are replaced here.
 */
#include "tests/unit/conf_util.h"

#include <stdlib.h>

#include "conf/diff.h"
#include "conf/edit.h"

static unsigned long countdown; /* the allocation that fails; 0: none */
static unsigned long made;

static bool fails(void)
{
	made++;
	return countdown && --countdown == 0;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
int __real_vasprintf(char **ret_text, const char *fmt, va_list ap);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);
int __wrap_vasprintf(char **ret_text, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));
void *yaml_malloc(size_t size);
void *yaml_realloc(void *old, size_t size);
void yaml_free(void *old);
unsigned char *yaml_strdup(const unsigned char *text);

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return fails() ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : __real_strdup(text);
}

int __wrap_vasprintf(char **ret_text, const char *fmt, va_list ap)
{
	return fails() ? -1 : __real_vasprintf(ret_text, fmt, ap);
}

void *yaml_malloc(size_t size)
{
	return malloc(size ? size : 1);
}

void *yaml_realloc(void *old, size_t size)
{
	return realloc(old, size ? size : 1);
}

void yaml_free(void *old)
{
	free(old);
}

unsigned char *yaml_strdup(const unsigned char *text)
{
	return text ? (unsigned char *)strdup((const char *)text) : NULL;
}

static const char good[] =
	"node: {interfaces: [eth0, eth1], tunnel_source: [10.0.0.0/16]}\n"
	"pools:\n"
	"  web:\n"
	"    health: {http: {path: /x, host: h, status: [200, 204], body_regex: ok}}\n"
	"    backends: [{name: a, address: 10.0.0.1}, {name: b, address: 10.0.0.2, weight: 2}]\n"
	"  api:\n"
	"    backends:\n"
	"    - {name: c, address: \"10.0.0.1:80\"}\n"
	"rate_limits: {few: {rate: 1/s, key: t, entries: 8}, all: {rate: 9/m, per: route}}\n"
	"services:\n"
	"  web: {listen: [10.9.0.1:80/tcp, \"[2001:db8::1]:80/tcp\"], mode: l4, pool: web}\n"
	"  api: {listen: \"10.9.0.2:80/tcp\", mode: http, pool: api, "
	"    variables: {t: 'header[\"x\"]'}, rate_limit: [few, all], "
	"    routes: [{name: a, match: {host: [a.com], path: {template: '/{x}'}, method: [GET], "
	"      source: 10.0.0.0/8, header: {x: {regex: 'a'}}, expr: 't == \"a\"'}, "
	"      split: [{pool: api}], split_by: t, rewrite: {template: '/${x}'}, "
	"      request_headers: {set: {a: '${t}'}, remove: [b]}}, "
	"      {match: {path: {regex: '/(?<n>a)'}}, redirect: {to: '/${n}'}}, "
	"      {respond: {status: 404, body: b}, rate_limit: few}]}\n";

static const char bad[] =
	"node: {interfces: [eth0, eth0], workers: 0, drain_timeout: 5}\n"
	"pools: {web: {backends: [{name: a}, {name: a, addres: x}], health: {}}}\n"
	"rate_limits: {few: {rate: 1, burst: x}}\n"
	"services: {a: {listen: x, pool: wbe}, b: {listen: [1.1.1.1:1/tcp, "
	"1.1.1.1:1/tcp], mode: http, pool: web, rate_limit: fwe, variables: {path: 1}, routes: "
	"[{pool: wbe}, "
	"{match: {expr: pth}, pool: web}, {pool: web, rewrite: {prefix: '${x'}}]}}\n";

enum outcome { WHOLE, TOLD, SILENT };

/* The edits and the way back to text, on a document of its own. */
static bool edit_and_write(const struct tree *t, struct diag *d)
{
	struct tree *copy = tree_copy(t);
	unsigned weight = 3;
	char *text;
	bool ok;

	if (!copy) {
		diag_error(d, NULL, "no copy");
		return false;
	}
	ok = !edit_backend_add(copy, "web", "c", "10.0.0.3", &weight, d) &&
	     !edit_backend_state(copy, "web", "a", ADMIN_DRAIN, d) &&
	     !edit_backend_remove(copy, "web", "b", d);
	text = ok ? tree_emit(copy) : NULL;
	if (ok && !text)
		diag_error(d, NULL, "no text");
	ok &= text != NULL;
	free(text);
	tree_free(copy);
	return ok;
}

static enum outcome go_all_the_way(const char *source, struct runtime *rt)
{
	struct change_list list = {0};
	struct snapshot *s = NULL;
	struct tree *t;
	struct diag d;
	enum outcome outcome;
	bool ok;

	diag_init(&d);
	t = tree_parse("t", source, strlen(source), &d);
	if (t)
		s = conf_build(t, rt, &d);
	ok = s && edit_and_write(t, &d);
	if (ok && diff_snapshots(NULL, s, &list) < 0) {
		diag_error(&d, NULL, "no diff");
		ok = false;
	}
	outcome = ok && !d.errors ? WHOLE : d.errors ? TOLD : SILENT;
	change_list_deinit(&list);
	snapshot_unref(s);
	tree_free(t);
	diag_deinit(&d);
	return outcome;
}

/* How many allocations it takes; each of them is made to fail. */
static void fail_each(const char *source, enum outcome untouched)
{
	unsigned long total;

	for (unsigned long n = 0;; n++) {
		struct runtime *rt;
		enum outcome outcome;

		made = 0;
		countdown = n; /* none at first, to count them */
		rt = runtime_new();
		outcome = rt ? go_all_the_way(source, rt) : TOLD;
		countdown = 0;
		runtime_free(rt);
		if (n == 0) {
			total = made;
			assert_true(total > 200);
			assert_int_equal(outcome, untouched);
		} else if (n > total) {
			break;
		}
		assert_int_not_equal(outcome, SILENT);
	}
}

static void a_good_configuration(void **state)
{
	(void)state;
	fail_each(good, WHOLE);
}

static void a_bad_configuration(void **state)
{
	(void)state;
	fail_each(bad, TOLD);
}

/* What was in force stays whole when its successor cannot be made. */
static void the_former_snapshot_stays(void **state)
{
	struct runtime *rt = runtime_new();
	struct snapshot *former = build_good(rt, "pools: {api: {backends: [{name: c, address: "
						 "\"10.0.0.1:80\"}]}}\n"
						 "services: {api: {listen: 10.9.0.2:80/tcp, mode: "
						 "http, pool: api}}\n");
	struct backend_rt *b = former->pools[0].backends[0].rt;

	(void)state;
	for (unsigned long n = 1; n < 400; n += 3) {
		countdown = n;
		(void)go_all_the_way(good, rt); /* what becomes of it is the other tests' affair */
		countdown = 0;
		assert_string_equal(b->name, "c");
		assert_true(backend_is_usable(&former->pools[0].backends[0]));
	}
	snapshot_unref(former);
	runtime_free(rt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_configuration),
		cmocka_unit_test(a_bad_configuration),
		cmocka_unit_test(the_former_snapshot_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
