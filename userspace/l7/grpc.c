/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers that gRPC understands: see grpc.h. */
#include "l7/grpc.h"

#include <stdio.h>

enum {
	GRPC_RESOURCE_EXHAUSTED = 8,
	GRPC_INTERNAL = 13,
	GRPC_UNAVAILABLE = 14,
	GRPC_UNIMPLEMENTED = 12
};

bool grpc_is_call(const struct head *h)
{
	const struct slice type = SLICE("application/grpc");

	for (unsigned i = 0; i < h->count; i++) {
		const struct field *f = &h->fields[i];

		if (!slice_eq_nocase(f->name, SLICE("content-type")))
			continue;
		return f->value.len >= type.len &&
		       slice_eq_nocase((struct slice){f->value.ptr, type.len}, type) &&
		       (f->value.len == type.len || f->value.ptr[type.len] == '+' ||
			f->value.ptr[type.len] == ';');
	}
	return false;
}

/* Clients try again what is UNAVAILABLE. */
static unsigned grpc_status(unsigned status)
{
	switch (status) {
	case 413:
	case 429:
	case 431: return GRPC_RESOURCE_EXHAUSTED;
	case 405:
	case 501: return GRPC_UNIMPLEMENTED;
	case 502:
	case 503:
	case 504: return GRPC_UNAVAILABLE;
	default: return GRPC_INTERNAL;
	}
}

size_t grpc_write_answer(char out[HTTP1_ANSWER_MAX], enum reason reason)
{
	/* No reason has a byte in its words that grpc-message would have to escape. */
	return (size_t)snprintf(out, HTTP1_ANSWER_MAX,
				"HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\n"
				"Grpc-Status: %u\r\nGrpc-Message: %s\r\n\r\n",
				grpc_status(reason_status(reason)), reason_text(reason));
}
