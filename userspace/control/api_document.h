/* SPDX-License-Identifier: BSD-2-Clause */
/* docs/openapi.json, which is a part of the program. Any thread. */
#ifndef CONTROL_API_DOCUMENT_H
#define CONTROL_API_DOCUMENT_H

/* A copy, to be freed. NULL: out of memory. */
char *api_document(void);

#endif
