/* SPDX-License-Identifier: BSD-2-Clause */
/* Header fields known by name: see headers.h. */
#include "l7/headers.h"

#include "l7/http1_parse.h"

#define LONGEST 17 /* of the names below */

static const struct known {
	struct slice name;
	enum field_id id;
} known[] = {
	/* By length. */
	{SLICE("te"), FIELD_TE},
	{SLICE("via"), FIELD_END_TO_END},
	{SLICE("host"), FIELD_HOST},
	{SLICE("date"), FIELD_END_TO_END},
	{SLICE("expect"), FIELD_EXPECT},
	{SLICE("cookie"), FIELD_END_TO_END},
	{SLICE("upgrade"), FIELD_UPGRADE},
	{SLICE("trailer"), FIELD_TRAILER},
	{SLICE("forwarded"), FIELD_FORWARDED},
	{SLICE("x-real-ip"), FIELD_FORWARDED},
	{SLICE("connection"), FIELD_CONNECTION},
	{SLICE("early-data"), FIELD_END_TO_END},
	{SLICE("keep-alive"), FIELD_HOP},
	{SLICE("set-cookie"), FIELD_END_TO_END},
	{SLICE("content-type"), FIELD_END_TO_END},
	{SLICE("authorization"), FIELD_END_TO_END},
	{SLICE("cache-control"), FIELD_END_TO_END},
	{SLICE("content-length"), FIELD_CONTENT_LENGTH},
	{SLICE("http2-settings"), FIELD_HOP},
	{SLICE("content-encoding"), FIELD_END_TO_END},
	{SLICE("proxy-connection"), FIELD_HOP},
	{SLICE("transfer-encoding"), FIELD_TRANSFER_ENCODING},
};

/* Where the names of each length begin in known[]. */
static const unsigned char first_of_length[LONGEST + 2] = {
	0, 0, 0, 1, 2, 4, 4, 6, 8, 8, 10, 14, 14, 15, 17, 19, 19, 21, 22,
};

static enum field_id find(struct slice name)
{
	if (name.len > LONGEST)
		return FIELD_OTHER;
	for (unsigned i = first_of_length[name.len]; i < first_of_length[name.len + 1]; i++)
		if ((name.ptr[0] | 0x20) == known[i].name.ptr[0] &&
		    slice_eq_nocase(name, known[i].name))
			return known[i].id;
	return FIELD_OTHER;
}

static bool has_prefix(struct slice s, struct slice prefix)
{
	return s.len >= prefix.len && slice_eq_nocase((struct slice){s.ptr, prefix.len}, prefix);
}

static enum field_id find_alias(struct slice name)
{
	char plain[LONGEST];

	if (name.len > sizeof(plain)) /* only the beginning of such a name can matter */
		name.len = sizeof("x-forwarded-") - 1;
	for (size_t i = 0; i < name.len; i++)
		plain[i] = name.ptr[i] == '_' ? '-' : name.ptr[i];
	name.ptr = plain;
	return find(name) != FIELD_OTHER || has_prefix(name, SLICE("x-forwarded-")) ? FIELD_ALIAS
										    : FIELD_OTHER;
}

enum field_id field_identify(struct slice name)
{
	enum field_id id = find(name);

	if (id != FIELD_OTHER)
		return id;
	if (has_prefix(name, SLICE("x-forwarded-")))
		return FIELD_FORWARDED;
	return memchr(name.ptr, '_', name.len) ? find_alias(name) : FIELD_OTHER;
}

/* Does Connection name this field? */
static bool is_named(const struct head *h, struct slice name)
{
	for (unsigned i = 0; i < h->count; i++) {
		struct slice list = h->fields[i].value, option;

		if (h->fields[i].id != FIELD_CONNECTION)
			continue;
		while (slice_next_element(&list, &option))
			if (slice_eq_nocase(option, name))
				return true;
	}
	return false;
}

bool field_is_dropped(const struct head *h, const struct field *f)
{
	switch (f->id) {
	case FIELD_OTHER: return h->has_options && is_named(h, f->name);
	case FIELD_END_TO_END: return false;
	case FIELD_EXPECT: return h->minor == 0;
	case FIELD_TRAILER:
		return h->body != BODY_CHUNKED && h->body != BODY_EOF; /* others have no trailers */
	default: return true;
	}
}
