/* SPDX-License-Identifier: BSD-2-Clause */
#include "worker/legacy.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct legacy_group *legacy_find(const struct legacy *l, const char *name)
{
	for (size_t i = 0; i < l->count; i++)
		if (!strcmp(l->groups[i].name, name))
			return &l->groups[i];
	return NULL;
}

int legacy_take(struct legacy_group *g, size_t number)
{
	int fd = number < g->count ? g->fds[number] : -1;

	if (fd >= 0)
		g->fds[number] = -1;
	return fd;
}

void legacy_deinit(struct legacy *l)
{
	for (size_t i = 0; i < l->count; i++) {
		for (size_t k = 0; k < l->groups[i].count; k++)
			if (l->groups[i].fds[k] >= 0)
				close(l->groups[i].fds[k]);
		free(l->groups[i].fds);
	}
	free(l->groups);
	explicit_bzero(l, sizeof(*l));
}
