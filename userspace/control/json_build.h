/* SPDX-License-Identifier: BSD-2-Clause */
/* Building JSON objects with one check for memory at the end. Any thread. */
#ifndef CONTROL_JSON_BUILD_H
#define CONTROL_JSON_BUILD_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* object[key] = value, which is taken. Either may be NULL for want of memory: *failed is set. */
static inline void json_put(json_t *object, const char *key, json_t *value, bool *failed)
{
	if (json_object_set_new(object, key, value))
		*failed = true;
}

/* Text that may come from outside: JSON holds UTF-8 only. */
static inline json_t *json_text(const char *text)
{
	json_t *value = json_string(text);

	return value ? value : json_string("(not UTF-8)");
}

static inline void json_put_int(json_t *object, const char *key, uint64_t value, bool *failed)
{
	json_put(object, key, json_integer((json_int_t)value), failed);
}

/* Names of counters have hyphens in the ABI, fields have underscores. */
static inline void json_put_counter(json_t *object, const char *name, uint64_t value, bool *failed)
{
	char key[64];

	(void)snprintf(key, sizeof(key), "%s", name); /* no counter has a longer name */
	for (char *c = key; *c; c++)
		if (*c == '-')
			*c = '_';
	json_put_int(object, key, value, failed);
}

static inline void json_push(json_t *array, json_t *value, bool *failed)
{
	if (json_array_append_new(array, value))
		*failed = true;
}

/* The value, or NULL where anything failed. */
static inline json_t *json_finish(json_t *value, bool failed)
{
	if (!failed)
		return value;
	json_decref(value);
	return NULL;
}

#endif
