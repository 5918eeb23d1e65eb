/* SPDX-License-Identifier: BSD-2-Clause */
/* What is found of flows, steered and proxied alike, on its way to an answer: how many there are of each
 * service, backend and state, and the rows that were asked for. One thread at a time. */
#ifndef CONTROL_FLOW_ROWS_H
#define CONTROL_FLOW_ROWS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct conn_item;
struct flow_item;

struct flow_rows {
	uint64_t limit, offset; /* which are listed, of all */
	uint64_t steered, proxied;
	json_t *list;
	json_t *by_service, *by_backend, *by_state; /* name -> how many */
	bool failed;				    /* no memory */
};

void flow_rows_init(struct flow_rows *r, uint64_t limit);
void flow_rows_deinit(struct flow_rows *r);

void flow_rows_add_steered(struct flow_rows *r, const struct flow_item *i);
/* Listed where it is_listed, which whoever walks decides by the same limit and offset. */
void flow_rows_add_proxied(struct flow_rows *r, const struct conn_item *i);

/* Fields of an answer. */
void flow_rows_put_list(const struct flow_rows *r, json_t *object, bool *failed);
void flow_rows_put_counts(const struct flow_rows *r, json_t *object, bool *failed);

#endif
