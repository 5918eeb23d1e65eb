/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The two messages of grpc.health.v1.Health/Check, each with the five bytes that gRPC puts before one.
 * Pure; any thread.
 */
#ifndef HEALTH_GRPC_MESSAGE_H
#define HEALTH_GRPC_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#define GRPC_SERVICE_MAX 255U /* bytes of a service's name that is asked for */
#define GRPC_REQUEST_MAX (5 + 3 + GRPC_SERVICE_MAX)

/* HealthCheckResponse.ServingStatus; others may come. */
enum grpc_serving { GRPC_UNKNOWN, GRPC_SERVING, GRPC_NOT_SERVING, GRPC_SERVICE_UNKNOWN };

/* Returns the bytes written. */
size_t grpc_request_write(char out[GRPC_REQUEST_MAX], const char *service);

/* A whole message: 0, or -EBADMSG. */
int grpc_reply_read(const char *data, size_t len, uint64_t *ret_serving);

const char *grpc_serving_name(uint64_t serving);

/* Of a call's status, "unimplemented"; "" for one that there is not. */
const char *grpc_status_name(unsigned status);

#endif
