/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers with and without units as a configuration writes them. Pure; any thread. */
#ifndef CONF_VALUE_H
#define CONF_VALUE_H

#include <stdbool.h>
#include <stdint.h>

struct strbuf;

/* Decimal digits and nothing else. 0, -EINVAL, or -ERANGE over 64 bits. */
int value_number(const char *text, uint64_t *ret_number);

/* "250ms", "5s", "2m", "1h", in milliseconds. As above. */
int value_duration(const char *text, uint64_t *ret_ms);

/* "512", "8KiB", "1MiB", "2GiB", in bytes. As above. */
int value_size(const char *text, uint64_t *ret_bytes);

/* In the largest unit that leaves no fraction. */
void value_format_duration(struct strbuf *b, uint64_t ms);
void value_format_size(struct strbuf *b, uint64_t bytes);

bool value_is_prime(uint64_t n);

#endif
