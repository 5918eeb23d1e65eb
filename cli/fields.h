/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading replies: a field that is not there, or is of another type, reads as zero or "-". */
#ifndef CLI_FIELDS_H
#define CLI_FIELDS_H

#include <jansson.h>
#include <stdint.h>

static inline const char *field_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text && text[0] ? text : "-";
}

static inline uint64_t field_count(const json_t *object, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(object, key));

	return n > 0 ? (uint64_t)n : 0;
}

#endif
