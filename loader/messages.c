/* SPDX-License-Identifier: BSD-2-Clause */
#include "loader/messages.h"

#include <bpf/libbpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xdp/libxdp.h>

#include "core/log.h"
#include "loader/loader.h"

/* The end of all warnings since messages_clear(), whole lines or the tail of a long one. Of each
 * thread: a rehearsal loads its program beside the main one. */
static _Thread_local char kept[8192];
static _Thread_local char kernel_text[256];

static void keep(const char *text, size_t len)
{
	size_t have = strlen(kept);

	if (len >= sizeof(kept)) {
		text += len - (sizeof(kept) - 1);
		len = sizeof(kept) - 1;
	}
	if (have + len >= sizeof(kept)) {
		size_t drop = have + len - (sizeof(kept) - 1);

		memmove(kept, kept + drop, have - drop);
		have -= drop;
	}
	memcpy(kept + have, text, len);
	kept[have + len] = '\0';
}

static void keep_kernel_text(const char *text)
{
	static const char mark[] = "Kernel error message: ";
	const char *found = strstr(text, mark);

	if (found == NULL)
		return;
	found += strlen(mark);
	snprintf(kernel_text, sizeof(kernel_text), "%.*s", (int)strcspn(found, "\n"), found);
}

static int take(bool warning, const char *fmt, va_list ap)
{
	char *text;
	int len = vasprintf(&text, fmt, ap);

	if (len < 0)
		return 0;
	if (warning) {
		keep(text, (size_t)len);
		keep_kernel_text(text);
	}
	if (log_get_level() >= LOG_LEVEL_DEBUG) {
		char *rest = text, *line;

		while ((line = strsep(&rest, "\n")) != NULL) {
			if (*line != '\0')
				log_debug("loader: %s", line);
		}
	}
	free(text);
	return len;
}

static int on_libbpf(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	return take(level == LIBBPF_WARN, fmt, ap);
}

static int on_libxdp(enum libxdp_print_level level, const char *fmt, va_list ap)
{
	return take(level == LIBXDP_WARN, fmt, ap);
}

void loader_init_logging(void)
{
	libbpf_set_print(on_libbpf);
	libxdp_set_print(on_libxdp);
}

void messages_clear(void)
{
	kept[0] = '\0';
	kernel_text[0] = '\0';
}

const char *messages_kernel_text(void)
{
	return kernel_text[0] != '\0' ? kernel_text : NULL;
}

void messages_to_diag(struct diag *d, const char *prefix, size_t lines)
{
	size_t len = strlen(kept), start = len;

	while (len > 0 && kept[len - 1] == '\n')
		len--;
	for (start = len; start > 0; start--) {
		if (kept[start - 1] == '\n' && --lines == 0)
			break;
	}
	while (start < len) {
		size_t end = start + strcspn(kept + start, "\n");

		if (end > len)
			end = len;
		if (end > start)
			diag_error(d, NULL, "%s: %.*s", prefix, (int)(end - start), kept + start);
		start = end + 1;
	}
}
