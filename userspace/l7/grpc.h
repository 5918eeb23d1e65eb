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

struct answer;

/* A header that is all of the answer. Returns its bytes, less than size. */
size_t grpc_write_answer(char *out, size_t size, const struct answer *a);

#endif
