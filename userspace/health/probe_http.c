/* SPDX-License-Identifier: BSD-2-Clause */
/* A backend is up that answers a GET with an expected status. The body is not read. */
#include "health/probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "l7/proxy_header.h"

static size_t write_header(char out[PROXY_WRITE_MAX], enum proxy_out proxy)
{
	static const struct proxy_header nobody;

	switch (proxy) {
	case PROXY_OUT_OFF: return 0;
	case PROXY_OUT_V1: return proxy_header_write_v1(out, &nobody);
	case PROXY_OUT_V2: return proxy_header_write_v2(out, &nobody);
	}
	return 0;
}

char *probe_http_request(const struct health_conf *conf, const struct endpoint *target,
			 enum proxy_out proxy, size_t *ret_len)
{
	char address[ENDPOINT_STRLEN], header[PROXY_WRITE_MAX], *whole;
	size_t header_len = write_header(header, proxy);
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
	whole = malloc(header_len + (size_t)len);
	if (whole) {
		memcpy(whole, header, header_len);
		memcpy(whole + header_len, request, (size_t)len);
		*ret_len = header_len + (size_t)len;
	}
	free(request);
	return whole;
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

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct probe *p = handle->data;

	(void)suggested;
	*buf = uv_buf_init(p->inbuf, sizeof(p->inbuf));
}

static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf)
{
	struct probe *p = stream->data;

	if (nread == 0 || p->finished)
		return;
	if (nread == UV_EOF) {
		probe_fail(p, "closed before an answer");
		return;
	}
	if (nread < 0) {
		probe_fail(p, "read: %s", uv_strerror((int)nread));
		return;
	}
	switch (status_line_feed(&p->answer, buf->base, (size_t)nread)) {
	case STATUS_LINE_MORE: break;
	case STATUS_LINE_DONE: judge(p); break;
	case STATUS_LINE_BAD: probe_fail(p, "the answer is not HTTP/1"); break;
	}
}

static void on_written(uv_write_t *req, int status)
{
	struct probe *p = req->data;

	if (status && !p->finished)
		probe_fail(p, "write: %s", uv_strerror(status));
}

static void on_connected(struct probe *p)
{
	uv_buf_t buf = uv_buf_init(p->request, (unsigned)p->request_len);
	int status = uv_read_start((uv_stream_t *)&p->tcp, on_alloc, on_read);

	if (!status)
		status = uv_write(&p->write, (uv_stream_t *)&p->tcp, &buf, 1, on_written);
	if (status)
		probe_fail(p, "write: %s", uv_strerror(status));
}

const struct probe_kind probe_kind_http = {.on_connected = on_connected};
