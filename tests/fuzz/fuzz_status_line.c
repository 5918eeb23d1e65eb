/* SPDX-License-Identifier: BSD-2-Clause */
/* The first line of a backend's answer to a check: whole and byte by byte read the same, and what is
 * shown of it is printable. */
#include <assert.h>
#include <ctype.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "health/status_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct status_line whole = {0}, pieces = {0};
	enum status_line_state a = status_line_feed(&whole, (const char *)data, len);
	enum status_line_state b = STATUS_LINE_MORE;

	for (size_t i = 0; i < len && b == STATUS_LINE_MORE; i++)
		b = status_line_feed(&pieces, (const char *)data + i, 1);
	assert(a == b);
	assert(memcmp(&whole, &pieces, sizeof(whole)) == 0);
	assert(whole.taken <= STATUS_LINE_MAX + 1);
	assert(strlen(whole.reason) < STATUS_REASON_MAX);
	for (const char *c = whole.reason; *c; c++)
		assert(isprint((unsigned char)*c));
	if (a == STATUS_LINE_DONE)
		assert(whole.code >= 100 && whole.code <= 999);
	return 0;
}
