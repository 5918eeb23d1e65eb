/* SPDX-License-Identifier: BSD-2-Clause */
/* What backends answer to checks: a body in two pieces reads as in one and keeps its bound, and any
 * message of gRPC has an end. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "health/answer.h"
#include "health/grpc_message.h"

#define BODY_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* The first byte says where it is cut. */
static void check_answer(const char *data, size_t len, size_t cut)
{
	struct answer *whole = answer_new(BODY_MAX), *pieces = answer_new(BODY_MAX);
	enum answer_state a, b = ANSWER_MORE;

	assert(whole && pieces);
	a = answer_feed(whole, data, len);
	if (cut)
		b = answer_feed(pieces, data, cut);
	if (b == ANSWER_MORE)
		b = answer_feed(pieces, data + cut, len - cut);
	assert(a == b);
	assert(answer_body(whole).len <= BODY_MAX);
	if (a != ANSWER_BAD)
		assert(slice_eq(answer_body(whole), answer_body(pieces)));
	if (a == ANSWER_MORE)
		assert(answer_end(whole) == answer_end(pieces));
	answer_free(whole);
	answer_free(pieces);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint64_t serving;

	if (!len)
		return 0;
	check_answer((const char *)data + 1, len - 1, data[0] % len);
	if (grpc_reply_read((const char *)data, len, &serving) == 0)
		assert(*grpc_serving_name(serving));
	return 0;
}
