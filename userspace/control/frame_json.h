/* SPDX-License-Identifier: BSD-2-Clause */
/* Ethernet frames as JSON. Any thread. New values; NULL: out of memory. */
#ifndef CONTROL_FRAME_JSON_H
#define CONTROL_FRAME_JSON_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* A line for each header; GUE is spoken at gue_port (0: nowhere). */
json_t *frame_headers_json(const uint8_t *frame, size_t len, uint16_t gue_port);

/* Its bytes in hexadecimal digits. */
json_t *frame_hex_json(const uint8_t *frame, size_t len);

#endif
