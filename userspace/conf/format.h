/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A document in the form in which shuntd writes documents, with its comments. Keys keep their order,
 * values what they say. Comments on lines of their own stay before the value that they stand before,
 * those behind a value stay behind it; where values come to stand on one line, what was within them
 * comes to stand before it. One empty line is kept where there were any. Formatting what was formatted
 * changes nothing. Main thread.
 */
#ifndef CONF_FORMAT_H
#define CONF_FORMAT_H

#include <stddef.h>

#include "core/diag.h"

/* malloc'ed. NULL: see d, which calls the text name. */
char *format_document(const char *name, const char *text, size_t len, struct diag *d);

#endif
