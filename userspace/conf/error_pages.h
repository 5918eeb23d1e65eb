/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pages in place of the words that the proxy answers errors with. Part of a snapshot: their files are
 * read when it is built. Immutable, read by any thread.
 */
#ifndef CONF_ERROR_PAGES_H
#define CONF_ERROR_PAGES_H

#include <stddef.h>
#include <stdint.h>

#include "core/slice.h"

#define ERROR_PAGE_MAX 65536U /* bytes */

struct error_page {
	const uint16_t *statuses;
	size_t status_count;
	const char *file, *type;
	struct slice body;
};

struct error_pages {
	const struct error_page *items; /* the first for a status is the one */
	size_t count;
};

/* NULL: there is none for it. */
const struct error_page *error_pages_find(const struct error_pages *pages, unsigned status);

#endif
