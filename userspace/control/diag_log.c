/* SPDX-License-Identifier: BSD-2-Clause */
/* From a list for people to the log: see diag_log.h. */
#include "control/diag_log.h"

#include "core/log.h"

void diag_log(const struct diag *d)
{
	char text[1024];

	for (size_t i = 0; i < d->count; i++) {
		(void)diag_format(&d->items[i], text, sizeof(text)); /* cut where too long */
		log_write(d->items[i].level == DIAG_ERROR ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING,
			  "config: %s", text);
	}
}
