/* SPDX-License-Identifier: BSD-2-Clause */
/* Protocol buffers by hand, as the messages have one field each: see grpc_message.h. */
#include "health/grpc_message.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define PREFIX 5 /* is it compressed, and its length in four bytes */

/* Field 1 of each message, and how it is encoded. */
#define SERVICE_TAG 0x0a
#define STATUS_TAG  0x08

enum wire { WIRE_VARINT, WIRE_64, WIRE_BYTES, WIRE_32 = 5 };

struct cursor {
	const unsigned char *at, *end;
};

size_t grpc_request_write(char out[GRPC_REQUEST_MAX], const char *service)
{
	size_t len = strlen(service), n = PREFIX;
	uint32_t size;

	if (len) {
		out[n++] = SERVICE_TAG;
		if (len > 0x7f) {
			out[n++] = (char)(0x80 | (len & 0x7f));
			out[n++] = (char)(len >> 7);
		} else {
			out[n++] = (char)len;
		}
		memcpy(out + n, service, len);
		n += len;
	}
	out[0] = 0;
	size = htonl((uint32_t)(n - PREFIX));
	memcpy(out + 1, &size, sizeof(size));
	return n;
}

static bool take_varint(struct cursor *c, uint64_t *ret_value)
{
	uint64_t value = 0;

	for (unsigned shift = 0; c->at < c->end && shift < 64; shift += 7) {
		unsigned char byte = *c->at++;

		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*ret_value = value;
			return true;
		}
	}
	return false;
}

static bool skip(struct cursor *c, uint64_t wire)
{
	uint64_t len;

	switch (wire) {
	case WIRE_VARINT: return take_varint(c, &len);
	case WIRE_64: len = 8; break;
	case WIRE_32: len = 4; break;
	case WIRE_BYTES:
		if (!take_varint(c, &len))
			return false;
		break;
	default: return false;
	}
	if (len > (uint64_t)(c->end - c->at))
		return false;
	c->at += len;
	return true;
}

int grpc_reply_read(const char *data, size_t len, uint64_t *ret_serving)
{
	struct cursor c = {(const unsigned char *)data, (const unsigned char *)data + len};
	uint64_t tag, serving = GRPC_UNKNOWN;
	uint32_t size;

	if (len < PREFIX || data[0]) /* none of ours is worth to be compressed */
		return -EBADMSG;
	memcpy(&size, data + 1, sizeof(size));
	c.at += PREFIX;
	if (ntohl(size) != len - PREFIX)
		return -EBADMSG;
	while (c.at < c.end) {
		if (!take_varint(&c, &tag))
			return -EBADMSG;
		if (tag == STATUS_TAG ? !take_varint(&c, &serving) : !skip(&c, tag & 7))
			return -EBADMSG;
	}
	*ret_serving = serving;
	return 0;
}

const char *grpc_serving_name(uint64_t serving)
{
	switch (serving) {
	case GRPC_UNKNOWN: return "UNKNOWN";
	case GRPC_SERVING: return "SERVING";
	case GRPC_NOT_SERVING: return "NOT_SERVING";
	case GRPC_SERVICE_UNKNOWN: return "SERVICE_UNKNOWN";
	default: return "a status that is not known";
	}
}

const char *grpc_status_name(unsigned status)
{
	static const char *const names[] = {
		"ok",
		"cancelled",
		"unknown",
		"invalid argument",
		"deadline exceeded",
		"not found",
		"already exists",
		"permission denied",
		"resource exhausted",
		"failed precondition",
		"aborted",
		"out of range",
		"unimplemented",
		"internal",
		"unavailable",
		"data loss",
		"unauthenticated",
	};

	return status < sizeof(names) / sizeof(names[0]) ? names[status] : "";
}
