/* SPDX-License-Identifier: BSD-2-Clause */
/* What a check says and hears on its connection, by TLS where the backend is spoken to so: see probe.h. */
#include "health/probe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "l7/proxy_header.h"
#include "tls/pump.h"

/* One write, until the loop is done with it. */
struct output {
	uv_write_t req;
	struct probe *probe;
	char data[];
};

static void on_written(uv_write_t *req, int status)
{
	struct output *o = (struct output *)req;
	struct probe *p = o->probe;

	if (status && !p->finished)
		probe_fail(p, "write: %s", uv_strerror(status));
	free(o);
}

/* False: it failed, and the check with it. */
static bool write_all(struct probe *p, const char *data, size_t len)
{
	struct output *o = malloc(sizeof(*o) + len);
	int status = UV_ENOMEM;
	uv_buf_t buf;

	if (o) {
		o->probe = p;
		memcpy(o->data, data, len);
		buf = uv_buf_init(o->data, (unsigned)len);
		status = uv_write(&o->req, (uv_stream_t *)&p->tcp, &buf, 1, on_written);
	}
	if (status) {
		free(o);
		probe_fail(p, "write: %s", uv_strerror(status));
	}
	return !status;
}

/* Send what TLS has to say. */
static bool flush(struct probe *p)
{
	const char *data;
	size_t len = tls_pump_output(p->tls, &data);
	bool ok = !len || write_all(p, data, len);

	tls_pump_drop_output(p->tls);
	return ok;
}

static void fail_tls(struct probe *p)
{
	const char *data;
	size_t len = tls_pump_output(p->tls, &data);
	uv_buf_t buf = uv_buf_init((char *)data, (unsigned)len);

	/* Why, for the backend's log: as much as goes at once. */
	(void)uv_try_write((uv_stream_t *)&p->tcp, &buf, 1);
	probe_fail(p, "TLS: %s", tls_pump_failure(p->tls));
}

static void shake_hands(struct probe *p)
{
	int done = tls_pump_handshake(p->tls);

	if (done < 0) {
		fail_tls(p);
	} else if (flush(p) && done) {
		p->is_open = true;
		p->kind->on_open(p);
	}
}

/* The backend says no more. */
static void end(struct probe *p)
{
	if (p->kind->on_end)
		p->kind->on_end(p);
	else
		probe_fail(p, "closed before an answer");
}

static void hear_tls(struct probe *p)
{
	char data[512];

	while (!p->finished) {
		ssize_t n = tls_pump_read(p->tls, data, sizeof(data));

		if (n > 0)
			p->kind->on_data(p, data, (size_t)n);
		else if (n == 0)
			return;
		else if (n == -EPIPE)
			end(p);
		else
			fail_tls(p);
	}
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
		/* What TLS speaks ends with a word of its own. */
		if (p->is_open && !p->tls)
			end(p);
		else
			probe_fail(p, p->is_open ? "closed before an answer"
						 : "TLS: closed during the handshake");
	} else if (nread < 0) {
		probe_fail(p, "read: %s", uv_strerror((int)nread));
	} else if (!p->tls) {
		p->kind->on_data(p, buf->base, (size_t)nread);
	} else if (tls_pump_feed(p->tls, buf->base, (size_t)nread) < 0) {
		probe_fail(p, "TLS: out of memory");
	} else {
		if (!p->is_open)
			shake_hands(p);
		if (p->is_open && !p->finished)
			hear_tls(p);
	}
}

/* False: it failed, and the check with it. */
static bool say_header(struct probe *p)
{
	static const struct proxy_header nobody;
	char header[PROXY_WRITE_MAX];
	size_t len = 0;

	switch (p->proxy) {
	case PROXY_OUT_OFF: return true;
	case PROXY_OUT_V1: len = proxy_header_write_v1(header, &nobody); break;
	case PROXY_OUT_V2: len = proxy_header_write_v2(header, &nobody); break;
	}
	return write_all(p, header, len);
}

void probe_io_begin(struct probe *p)
{
	bool talks = p->tls || p->kind->on_data;
	int status = talks ? uv_read_start((uv_stream_t *)&p->tcp, on_alloc, on_read) : 0;

	if (status)
		probe_fail(p, "read: %s", uv_strerror(status));
	if (status || (talks && !say_header(p)))
		return;
	if (p->tls) {
		shake_hands(p);
	} else {
		p->is_open = true;
		p->kind->on_open(p);
	}
}

void probe_send(struct probe *p, const char *data, size_t len)
{
	if (!p->tls)
		(void)write_all(p, data, len);
	else if (tls_pump_write(p->tls, data, len) < 0)
		fail_tls(p);
	else
		(void)flush(p);
}

void probe_io_end(struct probe *p)
{
	const char *data;
	uv_buf_t buf;

	if (!p->tls || !p->is_open)
		return;
	tls_pump_end(p->tls);
	buf.len = tls_pump_output(p->tls, &data);
	buf.base = (char *)data;
	(void)uv_try_write((uv_stream_t *)&p->tcp, &buf, 1); /* as much as goes at once */
}
