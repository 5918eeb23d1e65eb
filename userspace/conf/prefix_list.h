/* SPDX-License-Identifier: BSD-2-Clause */
/* Keys whose value is a list of prefixes without host bits, or one. */
#ifndef CONF_PREFIX_LIST_H
#define CONF_PREFIX_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/read.h"
#include "conf/snapshot.h"
#include "core/strbuf.h"

/* Into memory of the reader's. What is no prefix is an error. False: the list is empty. */
bool prefix_list_read(struct reader *r, const struct keyword *k, const struct tree *value,
		      struct source_prefix **ret_list, size_t *ret_count);

void prefix_list_format(struct strbuf *b, const struct source_prefix *list, size_t count);

#endif
