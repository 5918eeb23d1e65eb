/* SPDX-License-Identifier: BSD-2-Clause */
/* A backend is up that answers grpc.health.v1.Health/Check with SERVING: see probe.h. */
#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/addr.h"
#include "core/slice.h"
#include "health/grpc_message.h"
#include "health/probe.h"

#define REPLY_MAX   256 /* bytes; longer is no answer to what was asked */
#define NO_STATUS   (-1)
#define MESSAGE_MAX 40

/* One call. */
struct call {
	nghttp2_session *ng;
	int32_t stream;
	unsigned http_status;
	int status; /* of the call */
	uint32_t error;
	bool is_over;
	char authority[ENDPOINT_STRLEN > 256 ? ENDPOINT_STRLEN : 256];
	char timeout[16];
	char message[MESSAGE_MAX]; /* that came with status, printable */
	char request[GRPC_REQUEST_MAX];
	size_t request_len, request_sent;
	char reply[REPLY_MAX];
	size_t reply_len; /* more than REPLY_MAX: all that came */
};

static unsigned number(struct slice s)
{
	unsigned n = 0;

	for (size_t i = 0; i < s.len && i < 4; i++) {
		if (s.ptr[i] < '0' || s.ptr[i] > '9')
			return 0;
		n = n * 10 + (unsigned)(s.ptr[i] - '0');
	}
	return n;
}

static void keep_message(struct call *c, struct slice text)
{
	size_t n = text.len < sizeof(c->message) - 1 ? text.len : sizeof(c->message) - 1;

	for (size_t i = 0; i < n; i++)
		c->message[i] = text.ptr[i] >= 0x20 && text.ptr[i] < 0x7f ? text.ptr[i] : '?';
	c->message[n] = '\0';
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
		     void *ctx)
{
	struct slice field = {(const char *)name, name_len},
		     text = {(const char *)value, value_len};
	struct call *c = ctx;

	(void)ng;
	(void)flags;
	if (frame->hd.stream_id != c->stream)
		return 0;
	if (slice_eq(field, SLICE(":status")))
		c->http_status = number(text);
	else if (slice_eq(field, SLICE("grpc-status")))
		c->status = (int)number(text);
	else if (slice_eq(field, SLICE("grpc-message")))
		keep_message(c, text);
	return 0;
}

static int on_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *data, size_t len,
		   void *ctx)
{
	struct call *c = ctx;

	(void)ng;
	(void)flags;
	(void)id;
	if (c->reply_len + len <= REPLY_MAX)
		memcpy(c->reply + c->reply_len, data, len);
	c->reply_len += len;
	return 0;
}

static int on_stream_close(nghttp2_session *ng, int32_t id, uint32_t error, void *ctx)
{
	struct call *c = ctx;

	(void)ng;
	if (id == c->stream) {
		c->is_over = true;
		c->error = error;
	}
	return 0;
}

static ssize_t read_request(nghttp2_session *ng, int32_t id, uint8_t *out, size_t room,
			    uint32_t *flags, nghttp2_data_source *source, void *ctx)
{
	struct call *c = ctx;
	size_t n = c->request_len - c->request_sent;

	(void)ng;
	(void)id;
	(void)source;
	if (n > room)
		n = room;
	memcpy(out, c->request + c->request_sent, n);
	c->request_sent += n;
	if (c->request_sent == c->request_len)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)n;
}

static nghttp2_session *session_new(struct call *c)
{
	nghttp2_session_callbacks *callbacks;
	nghttp2_session *ng = NULL;

	if (nghttp2_session_callbacks_new(&callbacks) != 0)
		return NULL;
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
	if (nghttp2_session_client_new(&ng, callbacks, c) != 0)
		ng = NULL;
	nghttp2_session_callbacks_del(callbacks);
	return ng;
}

static int prepare(struct probe *p, const struct endpoint *target)
{
	const struct health_conf *conf = p->conf;
	struct call *c = calloc(1, sizeof(*c));
	char address[ENDPOINT_STRLEN];

	if (!c)
		return -ENOMEM;
	p->own = c;
	c->status = NO_STATUS;
	(void)snprintf(c->authority, sizeof(c->authority), "%s",
		       conf->host ? conf->host : endpoint_format(target, address, sizeof(address)));
	(void)snprintf(c->timeout, sizeof(c->timeout), "%um", conf->timeout_ms);
	c->request_len = grpc_request_write(c->request, conf->service ? conf->service : "");
	c->ng = session_new(c);
	return c->ng ? 0 : -ENOMEM;
}

static void release(struct probe *p)
{
	struct call *c = p->own;

	if (!c)
		return;
	nghttp2_session_del(c->ng);
	free(c);
}

/* Say what HTTP/2 has to say; a failure is the result. */
static void flush(struct probe *p)
{
	struct call *c = p->own;

	while (!p->finished) {
		const uint8_t *data;
		ssize_t n = nghttp2_session_mem_send(c->ng, &data);

		if (n < 0)
			probe_fail(p, "HTTP/2: %s", nghttp2_strerror((int)n));
		if (n <= 0)
			return;
		probe_send(p, (const char *)data, (size_t)n);
	}
}

#define FIELD(name, text)                                                                          \
	{                                                                                          \
		(uint8_t *)(uintptr_t)(name), (uint8_t *)(uintptr_t)(text), sizeof(name) - 1,      \
			strlen(text), NGHTTP2_NV_FLAG_NO_COPY_NAME                                 \
	}

static void on_open(struct probe *p)
{
	static const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0}};
	struct call *c = p->own;
	const nghttp2_nv fields[] = {
		FIELD(":method", "POST"),
		FIELD(":scheme", p->tls ? "https" : "http"),
		FIELD(":path", "/grpc.health.v1.Health/Check"),
		FIELD(":authority", c->authority),
		FIELD("te", "trailers"),
		FIELD("content-type", "application/grpc"),
		FIELD("grpc-timeout", c->timeout),
		FIELD("user-agent", "shuntd/" SHUNT_VERSION),
	};
	const nghttp2_data_provider body = {.read_callback = read_request};
	int err = nghttp2_submit_settings(c->ng, NGHTTP2_FLAG_NONE, settings, 1);

	if (err == 0)
		err = nghttp2_submit_request(c->ng, NULL, fields,
					     sizeof(fields) / sizeof(fields[0]), &body, NULL);
	if (err < 0) {
		probe_fail(p, "HTTP/2: %s", nghttp2_strerror(err));
		return;
	}
	c->stream = err;
	flush(p);
}

static void judge(struct probe *p)
{
	const struct call *c = p->own;
	uint64_t serving;

	if (c->http_status && c->http_status != 200)
		probe_fail(p, "status %u, expected 200", c->http_status);
	else if (c->status == NO_STATUS && c->error)
		probe_fail(p, "the call was broken off: %s", nghttp2_http2_strerror(c->error));
	else if (c->status == NO_STATUS)
		probe_fail(p, "the answer has no grpc-status");
	else if (c->status)
		probe_fail(p, "grpc-status %d %s%s%s", c->status,
			   grpc_status_name((unsigned)c->status), c->message[0] ? ": " : "",
			   c->message);
	else if (c->reply_len > REPLY_MAX || grpc_reply_read(c->reply, c->reply_len, &serving) < 0)
		probe_fail(p, "the answer is no HealthCheckResponse");
	else if (serving != GRPC_SERVING)
		probe_fail(p, "%s", grpc_serving_name(serving));
	else
		probe_succeed(p, "SERVING in %.1f ms", probe_elapsed_ms(p));
}

static void on_bytes(struct probe *p, const char *data, size_t len)
{
	struct call *c = p->own;
	ssize_t n = nghttp2_session_mem_recv(c->ng, (const uint8_t *)data, len);

	if (c->is_over) {
		judge(p);
	} else if (n < 0) {
		probe_fail(p, "HTTP/2: %s", nghttp2_strerror((int)n));
	} else {
		flush(p);
		if (!p->finished && !nghttp2_session_want_read(c->ng))
			probe_fail(p, "HTTP/2: the answer breaks its rules");
	}
}

const struct probe_kind probe_kind_grpc = {
	.prepare = prepare, .release = release, .on_open = on_open, .on_data = on_bytes};
