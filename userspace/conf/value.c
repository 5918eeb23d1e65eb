/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers with and without units: see value.h. */
#include "conf/value.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "core/strbuf.h"

/* Ascending, so that the last that divides is the largest. */
struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit duration_units[] = {
	{"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 60 * 60 * 1000}};
static const struct unit size_units[] = {
	{"", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1ULL << 40}};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Digits up to the first other byte; no leading zero beside "0" itself. */
static int read_digits(const char *text, const char **ret_end, uint64_t *ret_number)
{
	const char *p = text;
	uint64_t n = 0;

	if (*p == '0' && p[1] >= '0' && p[1] <= '9')
		return -EINVAL;
	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(n, 10U, &n) ||
		    __builtin_add_overflow(n, (unsigned)(*p - '0'), &n))
			return -ERANGE;
	if (p == text)
		return -EINVAL;
	*ret_end = p;
	*ret_number = n;
	return 0;
}

int value_number(const char *text, uint64_t *ret_number)
{
	const char *end;
	uint64_t n;
	int err = read_digits(text, &end, &n);

	if (err < 0)
		return err;
	if (*end)
		return -EINVAL;
	*ret_number = n;
	return 0;
}

static int read_unit(const char *text, const struct unit *units, size_t count, uint64_t *ret_number)
{
	const char *end;
	uint64_t n;
	int err = read_digits(text, &end, &n);

	if (err < 0)
		return err;
	for (size_t i = 0; i < count; i++) {
		if (strcmp(end, units[i].name) != 0)
			continue;
		if (__builtin_mul_overflow(n, units[i].factor, &n))
			return -ERANGE;
		*ret_number = n;
		return 0;
	}
	return -EINVAL;
}

int value_duration(const char *text, uint64_t *ret_ms)
{
	return read_unit(text, duration_units, COUNT(duration_units), ret_ms);
}

int value_size(const char *text, uint64_t *ret_bytes)
{
	return read_unit(text, size_units, COUNT(size_units), ret_bytes);
}

static void format_unit(struct strbuf *b, const struct unit *units, size_t count, uint64_t n)
{
	const struct unit *best = &units[0];

	for (size_t i = 1; i < count && n; i++)
		if (n % units[i].factor == 0)
			best = &units[i];
	strbuf_printf(b, "%" PRIu64 "%s", n / best->factor, best->name);
}

void value_format_duration(struct strbuf *b, uint64_t ms)
{
	if (!ms)
		strbuf_add(b, "0s");
	else
		format_unit(b, duration_units, COUNT(duration_units), ms);
}

void value_format_size(struct strbuf *b, uint64_t bytes)
{
	format_unit(b, size_units, COUNT(size_units), bytes);
}

bool value_is_prime(uint64_t n)
{
	if (n < 2)
		return false;
	for (uint64_t d = 2; d * d <= n; d++)
		if (n % d == 0)
			return false;
	return true;
}
