/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests that are turned away for now: see turn_away.h. */
#include "l7/turn_away.h"

#include <stdio.h>

#include "l7/access_log.h"
#include "l7/answer.h"
#include "l7/conn.h"
#include "l7/grpc.h"
#include "l7/request.h"
#include "l7/routing.h"

#define RETRY_MAX 32U /* bytes of its line */

void turn_away(const struct client *who, const struct head *h, const struct routing *routing,
	       enum reason reason, unsigned retry_after_s, struct slice fields, size_t block_len)
{
	struct answer a = conn_answer(who->conn, reason, h);
	char lines[RETRY_MAX + TURN_AWAY_FIELDS_MAX], out[ANSWER_MAX];
	/* Only a request without a body leaves the client in step. */
	enum conn_after after = h->body != BODY_NONE ? CONN_THEN_LINGER
				: h->persistent && !conn_is_last_request(who->conn)
					? CONN_GO_ON
					: CONN_THEN_CLOSE;
	int n = snprintf(lines, sizeof(lines), "Retry-After: %u\r\n%.*s", retry_after_s,
			 (int)fields.len, fields.len ? fields.ptr : "");
	struct answer_text text;

	a.is_grpc = h->is_h2 && grpc_is_call(h);
	a.fields = (struct slice){lines, (size_t)n};
	text = answer_write(who->conn->l7, &a,
			    h->is_h2		  ? PERSIST_DEFAULT
			    : after == CONN_GO_ON ? PERSIST_KEEP_ALIVE
						  : PERSIST_CLOSE,
			    out);
	if (access_log_is_on(who))
		access_log_refused(who, h, &a, routing->action);
	counter_add(&conn_counters(who->conn)->local_errors, 1);
	routing_count(who->conn->l7, routing->action, routing->label, answer_status(&a), true);
	/* From here on h is gone: it lay in the block. */
	if (block_len)
		buf_consume(who->io->pool, &who->io->in, block_len);
	who->ops->respond(who->owner, text.head, text.body, a.is_grpc ? 200 : answer_status(&a),
			  after);
}
