/* SPDX-License-Identifier: BSD-2-Clause */
/* Errors of HTTP/2 as the RFC has them: see h2_strict.h. */
#include "l7/h2_strict.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#define FRAME_HEADER 9U
#define SETTING	     6U /* bytes: a number of 16 bits, a value of 32 */
#define WINDOW_MAX   INT32_MAX

/* The value of the setting in frames, which begin with a SETTINGS frame that has it. */
static char *find_setting(char *frames, uint16_t number)
{
	char *at = frames + FRAME_HEADER;

	for (;; at += SETTING) {
		uint16_t n;

		memcpy(&n, at, sizeof(n));
		if (ntohs(n) == number)
			return at + sizeof(n);
	}
}

int h2_strict_announce(struct h2_session *h, unsigned streams)
{
	const uint8_t *data;
	ssize_t n = nghttp2_session_mem_send(h->ng, &data);
	uint32_t value = htonl(streams);
	char *at;

	if (n < 0 || buf_append(h->io->pool, &h->out, data, (size_t)n) < 0)
		return -ENOMEM;
	at = find_setting(buf_head(&h->out), NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
	memcpy(at, &value, sizeof(value));
	h->streams_max = streams;
	return 0;
}

bool h2_strict_is_over(const struct h2_session *h)
{
	return h->open_count > h->streams_max;
}

void h2_strict_note_reset(struct h2_session *h, int32_t id)
{
	h->reset_ids[h->reset_next++ % H2_RESETS_NOTED] = id;
}

static bool has_ended(const struct h2_session *h, int32_t id)
{
	/* Clients alone begin any, with odd numbers. */
	if (!(id & 1) || nghttp2_session_find_stream(h->ng, id))
		return false;
	for (size_t i = 0; i < H2_RESETS_NOTED; i++)
		if (h->reset_ids[i] == id)
			return false;
	/* One that never began is another error, which nghttp2 sees. */
	return h->is_server ? id <= nghttp2_session_get_last_proc_stream_id(h->ng)
			    : (uint32_t)id < nghttp2_session_get_next_stream_id(h->ng);
}

/* The next header of a frame, into h->frame_header. False: it is not whole yet. */
static bool next_header(struct h2_session *h, struct slice *rest)
{
	size_t n = h->frame_left < rest->len ? h->frame_left : rest->len;

	h->frame_left -= (uint32_t)n;
	rest->ptr += n;
	rest->len -= n;
	n = FRAME_HEADER - h->frame_have;
	if (n > rest->len)
		n = rest->len;
	memcpy(h->frame_header + h->frame_have, rest->ptr, n);
	h->frame_have += (uint8_t)n;
	rest->ptr += n;
	rest->len -= n;
	return h->frame_have == FRAME_HEADER;
}

int32_t h2_strict_next_late(struct h2_session *h, struct slice *rest)
{
	while (rest->len && next_header(h, rest)) {
		const uint8_t *f = h->frame_header;
		uint32_t id;

		h->frame_have = 0;
		h->frame_left = (uint32_t)f[0] << 16 | (uint32_t)f[1] << 8 | f[2];
		if (f[3] != NGHTTP2_DATA)
			continue;
		memcpy(&id, f + 5, sizeof(id));
		id = ntohl(id) & INT32_MAX;
		if (has_ended(h, (int32_t)id))
			return (int32_t)id;
	}
	return 0;
}

bool h2_strict_overflows(const struct h2_session *h, const nghttp2_settings *settings)
{
	int64_t window = -1;

	for (size_t i = 0; i < settings->niv; i++)
		if (settings->iv[i].settings_id == NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE)
			window = settings->iv[i].value;
	if (window < 0)
		return false;
	list_for_each (it, &h->streams) {
		const struct h2_stream *s = list_entry(it, struct h2_stream, node);

		if (window + (int64_t)(s->granted - s->sent) > WINDOW_MAX)
			return true;
	}
	return false;
}
