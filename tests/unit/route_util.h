/* SPDX-License-Identifier: BSD-2-Clause */
/* A request as route/ sees it, from strings; and somewhere to compile rules to. */
#ifndef TESTS_ROUTE_UTIL_H
#define TESTS_ROUTE_UTIL_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/diag.h"
#include "route/input.h"
#include "route/scope.h"

#define REQUEST_FIELDS 8

struct request {
	const char *method, *scheme, *host, *path, *query, *sni, *source;
	struct {
		const char *name, *value;
	} fields[REQUEST_FIELDS];
};

struct world {
	struct route_mem mem;
	struct route_scope scope;
	struct route_room *room;
	struct diag diag;
	struct route_field fields[REQUEST_FIELDS];
	char *copies[REQUEST_FIELDS * 2 + 6]; /* of just the size, so that reading on is seen */
	size_t copied;
};

static const struct pos world_pos = {"rules", 7, 3};

static inline void world_init(struct world *w)
{
	memset(w, 0, sizeof(*w));
	route_mem_init(&w->mem);
	diag_init(&w->diag);
	w->room = route_room_new(256);
	assert_non_null(w->room);
	w->scope = (struct route_scope){.mem = &w->mem, .diag = &w->diag};
}

static inline void world_drop_request(struct world *w)
{
	while (w->copied)
		free(w->copies[--w->copied]);
}

static inline void world_deinit(struct world *w)
{
	world_drop_request(w);
	route_room_free(w->room);
	route_mem_deinit(&w->mem);
	diag_deinit(&w->diag);
}

static inline struct slice text_slice(const char *text)
{
	return (struct slice){text, text ? strlen(text) : 0};
}

static inline struct slice world_copy(struct world *w, const char *text)
{
	size_t len = text ? strlen(text) : 0;
	char *copy = malloc(len ? len : 1);

	assert_non_null(copy);
	if (len)
		memcpy(copy, text, len);
	w->copies[w->copied++] = copy;
	return (struct slice){copy, len};
}

/* Borrowed from w until the next one. */
static inline struct route_input world_input(struct world *w, const struct request *r)
{
	struct route_input in = {
		.next_field = route_next_in_array, .fields = w->fields, .room = w->room};

	world_drop_request(w);
	in.method = world_copy(w, r->method ? r->method : "GET");
	in.scheme = world_copy(w, r->scheme ? r->scheme : "https");
	in.host = world_copy(w, r->host);
	in.path = world_copy(w, r->path ? r->path : "/");
	in.query = world_copy(w, r->query);
	in.sni = world_copy(w, r->sni);
	if (r->source)
		assert_int_equal(addr_parse(r->source, &in.source), 0);
	while (in.field_count < REQUEST_FIELDS && r->fields[in.field_count].name) {
		unsigned i = in.field_count++;

		w->fields[i].name = world_copy(w, r->fields[i].name);
		w->fields[i].value = world_copy(w, r->fields[i].value);
	}
	return in;
}

/* The text of the only message so far, "" if there is none. It is forgotten by world_forget(). */
static inline const char *world_message(const struct world *w)
{
	if (w->diag.count > 1)
		fail_msg("%zu messages, the second is %s", w->diag.count, w->diag.items[1].text);
	return w->diag.count ? w->diag.items[0].text : "";
}

static inline void world_forget(struct world *w)
{
	diag_deinit(&w->diag);
	diag_init(&w->diag);
}

#endif
