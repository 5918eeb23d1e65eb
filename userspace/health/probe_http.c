/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A backend is up that answers a GET with an expected status, and where a body is expected with that.
 * Else the body is not read. See probe.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/health_pattern.h"
#include "health/answer.h"
#include "health/probe.h"
#include "health/status_line.h"

struct http_check {
	char *request;
	size_t request_len;
	struct status_line line;
	bool has_line;
	struct answer *answer; /* NULL: no body is expected */
};

static int prepare(struct probe *p, const struct endpoint *target)
{
	const struct health_conf *conf = p->conf;
	struct http_check *c = calloc(1, sizeof(*c));
	char address[ENDPOINT_STRLEN];
	const char *host =
		conf->host ? conf->host : endpoint_format(target, address, sizeof(address));
	int len;

	if (!c)
		return -ENOMEM;
	p->own = c;
	len = asprintf(&c->request,
		       "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: shuntd/" SHUNT_VERSION "\r\n"
		       "Accept: */*\r\nConnection: close\r\n\r\n",
		       conf->path, host);
	if (len < 0) {
		c->request = NULL;
		return -ENOMEM;
	}
	c->request_len = (size_t)len;
	if (!conf->body && !conf->pattern)
		return 0;
	c->answer = answer_new(conf->body_limit);
	return c->answer ? 0 : -ENOMEM;
}

static void release(struct probe *p)
{
	struct http_check *c = p->own;

	if (!c)
		return;
	answer_free(c->answer);
	free(c->request);
	free(c);
}

static void fail_status(struct probe *p)
{
	const struct http_check *c = p->own;
	const struct health_conf *conf = p->conf;
	char expected[64] = "";
	size_t len = 0;

	for (size_t i = 0; i < conf->status_count && len < sizeof(expected) - 16; i++) {
		const struct status_range *s = &conf->statuses[i];

		len += (size_t)snprintf(expected + len, sizeof(expected) - len,
					s->low == s->high ? "%s%u" : "%s%u to %u", i ? ", " : "",
					s->low, s->high);
	}
	probe_fail(p, "status %u%s%s, expected %s", c->line.code, c->line.reason[0] ? " " : "",
		   c->line.reason, expected);
}

static bool is_good_status(const struct health_conf *conf, unsigned code)
{
	for (size_t i = 0; i < conf->status_count; i++)
		if (code >= conf->statuses[i].low && code <= conf->statuses[i].high)
			return true;
	return false;
}

static bool is_good_body(const struct probe *p, struct slice body)
{
	const struct health_conf *conf = p->conf;

	if (conf->pattern)
		return regex_match(conf->pattern->regex, body, p->room, NULL);
	return memmem(body.ptr, body.len, conf->body, strlen(conf->body)) != NULL;
}

static void succeed(struct probe *p)
{
	const struct status_line *l = &((struct http_check *)p->own)->line;

	probe_succeed(p, "%u%s%s in %.1f ms", l->code, l->reason[0] ? " " : "", l->reason,
		      probe_elapsed_ms(p));
}

static void judge_body(struct probe *p, enum answer_state state)
{
	const struct http_check *c = p->own;
	struct slice body = answer_body(c->answer);

	if (state == ANSWER_NO_MEMORY)
		probe_fail(p, "out of memory");
	else if (state == ANSWER_BAD)
		probe_fail(p, "the answer is malformed, or cut short");
	else if (state == ANSWER_DONE && is_good_body(p, body))
		succeed(p);
	else if (state == ANSWER_DONE)
		probe_fail(p, "status %u, but %zu bytes of body without what is expected",
			   c->line.code, body.len);
}

/* False: the result is there. */
static bool judge_line(struct probe *p, const char *data, size_t len)
{
	struct http_check *c = p->own;

	if (c->has_line)
		return true;
	switch (status_line_feed(&c->line, data, len)) {
	case STATUS_LINE_MORE: return true;
	case STATUS_LINE_BAD: probe_fail(p, "the answer is not HTTP/1"); return false;
	case STATUS_LINE_DONE: break;
	}
	c->has_line = true;
	if (!is_good_status(p->conf, c->line.code))
		fail_status(p);
	else if (!c->answer)
		succeed(p);
	return !p->finished;
}

static void on_data(struct probe *p, const char *data, size_t len)
{
	struct http_check *c = p->own;

	if (judge_line(p, data, len) && c->answer)
		judge_body(p, answer_feed(c->answer, data, len));
}

static void on_end(struct probe *p)
{
	struct http_check *c = p->own;

	if (c->answer && c->has_line)
		judge_body(p, answer_end(c->answer));
	else
		probe_fail(p, "closed before an answer");
}

static void on_open(struct probe *p)
{
	struct http_check *c = p->own;

	probe_send(p, c->request, c->request_len);
}

const struct probe_kind probe_kind_http = {.prepare = prepare,
					   .release = release,
					   .on_open = on_open,
					   .on_data = on_data,
					   .on_end = on_end};
