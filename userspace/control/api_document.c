/* SPDX-License-Identifier: BSD-2-Clause */
/* The description of the API as bytes: see api_document.h. The Makefile knows that it depends on it. */
#include "control/api_document.h"

#include <stdlib.h>
#include <string.h>

__asm__(".pushsection .rodata\n"
	"api_document_begin:\n"
	".incbin \"docs/openapi.json\"\n"
	".byte 0\n"
	".popsection\n");

extern const char api_document_begin[] __attribute__((visibility("hidden")));

char *api_document(void)
{
	return strdup(api_document_begin);
}
