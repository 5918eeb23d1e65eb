/* SPDX-License-Identifier: BSD-2-Clause */
/* Tables, units and errors: see print.h. */
#include "cli/print.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "control/message.h"

#define GAP 2

static void mask_control(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
}

static void print_masked(FILE *out, const char *fmt, va_list ap)
{
	char *text;

	if (vasprintf(&text, fmt, ap) < 0)
		return; /* nothing can be said without memory */
	mask_control(text);
	fputs(text, out);
	free(text);
}

void print_safe(FILE *out, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	print_masked(out, fmt, ap);
	va_end(ap);
}

void print_line(const char *label, const char *fmt, ...)
{
	va_list ap;

	printf("%-13s ", label);
	va_start(ap, fmt);
	print_masked(stdout, fmt, ap);
	va_end(ap);
	putchar('\n');
}

void tell_error(const char *fmt, ...)
{
	va_list ap;

	fputs("shuntctl: ", stderr);
	va_start(ap, fmt);
	print_masked(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

void print_json(FILE *out, const json_t *value)
{
	(void)json_dumpf(value, out, JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(6));
	fputc('\n', out);
}

/* ---- units ---- */

static const char *format_scaled(double value, const char *unit, char *buf)
{
	int digits = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;

	(void)snprintf(buf, PRINT_UNIT_MAX, "%.*f%s", digits, value, unit);
	return buf;
}

const char *format_count(uint64_t n, char *buf)
{
	static const char *const units[] = {"k", "M", "G", "T", "P"};
	double value = (double)n / 1000;
	size_t i = 0;

	if (n < 10000) {
		(void)snprintf(buf, PRINT_UNIT_MAX, "%llu", (unsigned long long)n);
		return buf;
	}
	while (value >= 999.5 && i < sizeof(units) / sizeof(units[0]) - 1) {
		value /= 1000;
		i++;
	}
	return format_scaled(value, units[i], buf);
}

const char *format_bytes(uint64_t n, char *buf)
{
	static const char *const units[] = {" KiB", " MiB", " GiB", " TiB", " PiB"};
	double value = (double)n / 1024;
	uint64_t unit = 1024;
	size_t i = 0;

	if (n < 1024) {
		(void)snprintf(buf, PRINT_UNIT_MAX, "%llu B", (unsigned long long)n);
		return buf;
	}
	while (value >= 1023.5 && i < sizeof(units) / sizeof(units[0]) - 1) {
		value /= 1024;
		unit *= 1024;
		i++;
	}
	if (n % unit)
		return format_scaled(value, units[i], buf);
	(void)snprintf(buf, PRINT_UNIT_MAX, "%llu%s", (unsigned long long)(n / unit), units[i]);
	return buf;
}

/* "2h", and what is over in the next unit: "2h5m". */
static void format_pair(char *buf, unsigned long long n, const char *unit, unsigned long long rest,
			const char *rest_unit)
{
	if (rest)
		(void)snprintf(buf, PRINT_UNIT_MAX, "%llu%s%llu%s", n, unit, rest, rest_unit);
	else
		(void)snprintf(buf, PRINT_UNIT_MAX, "%llu%s", n, unit);
}

const char *format_age(uint64_t ms, char *buf)
{
	unsigned long long s = ms / 1000, min = s / 60, h = min / 60;

	if (ms > 0 && ms < 1000)
		(void)snprintf(buf, PRINT_UNIT_MAX, "%llums", (unsigned long long)ms);
	else if (s < 120)
		(void)snprintf(buf, PRINT_UNIT_MAX, "%llus", s);
	else if (min < 120)
		(void)snprintf(buf, PRINT_UNIT_MAX, "%llum", min);
	else if (h < 48)
		format_pair(buf, h, "h", min % 60, "m");
	else
		format_pair(buf, h / 24, "d", h % 24, "h");
	return buf;
}

/* ---- tables ---- */

void table_init(struct table *t, const char *const *headings, unsigned columns)
{
	*t = (struct table){.headings = headings, .columns = columns};
}

void table_add(struct table *t, const char *fmt, ...)
{
	char **cells;
	char *text;
	va_list ap;

	if (t->failed)
		return;
	if (t->filled == 0) {
		cells = realloc(t->cells, (t->rows + 1) * t->columns * sizeof(*cells));
		if (!cells) {
			t->failed = -ENOMEM;
			return;
		}
		memset(cells + t->rows * t->columns, 0, t->columns * sizeof(*cells));
		t->cells = cells;
		t->rows++;
	}
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	if (!text) {
		t->failed = -ENOMEM;
		return;
	}
	mask_control(text);
	t->cells[(t->rows - 1) * t->columns + t->filled] = text;
	t->filled = (t->filled + 1) % t->columns;
}

static const char *cell(const struct table *t, size_t row, unsigned column)
{
	const char *heading = t->headings[column];

	if (row == 0)
		return heading[0] == '>' ? heading + 1 : heading;
	heading = t->cells[(row - 1) * t->columns + column];
	return heading ? heading : "";
}

/* Characters, not bytes: continuation bytes of UTF-8 take no place. */
static int width(const char *text)
{
	int n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static void print_row(const struct table *t, size_t row, const int *widths)
{
	for (unsigned c = 0; c < t->columns; c++) {
		const char *text = cell(t, row, c);
		int pad = widths[c] - width(text);

		if (t->headings[c][0] == '>')
			printf("%*s%s", pad, "", text);
		else if (c + 1 < t->columns)
			printf("%s%*s", text, pad, "");
		else
			fputs(text, stdout);
		printf("%*s", c + 1 < t->columns ? GAP : 0, "");
	}
	putchar('\n');
}

void table_deinit(struct table *t)
{
	for (size_t i = 0; i < t->rows * t->columns; i++)
		free(t->cells[i]);
	free(t->cells);
	t->cells = NULL;
	t->rows = 0;
}

int table_print(struct table *t)
{
	int widths[TABLE_COLUMNS_MAX] = {0};
	int code = API_EXIT_OK;

	if (t->failed) {
		tell_error("out of memory");
		code = API_EXIT_FAILED;
	}
	for (size_t row = 0; !t->failed && row <= t->rows; row++)
		for (unsigned c = 0; c < t->columns; c++)
			if (width(cell(t, row, c)) > widths[c])
				widths[c] = width(cell(t, row, c));
	for (size_t row = 0; !t->failed && row <= t->rows; row++)
		print_row(t, row, widths);
	table_deinit(t);
	return code;
}

int table_print_both(struct table *a, struct table *b, const char *nothing)
{
	bool has_a = a->rows != 0, has_b = b->rows != 0;
	int code = API_EXIT_OK;

	if (!has_a && !has_b)
		puts(nothing);
	if (has_a)
		code = table_print(a);
	if (has_a && has_b)
		putchar('\n');
	if (has_b && !code)
		code = table_print(b);
	table_deinit(a);
	table_deinit(b);
	return code;
}

int table_of_list(const struct table_form *form, const json_t *list)
{
	struct table t;
	json_t *item;
	size_t i;

	if (!json_array_size(list)) {
		puts(form->none);
		return API_EXIT_OK;
	}
	table_init(&t, form->headings, form->count);
	json_array_foreach (list, i, item) {
		form->add(&t, item);
	}
	return table_print(&t);
}
