/* SPDX-License-Identifier: BSD-2-Clause */
/* The ClientHello reader: see client_hello.h. The layouts are those of RFC 8446, section 4.1.2. */
#include "l7/client_hello.h"

#include <assert.h>

#define RECORD_HEAD	 5U
#define RECORD_HANDSHAKE 22
#define RECORD_ALERT	 21
#define RECORD_MAX	 16384U
#define VERSION_MAJOR	 3
#define VERSION_MINOR	 4 /* the largest that may stand in the old fields */

#define MESSAGE_HEAD	     4U
#define MESSAGE_CLIENT_HELLO 1

#define RANDOM_LEN     32U
#define SESSION_ID_MAX 32U

#define EXTENSION_SERVER_NAME 0
#define EXTENSION_ALPN	      16
#define NAME_TYPE_HOST	      0

#define ALERT_FATAL 2

static unsigned byte_at(const char *p)
{
	return (unsigned char)*p;
}

static unsigned read_16(const char *p)
{
	return byte_at(p) << 8 | byte_at(p + 1);
}

/* ---- records --------------------------------------------------------------------------------- */

/* The part of a record's header that is here must be one of a handshake. */
static enum tls_alert check_record(const char *record, size_t len)
{
	if (byte_at(record) != RECORD_HANDSHAKE)
		return TLS_ALERT_UNEXPECTED_MESSAGE;
	if ((len > 1 && byte_at(record + 1) != VERSION_MAJOR) ||
	    (len > 2 && byte_at(record + 2) > VERSION_MINOR))
		return TLS_ALERT_PROTOCOL_VERSION;
	if (len >= RECORD_HEAD) {
		unsigned n = read_16(record + 3);

		if (n == 0 || n > RECORD_MAX)
			return TLS_ALERT_DECODE_ERROR;
	}
	return TLS_ALERT_NONE;
}

/* The bytes of the message that are here of a record: its type and length are among the first. */
static enum tls_alert look_at_payload(struct client_hello_scan *s, const char *payload, size_t len)
{
	for (size_t i = 0; s->payload + i < MESSAGE_HEAD && i < len; i++)
		s->head[s->payload + i] = (uint8_t)payload[i];
	if (s->payload + len > 0 && s->head[0] != MESSAGE_CLIENT_HELLO)
		return TLS_ALERT_UNEXPECTED_MESSAGE;
	if (s->payload + len < MESSAGE_HEAD)
		return TLS_ALERT_NONE;
	s->whole = MESSAGE_HEAD +
		   ((uint32_t)s->head[1] << 16 | (uint32_t)s->head[2] << 8 | s->head[3]);
	return s->whole > CLIENT_HELLO_MAX ? TLS_ALERT_DECODE_ERROR : TLS_ALERT_NONE;
}

int client_hello_scan(struct client_hello_scan *s, const char *bytes, size_t len,
		      enum tls_alert *ret_alert)
{
	enum tls_alert alert = TLS_ALERT_NONE;

	while (s->next < len) {
		const char *record = bytes + s->next;
		size_t here = len - s->next, n;

		alert = check_record(record, here);
		if (alert != TLS_ALERT_NONE || here < RECORD_HEAD)
			break;
		n = read_16(record + 3);
		here -= RECORD_HEAD;
		alert = look_at_payload(s, record + RECORD_HEAD, here < n ? here : n);
		if (alert == TLS_ALERT_NONE && s->whole && s->payload + n > s->whole)
			alert = TLS_ALERT_UNEXPECTED_MESSAGE; /* nothing can follow it yet */
		if (alert != TLS_ALERT_NONE || here < n)
			break;
		s->payload += (uint32_t)n;
		s->next += (uint32_t)(RECORD_HEAD + n);
		if (s->whole && s->payload == s->whole)
			return 1;
	}
	if (alert == TLS_ALERT_NONE && len >= CLIENT_HELLO_MAX)
		alert = TLS_ALERT_DECODE_ERROR;
	if (alert == TLS_ALERT_NONE)
		return 0;
	*ret_alert = alert;
	return -1;
}

/* The message without the headers of its records. */
static struct slice gather(const struct client_hello_scan *s, const char *bytes, char *scratch)
{
	struct slice message = {scratch, 0};

	for (size_t at = 0; at < s->next;) {
		size_t n = read_16(bytes + at + 3);

		memcpy(scratch + message.len, bytes + at + RECORD_HEAD, n);
		message.len += n;
		at += RECORD_HEAD + n;
	}
	assert(message.len == s->whole);
	return message;
}

/* ---- the message ----------------------------------------------------------------------------- */

/* The first n bytes of from, which gets shorter. False: it has not so many. */
static bool take(struct slice *from, size_t n, struct slice *ret_part)
{
	if (from->len < n)
		return false;
	*ret_part = (struct slice){from->ptr, n};
	from->ptr += n;
	from->len -= n;
	return true;
}

/* The same behind its length, of one or two bytes. */
static bool take_vector(struct slice *from, size_t length_bytes, struct slice *ret_part)
{
	struct slice length;

	if (!take(from, length_bytes, &length))
		return false;
	return take(from, length_bytes == 1 ? byte_at(length.ptr) : read_16(length.ptr), ret_part);
}

static bool is_name_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

/* A name of the DNS: labels of which none is empty, also at the end (RFC 6066, section 3). */
static enum tls_alert copy_name(struct slice name, struct client_hello *h)
{
	char before = '.';

	if (!name.len || name.len > SERVER_NAME_MAX)
		return TLS_ALERT_DECODE_ERROR;
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c | 0x20);
		if (!is_name_byte(c) || (c == '.' && before == '.'))
			return TLS_ALERT_ILLEGAL_PARAMETER;
		h->name[i] = before = c;
	}
	if (before == '.')
		return TLS_ALERT_ILLEGAL_PARAMETER;
	h->name[name.len] = 0;
	h->name_len = name.len;
	return TLS_ALERT_NONE;
}

/* One host name. Of each type there may be one, and no other type was ever made. */
static enum tls_alert read_server_name(struct slice data, struct client_hello *h)
{
	struct slice list, type, name;

	if (!take_vector(&data, 2, &list) || data.len || !take(&list, 1, &type) ||
	    !take_vector(&list, 2, &name))
		return TLS_ALERT_DECODE_ERROR;
	if (byte_at(type.ptr) != NAME_TYPE_HOST || list.len)
		return TLS_ALERT_ILLEGAL_PARAMETER;
	return copy_name(name, h);
}

static enum tls_alert read_alpn(struct slice data, struct client_hello *h)
{
	struct slice list, rest, protocol;

	if (!take_vector(&data, 2, &list) || data.len || !list.len)
		return TLS_ALERT_DECODE_ERROR;
	rest = list;
	while (rest.len)
		if (!take_vector(&rest, 1, &protocol) || !protocol.len)
			return TLS_ALERT_DECODE_ERROR;
	h->alpn = list;
	return TLS_ALERT_NONE;
}

static enum tls_alert read_extensions(struct slice list, struct client_hello *h)
{
	bool has_name = false, has_alpn = false;
	enum tls_alert alert = TLS_ALERT_NONE;

	while (list.len && alert == TLS_ALERT_NONE) {
		struct slice type, data;

		if (!take(&list, 2, &type) || !take_vector(&list, 2, &data))
			return TLS_ALERT_DECODE_ERROR;
		switch (read_16(type.ptr)) {
		case EXTENSION_SERVER_NAME:
			alert = has_name ? TLS_ALERT_ILLEGAL_PARAMETER : read_server_name(data, h);
			has_name = true;
			break;
		case EXTENSION_ALPN:
			alert = has_alpn ? TLS_ALERT_ILLEGAL_PARAMETER : read_alpn(data, h);
			has_alpn = true;
			break;
		default: break; /* for the server that will answer */
		}
	}
	return alert;
}

enum tls_alert client_hello_read(const struct client_hello_scan *s, const char *bytes,
				 char *scratch, struct client_hello *ret_hello)
{
	struct client_hello h = {.name_len = 0};
	struct slice m = gather(s, bytes, scratch), part, extensions = {0};
	enum tls_alert alert;

	if (!take(&m, MESSAGE_HEAD, &part) || !take(&m, 2, &part))
		return TLS_ALERT_DECODE_ERROR;
	if (byte_at(part.ptr) != VERSION_MAJOR)
		return TLS_ALERT_PROTOCOL_VERSION;
	if (!take(&m, RANDOM_LEN, &part) || !take_vector(&m, 1, &part) || part.len > SESSION_ID_MAX)
		return TLS_ALERT_DECODE_ERROR;
	if (!take_vector(&m, 2, &part) || part.len < 2 || part.len % 2)
		return TLS_ALERT_DECODE_ERROR; /* the cipher suites */
	if (!take_vector(&m, 1, &part) || !part.len)
		return TLS_ALERT_DECODE_ERROR; /* ways to compress */
	/* Old clients have none. */
	if (m.len && (!take_vector(&m, 2, &extensions) || m.len))
		return TLS_ALERT_DECODE_ERROR;
	alert = read_extensions(extensions, &h);
	if (alert == TLS_ALERT_NONE)
		*ret_hello = h;
	return alert;
}

bool client_hello_next_alpn(struct slice *list, struct slice *ret_protocol)
{
	return take_vector(list, 1, ret_protocol);
}

void tls_alert_write(char out[TLS_ALERT_RECORD], enum tls_alert alert)
{
	const char record[TLS_ALERT_RECORD] = {RECORD_ALERT, VERSION_MAJOR, 1, 0, 2,
					       ALERT_FATAL,  (char)alert};

	memcpy(out, record, sizeof(record));
}
