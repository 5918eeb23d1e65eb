/* SPDX-License-Identifier: BSD-2-Clause */
/* A generation as a file: a head of comments, then the document. Any thread, but trees and diags. */
#ifndef CONTROL_HISTORY_FILE_H
#define CONTROL_HISTORY_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "conf/tree.h"
#include "tls/digest.h"

struct history_head {
	uint64_t generation;
	uint64_t time_ms; /* since 1970 */
	char origin[24];  /* as in struct reload_origin */
	long uid;
	char hash[DIGEST_TEXT_SIZE]; /* of the document's text; empty: not known yet */
	uint64_t changes, edits;
	uint64_t duration_us;
	char summary[256]; /* the first changes, for people */
};

/* Fill in what follows from the document. 0, or -ENOMEM. */
int history_head_finish(struct history_head *head, const char *text);

/* Whole or not at all, and on disk. 0, or -errno. */
int history_file_write(const char *dir, const struct history_head *head, const char *text);
void history_file_remove(const char *dir, uint64_t generation);

/* The heads of all files, by generation; the directory is made where it is not there. Files that are no
 * generation's, or not whole, are left alone. 0, or -errno. */
int history_file_list(const char *dir, struct history_head **ret_heads, size_t *ret_count);

/* NULL: see d; also where the document is not the one of the head's hash. */
struct tree *history_file_read(const char *dir, const struct history_head *head, struct diag *d);

#endif
