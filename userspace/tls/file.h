/* SPDX-License-Identifier: BSD-2-Clause */
/* Whole files of certificates and keys, in memory that is wiped. Any thread. */
#ifndef TLS_FILE_H
#define TLS_FILE_H

#include "tls/cert.h"

/* 0; or -errno with a sentence in text, of TLS_PROBLEM_MAX bytes. */
int tls_file_read(const char *path, struct tls_blob *ret_file, char *text);

void tls_blob_free(struct tls_blob *b);

#endif
