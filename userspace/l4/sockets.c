/* SPDX-License-Identifier: BSD-2-Clause */
#include "l4/sockets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/listen.h"
#include "l4/sock_rows.h"

_Static_assert(LISTEN_GROUP_STRLEN <= SOCKETS_NAME_MAX, "the kernel's table has room for a group");

/* Consecutive slots. count 0: none. */
struct span {
	uint32_t first, count;
};

struct group {
	char name[LISTEN_GROUP_STRLEN];
	uint32_t row;	  /* of its target */
	struct span now;  /* what the target says */
	struct span next; /* added, not published yet */
	struct span past; /* not chosen any more, to be emptied */
	bool is_ours;	  /* this process has added sockets */
	bool is_needed;	  /* by what is published now */
};

struct l4_sockets {
	struct sockets *kernel;
	struct group *groups;
	size_t group_count;
	bool *slots;	   /* [SOCKETS_MAX_SLOTS] in use */
	bool *rows;	   /* [SOCKETS_MAX_ROWS] in use */
	bool is_unsettled; /* searches may still go by what was replaced or deleted */
};

static struct group *find_group(struct l4_sockets *s, const char *name)
{
	for (size_t i = 0; i < s->group_count; i++)
		if (!strcmp(s->groups[i].name, name))
			return &s->groups[i];
	return NULL;
}

static struct group *new_group(struct l4_sockets *s, const char *name, uint32_t row)
{
	struct group *grown = reallocarray(s->groups, s->group_count + 1, sizeof(*grown));
	struct group *g;

	if (!grown)
		return NULL;
	s->groups = grown;
	g = &grown[s->group_count++];
	*g = (struct group){.row = row};
	(void)strncpy(g->name, name, sizeof(g->name) - 1);
	s->rows[row] = true;
	return g;
}

static void mark(struct l4_sockets *s, const struct span *span, bool in_use)
{
	for (uint32_t i = 0; i < span->count; i++)
		if (span->first + i < SOCKETS_MAX_SLOTS)
			s->slots[span->first + i] = in_use;
}

static int take_slots(struct l4_sockets *s, uint32_t count, struct span *ret_span)
{
	uint32_t run = 0;

	for (uint32_t i = 0; i < SOCKETS_MAX_SLOTS; i++) {
		run = s->slots[i] ? 0 : run + 1;
		if (run < count)
			continue;
		*ret_span = (struct span){i + 1 - count, count};
		mark(s, ret_span, true);
		return 0;
	}
	return -ENOSPC;
}

/* Sockets that nobody is given to any more. */
static void empty(struct l4_sockets *s, struct span *span)
{
	for (uint32_t i = 0; i < span->count; i++)
		(void)sockets_clear(s->kernel, span->first + i); /* a full slot harms nobody */
	mark(s, span, false);
	*span = (struct span){0};
}

/* ---- open and close -------------------------------------------------------------------------- */

static int read_groups(struct l4_sockets *s)
{
	char name[SOCKETS_NAME_MAX];

	s->rows[SOCKETS_ROW_STACK] = true;
	for (uint32_t row = 1; row < SOCKETS_MAX_ROWS; row++) {
		uint64_t target = sockets_target(s->kernel, row);
		struct group *g;
		int err;

		err = sockets_name(s->kernel, row, name);
		if (err < 0)
			return err;
		if (!*name)
			continue;
		g = new_group(s, name, row);
		if (!g)
			return -ENOMEM;
		g->now = (struct span){SOCKETS_TARGET_FIRST(target), SOCKETS_TARGET_COUNT(target)};
		mark(s, &g->now, true);
	}
	return 0;
}

int l4_sockets_open(const char *pin_path, struct l4_sockets **ret_sockets, struct diag *d)
{
	struct l4_sockets *s = calloc(1, sizeof(*s));
	int err = -ENOMEM;

	if (!s)
		goto out;
	s->slots = calloc(SOCKETS_MAX_SLOTS, sizeof(*s->slots));
	s->rows = calloc(SOCKETS_MAX_ROWS, sizeof(*s->rows));
	if (!s->slots || !s->rows)
		goto out;
	err = sockets_open(pin_path, &s->kernel, d);
	if (err < 0)
		goto fail;
	if (sockets_adopted(s->kernel))
		err = read_groups(s);
	else
		s->rows[SOCKETS_ROW_STACK] = true;
	if (err < 0)
		goto out;
	*ret_sockets = s;
	return 0;
out:
	diag_error(d, NULL, "cannot open the tables of listening sockets: %s", strerror(-err));
fail:
	l4_sockets_close(s);
	return err;
}

void l4_sockets_close(struct l4_sockets *s)
{
	if (!s)
		return;
	sockets_close(s->kernel);
	free(s->groups);
	free(s->slots);
	free(s->rows);
	free(s);
}

/* ---- groups ---------------------------------------------------------------------------------- */

static int free_row(const struct l4_sockets *s, uint32_t *ret_row)
{
	for (uint32_t row = 1; row < SOCKETS_MAX_ROWS; row++)
		if (!s->rows[row]) {
			*ret_row = row;
			return 0;
		}
	return -ENOSPC;
}

static int fill(struct l4_sockets *s, const struct span *span, const int *fds)
{
	int err = 0;

	for (uint32_t i = 0; i < span->count && !err; i++)
		err = sockets_fill(s->kernel, span->first + i, fds[i]);
	return err;
}

/* A group without sockets, for that name. */
static int make_group(struct l4_sockets *s, const char *name, struct group **ret_group)
{
	uint32_t row;
	int err = free_row(s, &row);

	if (err < 0)
		return err;
	sockets_set_target(s->kernel, row, 0);
	err = sockets_set_name(s->kernel, row, name);
	if (err < 0)
		return err;
	*ret_group = new_group(s, name, row);
	return *ret_group ? 0 : -ENOMEM;
}

int l4_sockets_add(struct l4_sockets *s, const char *group, const int *fds, size_t count,
		   struct diag *d)
{
	struct group *g = find_group(s, group);
	int err = 0;

	if (g && g->is_ours)
		return 0;
	if (!g)
		err = make_group(s, group, &g);
	if (!err)
		err = take_slots(s, (uint32_t)count, &g->next);
	if (!err) {
		g->is_ours = true;
		err = fill(s, &g->next, fds);
	}
	if (err == -ENOSPC)
		diag_error(d, NULL,
			   "more listening sockets than the kernel's table holds: %d, in %d groups",
			   SOCKETS_MAX_SLOTS, SOCKETS_MAX_ROWS - 1);
	else if (err < 0)
		diag_error(d, NULL, "cannot note the listening sockets of %s: %s", group,
			   strerror(-err));
	return err;
}

void l4_sockets_cancel(struct l4_sockets *s)
{
	for (size_t i = 0; i < s->group_count; i++) {
		struct group *g = &s->groups[i];

		if (!g->next.count)
			continue;
		empty(s, &g->next);
		g->is_ours = false;
	}
}

/* ---- publish --------------------------------------------------------------------------------- */

/* What searches may still look at is done with. */
static int settle(struct l4_sockets *s)
{
	int err = s->is_unsettled ? sockets_wait() : 0;

	if (!err)
		s->is_unsettled = false;
	return err;
}

static int row_of(void *ctx, const char *name, uint32_t *ret_row)
{
	struct group *g = find_group(ctx, name);

	if (!g || !g->is_ours)
		return -ENOENT;
	g->is_needed = true;
	*ret_row = g->row;
	return 0;
}

/* The new sockets of each group are those that are chosen. */
static void switch_targets(struct l4_sockets *s)
{
	for (size_t i = 0; i < s->group_count; i++) {
		struct group *g = &s->groups[i];

		if (!g->next.count)
			continue;
		sockets_set_target(s->kernel, g->row, SOCKETS_TARGET(g->next.first, g->next.count));
		g->past = g->now;
		g->now = g->next;
		g->next = (struct span){0};
		s->is_unsettled = true;
	}
}

struct rows {
	struct sockets_row *list;
	size_t count;
};

static int compare_row(const void *a, const void *b)
{
	return sockets_row_cmp(a, b);
}

static const struct sockets_row *find_row(const struct rows *rows, const struct sockets_row *row)
{
	return rows->count ? bsearch(row, rows->list, rows->count, sizeof(*row), compare_row)
			   : NULL;
}

/* Memory of what is replaced or deleted may be given to the next that is written. */
static int put(struct l4_sockets *s, const struct sockets_row *row, bool replaces)
{
	int err = settle(s);

	if (!err)
		err = sockets_put(s->kernel, row);
	s->is_unsettled |= replaces;
	return err;
}

/* New keys first, then other values, then what goes: at no time is there less than before or after. */
static int write_rows(struct l4_sockets *s, const struct rows *want, const struct rows *have)
{
	int err = 0;

	for (size_t i = 0; i < want->count && !err; i++)
		if (!find_row(have, &want->list[i]))
			err = put(s, &want->list[i], false);
	for (size_t i = 0; i < want->count && !err; i++) {
		const struct sockets_row *old = find_row(have, &want->list[i]);

		if (old && !sockets_row_same(old, &want->list[i]))
			err = put(s, &want->list[i], true);
	}
	for (size_t i = 0; i < have->count && !err; i++) {
		if (find_row(want, &have->list[i]))
			continue;
		err = sockets_delete(s->kernel, &have->list[i]);
		s->is_unsettled = true;
	}
	return err;
}

/* Nobody is given to them any more. */
static int release(struct l4_sockets *s)
{
	size_t kept = 0;
	int err = settle(s);

	if (err < 0)
		return err;
	for (size_t i = 0; i < s->group_count; i++) {
		struct group *g = &s->groups[i];

		empty(s, &g->past);
		if (g->is_needed || (err = sockets_set_name(s->kernel, g->row, "")) < 0) {
			s->groups[kept++] = *g;
			continue;
		}
		sockets_set_target(s->kernel, g->row, 0);
		empty(s, &g->now);
		s->rows[g->row] = false;
	}
	s->group_count = kept;
	return err;
}

int l4_sockets_publish(struct l4_sockets *s, const struct snapshot *snap, struct diag *d)
{
	struct rows want = {0}, have = {0};
	int err = 0;

	for (size_t i = 0; i < s->group_count; i++)
		s->groups[i].is_needed = false;
	if (snap)
		err = sock_rows_build(snap, row_of, s, &want.list, &want.count);
	if (!err)
		err = sockets_list(s->kernel, &have.list, &have.count);
	if (!err) {
		switch_targets(s);
		err = write_rows(s, &want, &have);
	}
	if (!err)
		err = release(s);
	free(want.list);
	free(have.list);
	if (err < 0)
		diag_error(d, NULL, "cannot write the tables of listening sockets at %s: %s",
			   sockets_dir(s->kernel), strerror(-err));
	return err;
}

/* ---- for people ------------------------------------------------------------------------------ */

static void add_stats(struct l4_sockets *s, const struct group *g, struct sockets_stats *sum)
{
	struct sockets_stats stats;

	if (sockets_stats(s->kernel, g->row, &stats) < 0)
		return; /* the table is gone from under us: nothing to show */
	for (int i = 0; i < SOCKETS_COUNTER_COUNT; i++)
		sum->count[i] += stats.count[i];
}

bool l4_sockets_attached(const struct l4_sockets *s)
{
	return sockets_attached(s->kernel);
}

static bool is_of_service(const struct group *g, const struct service *service)
{
	char name[LISTEN_GROUP_STRLEN];

	for (size_t i = 0; i < service->listen_count; i++)
		if (!strcmp(listen_group(service, &service->listens[i], name), g->name))
			return true;
	return false;
}

void l4_sockets_stats(struct l4_sockets *s, const struct service *service,
		      struct sockets_stats *ret_stats)
{
	*ret_stats = (struct sockets_stats){0};
	for (size_t i = 0; i < s->group_count; i++)
		if (is_of_service(&s->groups[i], service))
			add_stats(s, &s->groups[i], ret_stats);
}

void l4_sockets_describe(struct l4_sockets *s, struct l4_sockets_info *ret_info)
{
	*ret_info = (struct l4_sockets_info){
		.dir = sockets_dir(s->kernel),
		.attached = sockets_attached(s->kernel),
		.adopted = sockets_adopted(s->kernel),
		.groups = s->group_count,
	};
	for (size_t i = 0; i < s->group_count; i++)
		add_stats(s, &s->groups[i], &ret_info->stats);
}
