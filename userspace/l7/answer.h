/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Answers that the proxy makes itself because a request was refused or has failed: what is known of
 * it, and the words for that. A client that would rather have JSON than text gets that, one that
 * makes a gRPC call what gRPC understands. One thread.
 */
#ifndef L7_ANSWER_H
#define L7_ANSWER_H

#include "l7/http1_write.h"
#include "l7/request_id.h"

struct error_pages;
struct l7;
struct service;

/* What became of the request where it got further than its header; NULL, 0: it did not. The place
 * for whatever else of that a client should be told. Strings of the snapshot. */
struct answer_facts {
	const char *route; /* its name */
	const char *pool, *backend;
	unsigned attempts; /* backends that were tried */
};

struct answer {
	enum reason reason;
	unsigned status; /* in place of the reason's; 0: that one */
	bool is_head, is_grpc, wants_json;
	struct answer_facts facts;
	const struct error_pages *pages; /* in place of the words; NULL: none */
	struct slice fields; /* lines of the header beside the usual ones, each with its end */
	size_t id_len;	     /* 0: it has none yet */
	char id[REQUEST_ID_MAX];
};

unsigned answer_status(const struct answer *a);

/* What a request says of how it wants to be answered. h: fields may be NULL, for want of memory. take_id: its client is trusted to name it. */
void answer_read(struct answer *a, const struct head *h, bool take_id);

/* The same of a header as http1_write.h made it. */
void answer_read_block(struct answer *a, struct slice block, bool take_id);

/* The name of the request: a new one where it has none. In a. */
struct slice answer_name(struct l7 *l7, struct answer *a);

/* Head and body of the answer, in out or in l7_scratch(). Gives it a name where it has none. */
#define ANSWER_MAX 3072U
struct answer_text {
	struct slice head, body;
};
struct answer_text answer_write(struct l7 *l7, struct answer *a, enum persistence persistence,
				char out[ANSWER_MAX]);

#endif
