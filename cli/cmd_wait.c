/* SPDX-License-Identifier: BSD-2-Clause */
/* shuntctl wait, and the wait of shuntctl backend drain. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/fields.h"
#include "cli/print.h"
#include "cli/wait.h"
#include "conf/value.h"
#include "core/clock.h"

/* What a reply that is not the object says instead. */
static void take_refusal(const struct reply *r, char *says, size_t len)
{
	const json_t *error = json_object_get(r->json, "error");
	const char *message = json_string_value(json_object_get(error, "message"));

	(void)snprintf(says, len, "%s", message ? message : "shuntd gave no answer");
}

static enum wait_state refused(const struct reply *r, char *says, size_t len)
{
	take_refusal(r, says, len);
	return r->status / 100 == 4 ? WAIT_NEVER : WAIT_NOT_YET;
}

/* ---- ready ---- */

static enum wait_state look_ready(void *ctx, const struct reply *r, char *says, size_t len)
{
	const json_t *problems = json_object_get(r->json, "problems");
	char *all;

	(void)ctx;
	if (json_is_true(json_object_get(r->json, "ready")))
		return WAIT_DONE;
	if (!json_is_array(problems))
		return refused(r, says, len);
	all = cmd_join(problems);
	(void)snprintf(says, len, "%s", all ? all : "not ready");
	free(all);
	return WAIT_NOT_YET;
}

int cmd_wait_ready(const struct cli *cli)
{
	return wait_for(cli,
			&(struct wait_for){.what = "ready", .path = "/readyz", .look = look_ready});
}

/* ---- generation ---- */

static enum wait_state look_generation(void *ctx, const struct reply *r, char *says, size_t len)
{
	const json_t *proxy = json_object_get(r->json, "proxy");
	uint64_t want = *(const uint64_t *)ctx, has = field_count(r->json, "generation");

	if (r->status != 200)
		return refused(r, says, len);
	if (has < want) {
		(void)snprintf(says, len, "generation %llu is in force", (unsigned long long)has);
		return WAIT_NOT_YET;
	}
	if (field_count(proxy, "workers") && field_count(proxy, "oldest_generation") < want) {
		(void)snprintf(says, len, "a worker still has generation %llu",
			       (unsigned long long)field_count(proxy, "oldest_generation"));
		return WAIT_NOT_YET;
	}
	return WAIT_DONE;
}

int cmd_wait_generation(const struct cli *cli)
{
	uint64_t want;
	char what[40];

	if (value_number(cli->argv[0], &want)) {
		tell_error("expected the number of a generation, not '%s'", cli->argv[0]);
		return API_EXIT_USAGE;
	}
	(void)snprintf(what, sizeof(what), "generation %llu", (unsigned long long)want);
	return wait_for(cli, &(struct wait_for){.what = what,
						.path = "/v1/status",
						.look = look_generation,
						.ctx = &want});
}

/* ---- backends ---- */

struct of_pool {
	char *path; /* malloc'ed */
	const char *name;
	/* of a drain: */
	uint64_t quiet_ms, packets, packets_ms;
	bool has_packets;
};

static int open_pool(struct of_pool *p, const char *pool, const char *name)
{
	char *escaped = client_escape(pool);

	memset(p, 0, sizeof(*p));
	p->name = name;
	if (!escaped || asprintf(&p->path, "/v1/backends?pool=%s", escaped) < 0) {
		p->path = NULL;
		tell_error("out of memory");
	}
	free(escaped);
	return p->path ? 0 : -ENOMEM;
}

static const json_t *find_backend(const struct reply *r, const char *name)
{
	const json_t *list = json_object_get(r->json, "backends");
	size_t i;
	json_t *b;

	json_array_foreach (list, i, b) {
		if (!strcmp(field_text(b, "name"), name))
			return b;
	}
	return NULL;
}

/* Up, and found so by a check where it is checked. */
static bool is_healthy(const json_t *b)
{
	const json_t *health = json_object_get(b, "health");

	return !strcmp(field_text(b, "state"), "up") &&
	       (!strcmp(field_text(health, "check"), "none") ||
		json_is_integer(json_object_get(health, "checked_ms_ago")));
}

static bool is_in_service(const json_t *b)
{
	return !strcmp(field_text(b, "admin_state"), "up");
}

static void say_unhealthy(const json_t *b, char *says, size_t len)
{
	const json_t *health = json_object_get(b, "health");
	bool checked = json_is_integer(json_object_get(health, "checked_ms_ago"));

	(void)snprintf(says, len, "%s/%s is %s: %s", field_text(b, "pool"), field_text(b, "name"),
		       field_text(b, "state"),
		       checked ? field_text(health, "result") : "not checked yet");
}

static enum wait_state look_one(const struct of_pool *p, const struct reply *r, char *says,
				size_t len)
{
	const json_t *b = find_backend(r, p->name);

	if (!b) {
		(void)snprintf(says, len, "no such backend");
		return WAIT_NEVER;
	}
	if (is_healthy(b))
		return WAIT_DONE;
	say_unhealthy(b, says, len);
	return WAIT_NOT_YET;
}

static enum wait_state look_health(void *ctx, const struct reply *r, char *says, size_t len)
{
	const json_t *list = json_object_get(r->json, "backends");
	const struct of_pool *p = ctx;
	bool any = false;
	size_t i;
	json_t *b;

	if (r->status != 200)
		return refused(r, says, len);
	if (p->name)
		return look_one(p, r, says, len);
	json_array_foreach (list, i, b) {
		if (!is_in_service(b))
			continue;
		any = true;
		if (is_healthy(b))
			continue;
		say_unhealthy(b, says, len);
		return WAIT_NOT_YET;
	}
	(void)snprintf(says, len, "none of its backends is in service");
	return any ? WAIT_DONE : WAIT_NOT_YET;
}

int cmd_wait_health(const struct cli *cli)
{
	char *what = strdup(cli->argv[0]), *slash = strchr(cli->argv[0], '/');
	struct of_pool p = {0};
	int code = API_EXIT_FAILED;

	if (slash)
		*slash = '\0';
	if (!what)
		tell_error("out of memory");
	else if (slash && (slash == cli->argv[0] || !slash[1]))
		code = (tell_error("expected POOL or POOL/NAME"), API_EXIT_USAGE);
	else if (!open_pool(&p, cli->argv[0], slash ? slash + 1 : NULL))
		code = wait_for(
			cli, &(struct wait_for){
				     .what = what, .path = p.path, .look = look_health, .ctx = &p});
	free(p.path);
	free(what);
	return code;
}

/* ---- a drain ---- */

/* No packet for long enough. */
static bool is_quiet(struct of_pool *p, const json_t *l4, char *says, size_t len)
{
	uint64_t packets = field_count(l4, "packets"), now = clock_now_ms();
	char age[PRINT_UNIT_MAX], whole[PRINT_UNIT_MAX];

	if (!p->has_packets || p->packets != packets) {
		p->has_packets = true;
		p->packets = packets;
		p->packets_ms = now;
	}
	if (now - p->packets_ms >= p->quiet_ms)
		return true;
	(void)snprintf(says, len, "no packets for %s of %s", format_age(now - p->packets_ms, age),
		       format_age(p->quiet_ms, whole));
	return false;
}

static enum wait_state look_drained(void *ctx, const struct reply *r, char *says, size_t len)
{
	struct of_pool *p = ctx;
	const json_t *b, *http, *l4;
	uint64_t active;

	if (r->status != 200)
		return refused(r, says, len);
	b = find_backend(r, p->name);
	if (!b || is_in_service(b)) {
		(void)snprintf(says, len,
			       b ? "somebody has ended the drain" : "somebody has removed it");
		return WAIT_NEVER;
	}
	http = json_object_get(b, "http");
	l4 = json_object_get(b, "l4");
	active = field_count(http, "active_requests");
	if (active) {
		(void)snprintf(says, len, "%llu requests or connections under way",
			       (unsigned long long)active);
		return WAIT_NOT_YET;
	}
	if (json_is_object(l4) && !is_quiet(p, l4, says, len))
		return WAIT_NOT_YET;
	return WAIT_DONE;
}

int cmd_wait_drained(const struct cli *cli, const char *pool, const char *name)
{
	struct of_pool p;
	char *what = NULL;
	int code = API_EXIT_FAILED;

	if (open_pool(&p, pool, name))
		return code;
	p.quiet_ms = cli->quiet_ms;
	if (asprintf(&what, "%s/%s", pool, name) < 0)
		tell_error("out of memory");
	else
		code = wait_for(cli, &(struct wait_for){.what = what,
							.path = p.path,
							.look = look_drained,
							.ctx = &p});
	free(what);
	free(p.path);
	return code;
}
