/* SPDX-License-Identifier: BSD-2-Clause */
/* Fields of log messages: see log_fields.h. In the format, " KEY=" is replaced by two marks around the
 * key, which no text has: control bytes. Where a value brings some, so that there are more of them than
 * were put there, the message is left in one piece. */
#include "core/log_fields.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define MARK_KEY   '\x1f'
#define MARK_VALUE '\x1e'
#define NUMBER_MAX 15U /* digits that every reader of JSON keeps */

static bool is_key_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

/* Length of the key, where " KEY=" is at text. */
static size_t key_at(const char *text)
{
	size_t len = 0;

	if (text[0] != ' ')
		return 0;
	while (is_key_byte(text[1 + len]))
		len++;
	return len && text[1 + len] == '=' ? len : 0;
}

/* False: it does not fit. */
static bool mark_format(const char *fmt, char *out, size_t room, size_t *ret_marks)
{
	size_t len = 0, marks = 0;

	while (*fmt) {
		size_t key = key_at(fmt);

		if (len + key + 3 >= room)
			return false;
		if (!key || marks == LOG_FIELDS_MAX) {
			out[len++] = *fmt++;
			continue;
		}
		out[len++] = MARK_KEY;
		memcpy(out + len, fmt + 1, key);
		len += key;
		out[len++] = MARK_VALUE;
		fmt += key + 2;
		marks++;
	}
	out[len] = '\0';
	*ret_marks = marks;
	return true;
}

static size_t count_byte(const char *text, char byte)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == byte;
	return n;
}

static void mask(char *text, bool all)
{
	for (; *text; text++)
		if (((unsigned char)*text < 0x20 || *text == 0x7f) &&
		    (all || (*text != MARK_KEY && *text != MARK_VALUE)))
			*text = '?';
}

static struct slice unquoted(struct slice value)
{
	if (value.len >= 2 && value.ptr[0] == '"' && value.ptr[value.len - 1] == '"')
		return (struct slice){value.ptr + 1, value.len - 2};
	return value;
}

static void take_fields(struct log_fields *f, size_t marks)
{
	char *at = strchr(f->text, MARK_KEY);

	for (f->count = 0; f->count < marks; f->count++) {
		char *value = strchr(at, MARK_VALUE), *end = strchr(value, MARK_KEY);

		if (!end)
			end = value + strlen(value);
		f->fields[f->count].key = (struct slice){at + 1, (size_t)(value - at - 1)};
		f->fields[f->count].value =
			unquoted((struct slice){value + 1, (size_t)(end - value - 1)});
		at = end;
	}
}

/* The module stands in the format, in front of a colon. */
static void take_module(struct log_fields *f, const char *fmt)
{
	size_t len = 0;

	while (is_key_byte(fmt[len]))
		len++;
	if (!len || fmt[len] != ':' || fmt[len + 1] != ' ' || f->message.len < len + 2)
		return;
	f->module = (struct slice){f->message.ptr, len};
	f->message.ptr += len + 2;
	f->message.len -= len + 2;
}

void log_fields_read(struct log_fields *f, const char *fmt, va_list ap)
{
	char marked[LOG_MESSAGE_MAX];
	size_t marks = 0;
	va_list again;
	int n;

	f->module = (struct slice){0};
	f->count = 0;
	va_copy(again, ap);
	if (mark_format(fmt, marked, sizeof(marked), &marks)) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		n = vsnprintf(f->text, sizeof(f->text), marked, ap);
#pragma GCC diagnostic pop
		if (n >= 0 && count_byte(f->text, MARK_KEY) == marks &&
		    count_byte(f->text, MARK_VALUE) == marks) {
			mask(f->text, false);
			f->message = (struct slice){f->text, strcspn(f->text, "\x1f")};
			if (marks)
				take_fields(f, marks);
			take_module(f, fmt);
			va_end(again);
			return;
		}
	}
	if (vsnprintf(f->text, sizeof(f->text), fmt, again) < 0)
		f->text[0] = '\0';
	va_end(again);
	mask(f->text, true);
	f->message = slice_of(f->text);
	take_module(f, fmt);
}

/* ---- writing ---- */

struct out {
	char *at;
	size_t len, room;
};

static void put(struct out *o, struct slice text)
{
	if (text.len > o->room - o->len)
		text.len = o->room - o->len;
	if (text.len)
		memcpy(o->at + o->len, text.ptr, text.len);
	o->len += text.len;
}

static void put_json(struct out *o, struct slice text)
{
	put(o, SLICE("\""));
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];
		char escaped[8];

		if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') {
			put(o, (struct slice){text.ptr + i, 1});
			continue;
		}
		(void)snprintf(escaped, sizeof(escaped), "\\u%04x", c); /* fits */
		put(o, slice_of(escaped));
	}
	put(o, SLICE("\""));
}

static bool is_number(struct slice text)
{
	size_t i = 0;

	while (i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '9')
		i++;
	return i == text.len && i > 0 && i <= NUMBER_MAX && (text.ptr[0] != '0' || i == 1);
}

static void put_pair(struct out *o, const char *separator, struct slice key, struct slice value)
{
	put(o, slice_of(separator));
	put_json(o, key);
	put(o, SLICE(":"));
	if (is_number(value))
		put(o, value);
	else
		put_json(o, value);
}

size_t log_fields_json(const struct log_fields *f, const char *time, const char *level, char *out,
		       size_t room)
{
	struct out o = {out, 0, room};

	put_pair(&o, "{", SLICE("time"), slice_of(time));
	put_pair(&o, ",", SLICE("level"), slice_of(level));
	put_pair(&o, ",", SLICE("module"), f->module);
	put_pair(&o, ",", SLICE("message"), f->message);
	for (size_t i = 0; i < f->count; i++)
		put_pair(&o, ",", f->fields[i].key, f->fields[i].value);
	put(&o, SLICE("}\n"));
	return o.len;
}

size_t log_fields_journal(const struct log_fields *f, char *out, size_t room)
{
	struct out o = {out, 0, room};

	put(&o, SLICE("SHUNT_MODULE="));
	put(&o, f->module);
	put(&o, SLICE("\n"));
	for (size_t i = 0; i < f->count; i++) {
		put(&o, SLICE("SHUNT_"));
		for (size_t k = 0; k < f->fields[i].key.len; k++) {
			char c = f->fields[i].key.ptr[k];

			c = (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
			put(&o, (struct slice){&c, 1});
		}
		put(&o, SLICE("="));
		put(&o, f->fields[i].value);
		put(&o, SLICE("\n"));
	}
	return o.len;
}
