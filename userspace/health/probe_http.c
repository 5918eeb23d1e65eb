/* SPDX-License-Identifier: BSD-2-Clause */
/* A backend is up that answers a GET with an expected status. The body is not read. */
#include "health/probe.h"

#include <stdio.h>
#include <stdlib.h>

char *probe_http_request(const struct health_conf *conf, const struct endpoint *target,
			 size_t *ret_len)
{
	char address[ENDPOINT_STRLEN];
	const char *host =
		conf->host ? conf->host : endpoint_format(target, address, sizeof(address));
	char *request;
	int len;

	len = asprintf(&request,
		       "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: shuntd/" SHUNT_VERSION "\r\n"
		       "Accept: */*\r\nConnection: close\r\n\r\n",
		       conf->path, host);
	if (len < 0)
		return NULL;
	*ret_len = (size_t)len;
	return request;
}

static void judge(struct probe *p)
{
	const struct status_line *a = &p->answer;
	const char *gap = a->reason[0] ? " " : "";

	if (a->code >= p->status_min && a->code <= p->status_max)
		probe_succeed(p, "%u%s%s in %.1f ms", a->code, gap, a->reason, probe_elapsed_ms(p));
	else if (p->status_min == p->status_max)
		probe_fail(p, "status %u%s%s, expected %u", a->code, gap, a->reason, p->status_min);
	else
		probe_fail(p, "status %u%s%s, expected %u to %u", a->code, gap, a->reason,
			   p->status_min, p->status_max);
}

static void on_data(struct probe *p, const char *data, size_t len)
{
	switch (status_line_feed(&p->answer, data, len)) {
	case STATUS_LINE_MORE: break;
	case STATUS_LINE_DONE: judge(p); break;
	case STATUS_LINE_BAD: probe_fail(p, "the answer is not HTTP/1"); break;
	}
}

static void on_open(struct probe *p)
{
	probe_send(p, p->request, p->request_len);
}

const struct probe_kind probe_kind_http = {.on_open = on_open, .on_data = on_data};
