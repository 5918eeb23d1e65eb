/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The language of the configuration as a table: one row a key, with its type, range, default and a
 * line for the reference. The reader (conf/read.h), the differences (conf/diff.h) and the reference
 * page all work from it. Constant data; any thread.
 */
#ifndef CONF_SCHEMA_H
#define CONF_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reader;
struct section;
struct strbuf;
struct tree;

enum key_type {
	KEY_NUMBER,
	KEY_DURATION, /* min, max: milliseconds */
	KEY_SIZE,     /* min, max: bytes */
	KEY_CHOICE,   /* one of words; the field is an enum, the index into words */
	KEY_TEXT,     /* the field is a const char * */
	KEY_NAME,     /* the same, of a service, pool or backend */
	KEY_SPECIAL,  /* read and format do it; form says what is expected, section what is in it */
	KEY_SECTION,  /* a mapping with the keys of section */
	KEY_NAMED,    /* a mapping: name -> section; conf/build.c reads it */
	KEY_ITEMS,    /* a list of section; conf/build.c reads it */
};

struct keyword {
	const char *name;
	const char *text; /* one line for the reference, no full stop */
	enum key_type type;
	size_t offset; /* of the field in what the section describes */
	size_t width;
	uint64_t min, max;	   /* both included */
	unsigned scale;		   /* durations: milliseconds in one unit of the field; 0: one */
	const char *fallback;	   /* the default, as it would be written */
	const char *fallback_text; /* the default where it depends on other keys */
	const char *form;	   /* what is expected, "an IPv4 or IPv6 address" */
	const char *const *words;  /* choices, NULL at the end */
	const struct section *section;
	bool bare_items;	 /* items: one may be the value of its first key alone */
	const char *empty_word;	 /* sections: a scalar that says none of it, "none" */
	unsigned variant;	 /* sections of a one_of: the value of the tag that this one sets */
	const char *only_key;	 /* has effect only where this key of the section ... */
	const char *only_word;	 /* ... says this word, or NULL: */
	const char *also_word;	 /* (or this one, or NULL) */
	const char *except_word; /* ... does not say that one */
	bool required;
	bool restart; /* takes effect when the daemon starts again */
	bool (*restart_if)(const void *old_object,
			   const void *new_object); /* the same, by values */

	/* KEY_TEXT, numbers: NULL where the value is good, else what is expected. */
	const char *(*refuse_text)(const char *text);
	const char *(*refuse_number)(uint64_t n);
	/* KEY_SPECIAL: object is what the section describes. offset and width, where they are given,
	 * are of bytes that say the same where they are the same. */
	void (*read)(struct reader *r, const struct keyword *k, const struct tree *value,
		     void *object);
	void (*format)(struct strbuf *b, const void *object);
};

/* The bytes from the first member to the last, of specials: a list and how long it is, most of them empty. */
#define KEY_BYTES(type, first, last)                                                               \
	.offset = offsetof(type, first),                                                           \
	.width = offsetof(type, last) + sizeof(((type *)0)->last) - offsetof(type, first)

struct section {
	const char *name; /* for the reference: "node", "pool", "health of a pool" */
	const char *text;
	const struct keyword *keys;
	size_t count;
	bool one_of;	   /* exactly one of the sections with a variant is given, */
	size_t tag_offset; /* and this enum says which */
};

extern const struct section schema_root, schema_node, schema_admin, schema_pool, schema_backend,
	schema_service, schema_quic, schema_guard, schema_guard_entry, schema_service_guard,
	schema_http_timeouts, schema_http_limits, schema_http_paths, schema_tls, schema_pool_tls,
	schema_idle, schema_source_route, schema_relay, schema_outlier, schema_sticky,
	schema_sni_route, schema_proxy_in, schema_route, schema_route_match, schema_split,
	schema_health, schema_access, schema_log, schema_rate_limit, schema_overload, schema_retry,
	schema_hedge, schema_pool_limits, schema_error_page, schema_discover, schema_endpoint;

/* Words of the keys of services that other files of the table know. */
extern const char *const connect_rule_words[];
extern const char *const http2_words[];
extern const char *const request_id_words[];

/* NULL: no such key. */
const struct keyword *section_keyword(const struct section *s, const char *name);

/* As a configuration would write it: the value of a key; of a section, "{key: value, ...}". */
void keyword_format(struct strbuf *b, const struct keyword *k, const void *object);

/* Is the value there at all? Not so for the other variants of a one_of, and for unset text. */
bool keyword_is_set(const struct section *s, const struct keyword *k, const void *object);

#endif
