/* SPDX-License-Identifier: BSD-2-Clause */
/* Whole files of certificates and keys, in memory that is wiped. Any thread. */
#ifndef TLS_FILE_H
#define TLS_FILE_H

#include "tls/cert.h"

/* 0; or -errno with a sentence in text, of TLS_PROBLEM_MAX bytes. ret_is_open (may be NULL): may every
 * user of this host read it? */
int tls_file_read(const char *path, struct tls_blob *ret_file, bool *ret_is_open, char *text);

void tls_blob_free(struct tls_blob *b);

#endif
