/* SPDX-License-Identifier: BSD-2-Clause */
/* Sources of backends, and how what they find comes into force: see discover.h. */
#include "control/discover.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/runtime.h"
#include "control/discover_int.h"
#include "control/json_build.h"
#include "control/reload.h"
#include "core/clock.h"
#include "core/log.h"
#include "dns/lookup.h"

/* Changes that come within this time are one; and what they cost the main thread is no more than one part
 * in so many of its time. */
#define GATHER_MS 10
#define SHARE	  5

struct item {
	char pool[SHUNT_NAME_MAX];
	struct found_set *set; /* to be put in force; then what was before */
	bool swapped;
};

/* Sets that take effect together. */
struct batch {
	struct discover *owner;
	size_t count;
	struct item items[];
};

/* ---- sources ---- */

static size_t find_place(const struct discover *d, const char *pool)
{
	size_t low = 0, high = d->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(d->sources[middle]->pool, pool) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct source *find_source(const struct discover *d, const char *pool)
{
	size_t at = find_place(d, pool);

	return at < d->count && !strcmp(d->sources[at]->pool, pool) ? d->sources[at] : NULL;
}

const struct found_set *source_current(const struct source *s)
{
	return found_get(runtime_found(s->owner->runtime), s->pool);
}

void discover_unref(struct discover *d)
{
	if (--d->handles > 0)
		return;
	free(d->sources);
	free(d->dir);
	free(d);
}

static void free_source(struct source *s)
{
	found_set_free(s->candidate);
	found_set_free(s->refused_set);
	free((char *)discover_source(&s->conf));
	free(s->conf.resolvers);
	free(s->pool);
	free(s);
}

void source_on_closed(uv_handle_t *handle)
{
	struct source *s = handle->data;
	struct discover *d = s->owner;

	if (--s->handles > 0)
		return;
	free_source(s);
	discover_unref(d);
}

/* It is out of the list already. */
static void stop_source(struct source *s)
{
	s->closing = true;
	if (s->conf.kind == DISCOVER_DNS)
		source_stop_dns(s);
	else
		source_stop_file(s);
	uv_close((uv_handle_t *)&s->timer, source_on_closed);
}

/* Of all that makes its answers. */
static bool asks_the_same(const struct discover_conf *a, const struct discover_conf *b)
{
	if (a->kind != b->kind || strcmp(discover_source(a), discover_source(b)) != 0 ||
	    a->family != b->family || a->empty != b->empty || a->min_ttl_ms != b->min_ttl_ms ||
	    a->max_ttl_ms != b->max_ttl_ms || a->timeout_ms != b->timeout_ms ||
	    a->resolver_count != b->resolver_count)
		return false;
	for (size_t i = 0; i < a->resolver_count; i++)
		if (endpoint_cmp(&a->resolvers[i], &b->resolvers[i]) != 0)
			return false;
	return true;
}

static bool copy_conf(struct source *s, const struct pool *p)
{
	const struct discover_conf *c = &p->discover;
	char *source = strdup(discover_source(c));

	s->pool = strdup(p->name);
	s->conf = *c;
	s->conf.overrides = NULL;
	s->conf.override_count = 0;
	s->conf.resolvers = calloc(c->resolver_count + 1, sizeof(*c->resolvers));
	s->conf.dns = c->kind == DISCOVER_DNS ? source : NULL;
	s->conf.file = c->kind == DISCOVER_FILE ? source : NULL;
	if (!s->pool || !source || !s->conf.resolvers)
		return false;
	for (size_t i = 0; i < c->resolver_count; i++)
		s->conf.resolvers[i] = c->resolvers[i];
	return true;
}

static struct source *start_source(struct discover *d, const struct pool *p)
{
	struct source *s = calloc(1, sizeof(*s));

	if (!s || !copy_conf(s, p)) {
		if (s)
			free_source(s);
		log_error("discover: out of memory, nothing is found until the next change pool=%s",
			  p->name);
		return NULL;
	}
	s->owner = d;
	d->handles++;
	(void)uv_timer_init(d->loop, &s->timer); /* cannot fail */
	s->timer.data = s;
	s->handles = 1;
	if (s->conf.kind == DISCOVER_DNS)
		source_start_dns(s);
	else
		source_start_file(s);
	return s;
}

static void forget_pool(struct discover *d, const char *pool)
{
	struct found_set *former = NULL;

	if (!found_put(runtime_found(d->runtime), pool, NULL, &former))
		found_set_free(former);
	discover_drop_file(d, pool);
}

/* What a source has found stays when another one takes its place, until that has an answer. */
static struct source *follow_pool(struct discover *d, const struct pool *p, struct source *old)
{
	struct source *s;

	if (old && asks_the_same(&old->conf, &p->discover))
		return old;
	s = start_source(d, p);
	if (old)
		stop_source(old);
	return s;
}

void discover_follow(struct discover *d, const struct snapshot *snap)
{
	struct source **sources;
	size_t count = 0, old = 0;

	for (size_t i = 0; i < snap->pool_count; i++)
		count += snap->pools[i].discover.kind != DISCOVER_NONE;
	if (!d->started || (!count && !d->count))
		return;
	sources = calloc(count + 1, sizeof(struct source *));
	if (!sources)
		return; /* as it was, until the next change */
	count = 0;
	for (size_t i = 0; i < snap->pool_count; i++) {
		const struct pool *p = &snap->pools[i];
		struct source *s = NULL;

		if (p->discover.kind == DISCOVER_NONE)
			continue;
		for (; old < d->count && strcmp(d->sources[old]->pool, p->name) < 0; old++) {
			forget_pool(d, d->sources[old]->pool);
			stop_source(d->sources[old]);
		}
		if (old < d->count && !strcmp(d->sources[old]->pool, p->name))
			s = d->sources[old++];
		s = follow_pool(d, p, s);
		if (s)
			sources[count++] = s;
	}
	for (; old < d->count; old++) {
		forget_pool(d, d->sources[old]->pool);
		stop_source(d->sources[old]);
	}
	free(d->sources);
	d->sources = sources;
	d->count = count;
}

/* ---- into force ---- */

static void kick(struct discover *d);

/* A newer one may have come since. */
static void give_back(struct discover *d, const char *pool, struct found_set *set, bool apart)
{
	struct source *s = find_source(d, pool);

	if (!s || s->candidate) {
		found_set_free(set);
		return;
	}
	s->candidate = set;
	s->apart = apart;
}

static void note_refused(struct discover *d, const char *pool, struct found_set *set,
			 const struct reload_result *result)
{
	struct source *s = find_source(d, pool);

	if (!s) {
		found_set_free(set);
		return;
	}
	found_set_free(s->refused_set);
	s->refused_set = set;
	s->refused_at = result->generation;
	s->refused++;
	(void)snprintf(s->refusal, sizeof(s->refusal), "refused: %s",
		       result->diag.count ? result->diag.items[0].text : strerror(-result->status));
	(void)snprintf(s->error, sizeof(s->error), "%s", s->refusal);
}

static void settle_item(struct discover *d, struct batch *b, struct item *it,
			const struct reload_result *result)
{
	struct found_set *set = it->set;
	struct source *s = find_source(d, it->pool);

	if (!result->status) {
		found_set_free(set); /* what was before */
		if (!s) {
			forget_pool(d, it->pool);
			return;
		}
		s->changes++;
		s->changed_ms = clock_now_ms();
		s->dirty = true;
		discover_keep(d);
		return;
	}
	if (it->swapped)
		(void)found_put(runtime_found(d->runtime), it->pool, it->set, &set);
	if (!it->swapped || b->count > 1)
		give_back(d, it->pool, set, b->count > 1);
	else
		note_refused(d, it->pool, set, result);
}

static void on_applied(void *ctx, const struct reload_result *result)
{
	struct batch *b = ctx;
	struct discover *d = b->owner;

	for (size_t i = 0; i < b->count; i++)
		settle_item(d, b, &b->items[i], result);
	d->busy = false;
	d->ended_ms = clock_now_ms();
	d->took_ms = d->ended_ms - d->submitted_ms;
	free(b);
	kick(d);
	discover_unref(d);
}

/* A reload_edit: the document stays what it is. */
static int swap_in(void *ctx, struct tree *document, struct diag *diag)
{
	struct batch *b = ctx;

	(void)document;
	b->owner->submitted_ms = clock_now_ms(); /* what waited in front of it costs others */
	for (size_t i = 0; i < b->count; i++) {
		struct found_set *former = NULL;

		if (found_put(runtime_found(b->owner->runtime), b->items[i].pool, b->items[i].set,
			      &former)) {
			diag_error(diag, NULL, "out of memory");
			return -ENOMEM;
		}
		b->items[i].set = former;
		b->items[i].swapped = true;
	}
	return 0;
}

static void take_candidate(struct batch *b, struct source *s)
{
	struct item *it = &b->items[b->count++];

	(void)snprintf(it->pool, sizeof(it->pool), "%s", s->pool); /* no name is longer */
	it->set = s->candidate;
	s->candidate = NULL;
	s->apart = false;
}

/* All that can take effect together with the first: of its kind, and none that was refused. */
static struct batch *gather(struct discover *d)
{
	struct batch *b = calloc(1, sizeof(*b) + d->count * sizeof(b->items[0]));
	enum discover_kind kind = DISCOVER_NONE;

	if (!b)
		return NULL;
	b->owner = d;
	for (size_t i = 0; i < d->count; i++) {
		struct source *s = d->sources[i];

		if (!s->candidate || (kind != DISCOVER_NONE && (s->conf.kind != kind || s->apart)))
			continue;
		kind = s->conf.kind;
		if (s->apart) {
			take_candidate(b, s);
			break;
		}
		take_candidate(b, s);
	}
	return b;
}

static void on_gathered(uv_timer_t *timer)
{
	struct discover *d = timer->data;
	struct batch *b = gather(d);
	struct reload_origin origin = {.uid = -1, .alone = true};

	if (!b || !b->count) {
		free(b);
		return;
	}
	origin.what = discover_kind_name(b->items[0].set->kind);
	if (reload_edit_document(d->reload, swap_in, &origin, on_applied, b)) {
		for (size_t i = 0; i < b->count; i++)
			give_back(d, b->items[i].pool, b->items[i].set, false);
		free(b);
		d->ended_ms = clock_now_ms();
		kick(d); /* too much waits: later */
		return;
	}
	d->handles++;
	d->busy = true;
}

static void kick(struct discover *d)
{
	uint64_t wait_ms = GATHER_MS, now = clock_now_ms(), rest = d->took_ms * (SHARE - 1);
	bool waits = false;

	for (size_t i = 0; i < d->count && !waits; i++)
		waits = d->sources[i]->candidate != NULL;
	if (!waits || d->busy || d->closing || uv_is_active((uv_handle_t *)&d->gather))
		return;
	if (d->ended_ms + rest > now + wait_ms)
		wait_ms = d->ended_ms + rest - now;
	(void)uv_timer_start(&d->gather, on_gathered, wait_ms, 0); /* fails when closing */
}

/* ---- what sources find ---- */

void source_fail(struct source *s, const char *why)
{
	s->failures++;
	s->failed_in_a_row++;
	if (strcmp(s->error, why) != 0)
		log_warning("discover: failed, backends stay what they are pool=%s %s=%s "
			    "reason=\"%s\"",
			    s->pool, discover_kind_name(s->conf.kind), discover_source(&s->conf),
			    why);
	(void)snprintf(s->error, sizeof(s->error), "%s", why); /* cut is fine */
}

/* The set in force is not only an earlier process's any more. */
static void confirm(struct source *s, struct found_set *set)
{
	struct found_set *former = NULL;

	if (!found_put(runtime_found(s->owner->runtime), s->pool, set, &former))
		set = former;
	found_set_free(set);
}

void source_offer(struct source *s, struct found_set *set)
{
	const struct found_set *now = source_current(s);
	uint64_t generation = reload_current(s->owner->reload)->generation;

	if (!set->count && now && now->count && s->conf.empty == DISCOVER_KEEP) {
		s->empty++;
		s->failed_in_a_row++;
		if (s->empty == 1)
			log_warning("discover: an answer names nobody, backends stay what they are "
				    "pool=%s %s=%s",
				    s->pool, discover_kind_name(s->conf.kind),
				    discover_source(&s->conf));
		(void)snprintf(s->error, sizeof(s->error), "it names nobody");
		found_set_free(set);
		return;
	}
	if (s->failed_in_a_row)
		log_info("discover: good again pool=%s %s=%s", s->pool,
			 discover_kind_name(s->conf.kind), discover_source(&s->conf));
	s->failed_in_a_row = 0;
	s->error[0] = 0;
	s->good_ms = clock_now_ms();
	found_set_free(s->candidate);
	s->candidate = NULL;
	if (found_set_equal(now, set)) {
		if (now && now->restored && !s->owner->busy)
			confirm(s, set);
		else
			found_set_free(set);
		return;
	}
	if (s->refused_set && s->refused_at == generation && found_set_equal(s->refused_set, set)) {
		(void)snprintf(s->error, sizeof(s->error), "%s", s->refusal);
		found_set_free(set);
		return;
	}
	s->candidate = set;
	kick(s->owner);
}

/* ---- life ---- */

struct discover *discover_new(struct runtime *rt, const char *state_dir)
{
	struct discover *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->runtime = rt;
	d->handles = 1;
	if (state_dir) {
		size_t len = strlen(state_dir) + sizeof("/found");

		d->dir = malloc(len);
		if (!d->dir) {
			free(d);
			return NULL;
		}
		(void)snprintf(d->dir, len, "%s/found", state_dir);
		discover_restore(d);
	}
	return d;
}

void discover_start(struct discover *d, uv_loop_t *loop, struct reload *reload)
{
	d->loop = loop;
	d->reload = reload;
	(void)uv_timer_init(loop, &d->gather); /* neither can fail */
	(void)uv_timer_init(loop, &d->write);
	d->gather.data = d->write.data = d;
	d->handles += 2;
	if (dns_start())
		log_error("discover: out of memory, DNS is not asked");
	d->started = true;
}

bool discover_forget(struct discover *d)
{
	struct found *f = runtime_found(d->runtime);
	bool any = false;

	for (size_t i = 0; i < found_count(f); i++) {
		struct found_set *set = NULL;

		(void)found_put(f, found_pool(f, i), NULL, &set); /* it is there */
		any |= set != NULL;
		found_set_free(set);
	}
	return any;
}

static void on_timer_closed(uv_handle_t *handle)
{
	discover_unref(handle->data);
}

void discover_quiesce(struct discover *d)
{
	d->closing = true;
	(void)uv_timer_stop(&d->gather);
}

void discover_close(struct discover *d)
{
	if (!d)
		return;
	d->closing = true;
	if (d->started) {
		discover_keep_now(d);
		for (size_t i = 0; i < d->count; i++)
			stop_source(d->sources[i]);
		d->count = 0;
		uv_close((uv_handle_t *)&d->gather, on_timer_closed);
		uv_close((uv_handle_t *)&d->write, on_timer_closed);
	}
	discover_unref(d);
}

/* ---- what people see ---- */

static json_t *ago(uint64_t when_ms)
{
	return when_ms ? json_integer((json_int_t)(clock_now_ms() - when_ms)) : json_null();
}

json_t *discover_json(const struct discover *d, const struct pool *p)
{
	const struct source *s = d ? find_source(d, p->name) : NULL;
	const struct found_set *set;
	uint64_t now = clock_now_ms();
	json_t *o;
	bool failed;

	if (p->discover.kind == DISCOVER_NONE)
		return json_null();
	o = json_object();
	failed = !o;
	json_put(o, "kind", json_string(discover_kind_name(p->discover.kind)), &failed);
	json_put(o, "source", json_text(discover_source(&p->discover)), &failed);
	if (!s)
		return json_finish(o, failed);
	set = source_current(s);
	json_put_int(o, "found", set ? set->count : 0, &failed);
	json_put(o, "restored", json_boolean(set && set->restored), &failed);
	json_put(o, "error", s->error[0] ? json_text(s->error) : json_null(), &failed);
	json_put(o, "asked_ms_ago", ago(s->asked_ms), &failed);
	json_put(o, "good_ms_ago", ago(s->good_ms), &failed);
	json_put(o, "changed_ms_ago", ago(s->changed_ms), &failed);
	json_put(o, "ttl_ms", s->ttl_ms ? json_integer((json_int_t)s->ttl_ms) : json_null(),
		 &failed);
	json_put(o, "next_ms",
		 s->conf.kind == DISCOVER_DNS && !s->lookup
			 ? json_integer(s->next_ms > now ? (json_int_t)(s->next_ms - now) : 0)
			 : json_null(),
		 &failed);
#define X(name) json_put_int(o, #name, s->name, &failed);
	DISCOVER_COUNTERS(X)
#undef X
	return json_finish(o, failed);
}
