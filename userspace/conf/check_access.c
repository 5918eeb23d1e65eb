/* SPDX-License-Identifier: BSD-2-Clause */
/* Access logs: what a line is made of, and where it goes. See draft.h. */
#include <string.h>

#include "conf/access_plan.h"
#include "conf/draft.h"
#include "log/sink.h"

static enum sink_kind kind_of(const char *target)
{
	if (!strcmp(target, "stdout"))
		return SINK_STDOUT;
	if (!strcmp(target, "syslog"))
		return SINK_SYSLOG;
	return !strcmp(target, "journald") ? SINK_JOURNAL : SINK_FILE;
}

static void check_one(struct draft *dr, const struct tree *node, struct service *s)
{
	struct access_conf *a = &s->access;
	struct arena *arena = snapshot_arena(dr->snap);
	const char *problem = NULL;

	a->plan = !strcmp(a->format, "json") ? access_plan_json(arena, a->headers, a->header_count)
					     : access_plan_template(arena, a->format, &problem);
	if (problem) {
		diag_error(dr->reader.diag, draft_key_pos(node, "format"),
			   "service %s: access_log.format: %s", s->name, problem);
		return;
	}
	a->sink = log_sink_new(kind_of(a->target), a->target);
	dr->reader.out_of_memory |= !a->plan || !a->sink;
}

void draft_check_access(struct draft *dr)
{
	for (size_t i = 0; i < dr->snap->service_count; i++) {
		struct service *s = &dr->snap->services[i];

		if (s->mode == SERVICE_HTTP && s->access.target)
			check_one(dr, tree_get(dr->services[i].node, "access_log"), s);
	}
}
