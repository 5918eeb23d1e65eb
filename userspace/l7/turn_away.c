/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests that are turned away for now: see turn_away.h. */
#include "l7/turn_away.h"

#include <stdio.h>
#include <time.h>

#include "l7/conn.h"
#include "l7/grpc.h"
#include "l7/http1_write.h"
#include "l7/request.h"

#define RETRY_MAX 32U /* bytes of its line */

void turn_away(const struct client *who, const struct head *h, enum reason reason,
	       unsigned retry_after_s, struct slice fields, size_t block_len)
{
	char text[HTTP1_ANSWER_MAX], head[HTTP1_ANSWER_MAX + RETRY_MAX + TURN_AWAY_FIELDS_MAX];
	/* Only a request without a body leaves the client in step. */
	enum conn_after after = h->body != BODY_NONE ? CONN_THEN_LINGER
				: h->persistent && !conn_is_last_request(who->conn)
					? CONN_GO_ON
					: CONN_THEN_CLOSE;
	bool is_grpc = h->is_h2 && grpc_is_call(h);
	size_t len = is_grpc ? grpc_write_answer(text, reason)
			     : http1_write_answer(text, reason, h->is_head,
						  h->is_h2		? PERSIST_DEFAULT
						  : after == CONN_GO_ON ? PERSIST_KEEP_ALIVE
									: PERSIST_CLOSE,
						  time(NULL));
	const char *end = memmem(text, len, "\r\n\r\n", 4);
	size_t lines = (size_t)(end - text) + 2;
	int n = snprintf(head, sizeof(head), "%.*sRetry-After: %u\r\n%.*s\r\n", (int)lines, text,
			 retry_after_s, (int)fields.len, fields.ptr ? fields.ptr : "");

	counter_add(&conn_counters(who->conn)->local_errors, 1);
	/* From here on h is gone: it lay in the block. */
	if (block_len)
		buf_consume(who->io->pool, &who->io->in, block_len);
	who->ops->respond(who->owner, (struct slice){head, (size_t)n},
			  (struct slice){end + 4, len - lines - 2},
			  is_grpc ? 200 : reason_status(reason), after);
}
