/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers of the proxy's own: see answer.h. */
#include "l7/answer.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "core/log.h"
#include "l7/conn.h"
#include "l7/grpc.h"
#include "l7/l7_int.h"

/* What fits of a text that is written piece by piece. */
struct writer {
	char *at, *end;
};

__attribute__((format(printf, 2, 3))) static void put(struct writer *w, const char *fmt, ...)
{
	size_t room = (size_t)(w->end - w->at);
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(w->at, room, fmt, ap);
	va_end(ap);
	w->at += n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1;
}

unsigned answer_status(const struct answer *a)
{
	return a->status ? a->status : reason_status(a->reason);
}

/* ---- what the client wants ---- */

/* Thousandths, of the parameter q; 1000 without one (RFC 9110, 12.4.2). */
static unsigned quality(struct slice parameters)
{
	static const char digits[] = "0123456789";
	unsigned q = 0, unit = 1000;

	while (parameters.len >= 2 &&
	       !slice_eq_nocase((struct slice){parameters.ptr, 2}, SLICE("q="))) {
		parameters.ptr++;
		parameters.len--;
	}
	if (parameters.len < 3)
		return 1000;
	for (size_t i = 2; i < parameters.len && unit; i++) {
		const char *digit = memchr(digits, parameters.ptr[i], sizeof(digits) - 1);

		if (parameters.ptr[i] == '.')
			continue;
		if (!digit)
			break;
		q += (unsigned)(digit - digits) * unit;
		unit /= 10;
	}
	return q;
}

/* How much a list of media ranges wants JSON, and text of any kind; the wildcard wants neither. */
static void weigh(struct slice list, unsigned *json, unsigned *text)
{
	struct slice range;

	while (slice_next_element(&list, &range)) {
		const char *semicolon = memchr(range.ptr, ';', range.len);
		size_t len = semicolon ? (size_t)(semicolon - range.ptr) : range.len;
		struct slice type = slice_trim((struct slice){range.ptr, len});
		unsigned q = quality((struct slice){range.ptr + len, range.len - len});
		bool is_text = type.len > 5 &&
			       slice_eq_nocase((struct slice){type.ptr, 5}, SLICE("text/"));

		if (slice_eq_nocase(type, SLICE("application/json")) && q > *json)
			*json = q;
		else if (is_text && q > *text)
			*text = q;
	}
}

/* Of a field of the request's. */
struct wishes {
	unsigned json, text;
};

static void note(struct answer *a, struct wishes *w, struct slice name, struct slice value,
		 bool take_id)
{
	if (slice_eq_nocase(name, SLICE("accept"))) {
		weigh(value, &w->json, &w->text);
		a->wants_json = w->json && w->json >= w->text;
	} else if (take_id && !a->id_len && slice_eq_nocase(name, REQUEST_ID_FIELD) &&
		   request_id_is_good(value)) {
		memcpy(a->id, value.ptr, value.len);
		a->id_len = value.len;
	}
}

void answer_read(struct answer *a, const struct head *h, bool take_id)
{
	struct wishes w = {0};

	a->is_head = h->is_head;
	for (unsigned i = 0; h->fields && i < h->count; i++)
		note(a, &w, h->fields[i].name, h->fields[i].value, take_id);
}

void answer_read_block(struct answer *a, struct slice block, bool take_id)
{
	struct wishes w = {0};

	while (block.len) {
		const char *end = memchr(block.ptr, '\n', block.len);
		size_t len = end ? (size_t)(end - block.ptr) + 1 : block.len;
		const char *colon = memchr(block.ptr, ':', len);
		size_t name = colon ? (size_t)(colon - block.ptr) : 0;
		struct slice value = {block.ptr + name + 1, len - name - 1};

		if (colon && end && value.len >= 2) { /* without the line's end */
			value.len -= 2;
			note(a, &w, (struct slice){block.ptr, name}, slice_trim(value), take_id);
		}
		block.ptr += len;
		block.len -= len;
	}
}

struct answer conn_answer(const struct conn *c, enum reason reason, const struct head *h)
{
	struct answer a = {.reason = reason, .pages = &c->service->error_pages};

	answer_read(&a, h, h->is_named || conn_is_trusted(c, c->service));
	return a;
}

void conn_count_answer(struct conn *c, const struct answer *a)
{
	struct service_counters *n = conn_counters(c);

	counter_add(&n->local_errors, 1);
	count_response(n, answer_status(a));
	log_debug("l7: answer service=%s status=%u reason=\"%s\"", c->service->name,
		  answer_status(a), reason_text(a->reason));
}

/* ---- the words ---- */

struct slice answer_name(struct l7 *l7, struct answer *a)
{
	struct timespec now;

	if (!a->id_len) {
		const uint64_t random[2] = {l7_random(l7), l7_random(l7)};

		(void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail */
		a->id_len = request_id_make(a->id,
					    (uint64_t)now.tv_sec * 1000 +
						    (uint64_t)now.tv_nsec / 1000000,
					    random)
				    .len;
	}
	return (struct slice){a->id, a->id_len};
}

/* The names of objects have no byte that JSON would have to escape, nor have the reasons' words. */
static void put_json(struct writer *w, const struct answer *a)
{
	const struct answer_facts *f = &a->facts;

	put(w, "{\"status\": %u, \"code\": \"%s\", \"reason\": \"%s\", \"request_id\": \"%.*s\"",
	    answer_status(a), reason_name(a->reason), reason_text(a->reason), (int)a->id_len,
	    a->id);
	if (f->route)
		put(w, ", \"route\": \"%s\"", f->route);
	if (f->pool)
		put(w, ", \"pool\": \"%s\"", f->pool);
	if (f->backend)
		put(w, ", \"backend\": \"%s\", \"attempts\": %u", f->backend, f->attempts);
	put(w, "}\n");
}

static void put_text(struct writer *w, const struct answer *a)
{
	unsigned status = answer_status(a);

	put(w, "%u %s: %s\n", status, status_phrase(status), reason_text(a->reason));
}

static void put_head(struct writer *w, const struct answer *a, const char *type, size_t body_len,
		     enum persistence persistence)
{
	unsigned status = answer_status(a);
	char date[HTTP1_DATE_MAX];

	(void)http1_date(date, time(NULL));
	put(w, "HTTP/1.1 %u %s\r\nDate: %s\r\nContent-Type: %s\r\nCache-Control: no-store\r\n",
	    status, status_phrase(status), date, type);
	put(w, "X-Request-Id: %.*s\r\nContent-Length: %zu\r\n", (int)a->id_len, a->id, body_len);
	put(w, "%.*s", (int)a->fields.len, a->fields.len ? a->fields.ptr : "");
	if (status == 405)
		put(w, "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n");
	if (persistence != PERSIST_DEFAULT)
		put(w, "Connection: %s\r\n", persistence == PERSIST_CLOSE ? "close" : "keep-alive");
	put(w, "\r\n");
}

struct answer_text answer_write(struct l7 *l7, struct answer *a, enum persistence persistence,
				char out[ANSWER_MAX])
{
	struct writer w = {out, out + ANSWER_MAX / 2};
	const struct error_page *page = NULL;
	struct answer_text t;

	(void)answer_name(l7, a);
	if (a->is_grpc) {
		t.head = (struct slice){out, grpc_write_answer(out, ANSWER_MAX, a)};
		t.body = (struct slice){0};
		return t;
	}
	if (a->pages && !a->wants_json)
		page = error_pages_find(a->pages, answer_status(a));
	if (a->wants_json)
		put_json(&w, a);
	else if (!page)
		put_text(&w, a);
	t.body = page ? page->body : (struct slice){out, (size_t)(w.at - out)};
	w = (struct writer){out + ANSWER_MAX / 2, out + ANSWER_MAX};
	t.head.ptr = w.at;
	put_head(&w, a,
		 page		 ? page->type
		 : a->wants_json ? "application/json"
				 : "text/plain",
		 t.body.len, persistence);
	t.head.len = (size_t)(w.at - t.head.ptr);
	if (a->is_head)
		t.body.len = 0;
	return t;
}
