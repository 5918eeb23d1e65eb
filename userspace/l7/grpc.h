/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What gRPC's own clients expect of a proxy that answers by itself: a status of theirs, in a header
 * that is the trailers as well ("PROTOCOL-HTTP2.md", Trailers-Only, in gRPC's documentation). Pure.
 */
#ifndef L7_GRPC_H
#define L7_GRPC_H

#include <stdbool.h>
#include <stddef.h>

#include "l7/http1_write.h"

/* By its Content-Type. */
bool grpc_is_call(const struct head *h);

/* As http1_write_answer() does; the answer has no body. */
size_t grpc_write_answer(char out[HTTP1_ANSWER_MAX], enum reason reason);

#endif
