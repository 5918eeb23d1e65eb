/* SPDX-License-Identifier: BSD-2-Clause */
/* What rules see of a request: see input.h. */
#include "route/input.h"

#include "core/text.h"
#include "route/room_int.h"

bool route_next_in_array(const struct route_input *in, struct slice name, unsigned *cursor,
			 struct slice *ret_value)
{
	const struct route_field *fields = in->fields;

	for (unsigned i = *cursor; i < in->field_count; i++) {
		if (!slice_eq_nocase(fields[i].name, name))
			continue;
		*ret_value = fields[i].value;
		*cursor = i + 1;
		return true;
	}
	*cursor = in->field_count;
	return false;
}

bool route_header(const struct route_input *in, struct slice name, struct slice *ret_value)
{
	unsigned cursor = 0;

	return in->next_field && in->next_field(in, name, &cursor, ret_value);
}

bool route_next_pair(struct slice *rest, char separator, struct slice *ret_name,
		     struct slice *ret_value)
{
	while (rest->len) {
		const char *end = memchr(rest->ptr, separator, rest->len), *equals;
		size_t len = end ? (size_t)(end - rest->ptr) : rest->len;
		struct slice pair = slice_trim((struct slice){rest->ptr, len});

		rest->ptr += end ? len + 1 : len;
		rest->len -= end ? len + 1 : len;
		if (!pair.len)
			continue;
		equals = memchr(pair.ptr, '=', pair.len);
		len = equals ? (size_t)(equals - pair.ptr) : pair.len;
		*ret_name = (struct slice){pair.ptr, len};
		*ret_value = equals ? (struct slice){equals + 1, pair.len - len - 1}
				    : (struct slice){pair.ptr + len, 0};
		return true;
	}
	return false;
}

/* The byte at s.ptr[*at], decoded; *at is moved behind it. A "%" that begins no escape is itself. */
static char decode_byte(struct slice s, size_t *at)
{
	char c = s.ptr[(*at)++];
	int high, low;

	if (c == '+')
		return ' ';
	if (c != '%' || s.len - *at < 2)
		return c;
	high = text_hex_digit(s.ptr[*at]);
	low = text_hex_digit(s.ptr[*at + 1]);
	if (high < 0 || low < 0)
		return c;
	*at += 2;
	return (char)(high << 4 | low);
}

static bool decodes_to(struct slice encoded, struct slice plain)
{
	size_t at = 0, i = 0;

	for (; at < encoded.len && i < plain.len; i++)
		if (decode_byte(encoded, &at) != plain.ptr[i])
			return false;
	return at == encoded.len && i == plain.len;
}

static bool is_encoded(struct slice s)
{
	return s.len && (memchr(s.ptr, '%', s.len) || memchr(s.ptr, '+', s.len));
}

static bool decode(const struct route_input *in, struct slice encoded, struct slice *ret_plain)
{
	struct route_room *room = in->room;
	char *out;
	size_t len = 0;

	if (encoded.len > room->text_max)
		return false;
	out = room->texts + room->next * room->text_max;
	room->next = (room->next + 1) % ROOM_TEXTS;
	for (size_t at = 0; at < encoded.len;)
		out[len++] = decode_byte(encoded, &at);
	*ret_plain = (struct slice){out, len};
	return true;
}

bool route_parameter(const struct route_input *in, struct slice name, struct slice *ret_value)
{
	struct slice rest = in->query, key, value;

	while (route_next_pair(&rest, '&', &key, &value)) {
		if (!decodes_to(key, name))
			continue;
		if (is_encoded(value))
			return decode(in, value, ret_value);
		*ret_value = value;
		return true;
	}
	return false;
}

static struct slice unquote(struct slice s)
{
	if (s.len >= 2 && s.ptr[0] == '"' && s.ptr[s.len - 1] == '"')
		return (struct slice){s.ptr + 1, s.len - 2};
	return s;
}

/* HTTP/2 may bring a line for each cookie. */
bool route_cookie(const struct route_input *in, struct slice name, struct slice *ret_value)
{
	struct slice rest, key, value;
	unsigned cursor = 0;

	while (in->next_field && in->next_field(in, SLICE("cookie"), &cursor, &rest))
		while (route_next_pair(&rest, ';', &key, &value))
			if (slice_eq(slice_trim(key), name)) {
				*ret_value = unquote(slice_trim(value));
				return true;
			}
	return false;
}
