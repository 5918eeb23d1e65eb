/* SPDX-License-Identifier: BSD-2-Clause */
/* SHA-256 of bytes in memory. Any thread. */
#ifndef TLS_DIGEST_H
#define TLS_DIGEST_H

#include <stddef.h>

#define DIGEST_TEXT_SIZE 65 /* hexadecimal, with a zero behind it */

/* 0, or -ENOMEM. */
int digest_text(const void *bytes, size_t len, char ret_text[DIGEST_TEXT_SIZE]);

#endif
