/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PROXY protocol headers: see proxy_header.h. Whoever sends one speaks for the client, so what can
 * be read in two ways is refused rather than guessed.
 */
#include "l7/proxy_header.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>

#define V1_MAX	 107U /* its line end included */
#define V1_WORDS 4    /* two addresses, two ports */

#define V2_FIXED 16U
#define TLV_HEAD 3U

#define V2_VERSION	0x20
#define V2_LOCAL	0x0
#define V2_PROXY	0x1
#define V2_UNSPECIFIED	0x0
#define V2_INET		0x1
#define V2_INET6	0x2
#define V2_UNIX		0x3
#define V2_STREAM	0x1
#define V2_TCP4		0x11
#define V2_TCP6		0x21
#define V2_INET_LENGTH	12U
#define V2_INET6_LENGTH 36U
#define V2_UNIX_LENGTH	216U

#define TLV_ALPN      0x01
#define TLV_AUTHORITY 0x02
#define TLV_CRC32C    0x03
#define TLV_UNIQUE_ID 0x05

static const struct slice v1_signature = {"PROXY ", 6};
static const struct slice v2_signature = {"\r\n\r\n\0\r\nQUIT\n", 12};

static unsigned byte_at(const char *p)
{
	return (unsigned char)*p;
}

static unsigned read_16(const char *p)
{
	return byte_at(p) << 8 | byte_at(p + 1);
}

/* ---- version 1 ------------------------------------------------------------------------------- */

/* The text up to the next space, or to the end. Empty: there is none. */
static struct slice next_word(struct slice *line)
{
	const char *space = memchr(line->ptr, ' ', line->len);
	struct slice word = {line->ptr, space ? (size_t)(space - line->ptr) : line->len};
	size_t used = word.len + (space ? 1 : 0);

	line->ptr += used;
	line->len -= used;
	if (space && !line->len) /* a space at the end */
		word.len = 0;
	return word;
}

static bool read_address(struct slice word, uint8_t family, struct addr *ret_addr)
{
	char text[ADDR_STRLEN];

	if (!word.len || word.len >= sizeof(text) || memchr(word.ptr, 0, word.len))
		return false;
	memcpy(text, word.ptr, word.len);
	text[word.len] = 0;
	return !addr_parse(text, ret_addr) && ret_addr->family == family;
}

/* 0 to 65535, without zeros in front. */
static bool read_port(struct slice word, uint16_t *ret_port)
{
	unsigned n = 0;

	if (!word.len || word.len > 5 || (word.ptr[0] == '0' && word.len > 1))
		return false;
	for (size_t i = 0; i < word.len; i++) {
		if (word.ptr[i] < '0' || word.ptr[i] > '9')
			return false;
		n = n * 10 + (unsigned)(word.ptr[i] - '0');
	}
	*ret_port = (uint16_t)n;
	return n <= UINT16_MAX;
}

/* What stands between the signature and the line end. */
static bool read_line(struct slice line, struct proxy_header *h)
{
	struct slice protocol = next_word(&line), word[V1_WORDS];
	uint8_t family = slice_eq(protocol, SLICE("TCP4")) ? AF_INET : AF_INET6;

	if (slice_eq(protocol, SLICE("UNKNOWN")))
		return true; /* whatever follows is to be passed over */
	if (family == AF_INET6 && !slice_eq(protocol, SLICE("TCP6")))
		return false;
	for (int i = 0; i < V1_WORDS; i++)
		word[i] = next_word(&line);
	h->has_endpoints = !line.len && read_address(word[0], family, &h->source.addr) &&
			   read_address(word[1], family, &h->destination.addr) &&
			   read_port(word[2], &h->source.port) &&
			   read_port(word[3], &h->destination.port);
	return h->has_endpoints;
}

static int read_v1(const char *bytes, size_t len, struct proxy_header *h)
{
	size_t seen = len < V1_MAX ? len : V1_MAX;
	const char *end = memchr(bytes, '\r', seen);
	const char *stray = memchr(bytes, '\n', seen);
	struct slice line = {bytes + v1_signature.len, 0};

	if (stray && (!end || stray < end))
		return PROXY_HEADER_INVALID;
	if (!end || end + 1 == bytes + seen)
		return seen == V1_MAX ? PROXY_HEADER_INVALID : PROXY_HEADER_MORE;
	line.len = (size_t)(end - line.ptr);
	if (end[1] != '\n' || !read_line(line, h))
		return PROXY_HEADER_INVALID;
	return (int)(end + 2 - bytes);
}

/* ---- version 2 ------------------------------------------------------------------------------- */

static uint32_t crc32c(uint32_t crc, const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		crc ^= byte_at(p + i);
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78U : 0);
	}
	return crc;
}

/* Over all of the header, as if the sum itself were zero. */
static bool crc_is_right(struct slice header, const char *sum)
{
	static const char zero[4];
	size_t before = (size_t)(sum - header.ptr), after = before + sizeof(zero);
	uint32_t crc = crc32c(UINT32_MAX, header.ptr, before);

	crc = crc32c(crc, zero, sizeof(zero));
	crc = ~crc32c(crc, header.ptr + after, header.len - after);
	return crc == (read_16(sum) << 16 | read_16(sum + 2));
}

/* Once only, and no longer than max. */
static bool keep(struct slice *to, struct slice value, size_t max)
{
	if (to->ptr || value.len > max)
		return false;
	*to = value;
	return true;
}

static bool read_tlvs(struct slice header, size_t at, struct proxy_header *h)
{
	bool has_crc = false;

	while (at < header.len) {
		const char *tlv = header.ptr + at;
		struct slice value = {tlv + TLV_HEAD, 0};
		bool good = true;

		if (header.len - at < TLV_HEAD)
			return false;
		value.len = read_16(tlv + 1);
		at += TLV_HEAD + value.len;
		if (at > header.len)
			return false;
		switch (byte_at(tlv)) {
		case TLV_ALPN: good = keep(&h->alpn, value, PROXY_ALPN_MAX); break;
		case TLV_AUTHORITY: good = keep(&h->authority, value, PROXY_AUTHORITY_MAX); break;
		case TLV_UNIQUE_ID: good = keep(&h->unique_id, value, PROXY_UNIQUE_ID_MAX); break;
		case TLV_CRC32C:
			good = !has_crc && value.len == 4 && crc_is_right(header, value.ptr);
			has_crc = true;
			break;
		default: break; /* not for us */
		}
		if (!good)
			return false;
	}
	return true;
}

static void read_endpoint(struct endpoint *ep, uint8_t family, const char *addr, const char *port)
{
	*ep = (struct endpoint){.addr = {.family = family}, .port = (uint16_t)read_16(port)};
	memcpy(ep->addr.bytes, addr, family == AF_INET ? 4 : 16);
}

/* The addresses; returns how many bytes they take. */
static size_t read_endpoints(const char *p, unsigned family, struct proxy_header *h)
{
	size_t n = family == V2_INET ? 4 : 16;
	uint8_t af = family == V2_INET ? AF_INET : AF_INET6;

	if (family == V2_UNIX)
		return V2_UNIX_LENGTH;
	h->has_endpoints = true;
	read_endpoint(&h->source, af, p, p + 2 * n);
	read_endpoint(&h->destination, af, p + n, p + 2 * n + 2);
	return 2 * n + 4;
}

static int read_v2(const char *bytes, size_t len, struct proxy_header *h)
{
	static const unsigned addresses[] = {
		[V2_INET] = V2_INET_LENGTH,
		[V2_INET6] = V2_INET6_LENGTH,
		[V2_UNIX] = V2_UNIX_LENGTH,
	};
	struct slice header = {bytes, 0};
	unsigned command, family, transport;

	if (len > 12 && (byte_at(bytes + 12) & 0xf0) != V2_VERSION)
		return PROXY_HEADER_INVALID;
	if (len < V2_FIXED)
		return PROXY_HEADER_MORE;
	command = byte_at(bytes + 12) & 0xf;
	family = byte_at(bytes + 13) >> 4;
	transport = byte_at(bytes + 13) & 0xf;
	header.len = V2_FIXED + read_16(bytes + 14);
	if (command > V2_PROXY || header.len > PROXY_HEADER_MAX)
		return PROXY_HEADER_INVALID;
	if (len < header.len)
		return PROXY_HEADER_MORE;
	/* Of both the rest is to be passed over. */
	if (command == V2_LOCAL || family == V2_UNSPECIFIED)
		return (int)header.len;
	if (family > V2_UNIX || transport != V2_STREAM ||
	    header.len < V2_FIXED + addresses[family] ||
	    !read_tlvs(header, V2_FIXED + read_endpoints(bytes + V2_FIXED, family, h), h))
		return PROXY_HEADER_INVALID;
	return (int)header.len;
}

/* ---- both ------------------------------------------------------------------------------------ */

/* As much of the signature as len bytes can have. */
static bool may_begin(const char *bytes, size_t len, struct slice signature)
{
	return !memcmp(bytes, signature.ptr, len < signature.len ? len : signature.len);
}

int proxy_header_read(const char *bytes, size_t len, struct proxy_header *ret_header)
{
	struct proxy_header h = {0};
	int n;

	if (!len)
		return PROXY_HEADER_MORE;
	if (may_begin(bytes, len, v1_signature))
		n = len < v1_signature.len ? PROXY_HEADER_MORE : read_v1(bytes, len, &h);
	else if (may_begin(bytes, len, v2_signature))
		n = len < v2_signature.len ? PROXY_HEADER_MORE : read_v2(bytes, len, &h);
	else
		return PROXY_HEADER_NONE;
	if (n > 0)
		*ret_header = h;
	return n;
}

size_t proxy_header_write_v1(char out[PROXY_WRITE_MAX], const struct proxy_header *h)
{
	char source[ADDR_STRLEN], destination[ADDR_STRLEN];
	int n;

	if (!h->has_endpoints) {
		n = snprintf(out, PROXY_WRITE_MAX, "PROXY UNKNOWN\r\n");
	} else {
		n = snprintf(out, PROXY_WRITE_MAX, "PROXY TCP%c %s %s %u %u\r\n",
			     h->source.addr.family == AF_INET ? '4' : '6',
			     addr_format(&h->source.addr, source, sizeof(source)),
			     addr_format(&h->destination.addr, destination, sizeof(destination)),
			     h->source.port, h->destination.port);
	}
	assert(n > 0 && (size_t)n <= V1_MAX);
	return (size_t)n;
}

static size_t put(char *out, size_t at, const void *bytes, size_t len)
{
	memcpy(out + at, bytes, len);
	return at + len;
}

static size_t put_16(char *out, size_t at, size_t n)
{
	const char bytes[2] = {(char)(n >> 8), (char)n};

	return put(out, at, bytes, sizeof(bytes));
}

static size_t put_tlv(char *out, size_t at, char type, struct slice value, size_t max)
{
	if (!value.len || value.len > max)
		return at;
	out[at] = type;
	at = put_16(out, at + 1, value.len);
	return put(out, at, value.ptr, value.len);
}

size_t proxy_header_write_v2(char out[PROXY_WRITE_MAX], const struct proxy_header *h)
{
	bool v4 = h->source.addr.family == AF_INET;
	size_t addr_len = v4 ? 4 : 16, at = put(out, 0, v2_signature.ptr, v2_signature.len);

	out[at++] = (char)(V2_VERSION | (h->has_endpoints ? V2_PROXY : V2_LOCAL));
	out[at++] = (char)(!h->has_endpoints ? V2_UNSPECIFIED : v4 ? V2_TCP4 : V2_TCP6);
	at += 2; /* the length, below */
	if (h->has_endpoints) {
		at = put(out, at, h->source.addr.bytes, addr_len);
		at = put(out, at, h->destination.addr.bytes, addr_len);
		at = put_16(out, at, h->source.port);
		at = put_16(out, at, h->destination.port);
		at = put_tlv(out, at, TLV_ALPN, h->alpn, PROXY_ALPN_MAX);
		at = put_tlv(out, at, TLV_AUTHORITY, h->authority, PROXY_AUTHORITY_MAX);
		at = put_tlv(out, at, TLV_UNIQUE_ID, h->unique_id, PROXY_UNIQUE_ID_MAX);
	}
	(void)put_16(out, V2_FIXED - 2, at - V2_FIXED);
	return at;
}
