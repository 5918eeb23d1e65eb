/* SPDX-License-Identifier: BSD-2-Clause */
/* What guards need of the rest of a configuration: see draft.h. */
#include "conf/draft.h"

static const struct tree *guard_node(const struct draft *dr, size_t service)
{
	return tree_get(dr->services[service].node, "guard");
}

static void check_service(struct draft *dr, size_t i)
{
	const struct service *s = &dr->snap->services[i];

	if (s->guard.syn_cookies == SYN_COOKIES_OFF || !draft_knows_mode(dr, s) ||
	    service_is_proxied(s))
		return;
	diag_error(dr->reader.diag, draft_key_pos(guard_node(dr, i), "syn_cookies"),
		   "service %s: guard.syn_cookies: only proxied services can have them, the "
		   "backends of l4 services answer by themselves",
		   s->name);
}

void draft_check_guard(struct draft *dr)
{
	const struct snapshot *snap = dr->snap;
	const struct tree *used = snap->guard.count ? tree_get(dr->root, "guard") : NULL;

	for (size_t i = 0; i < snap->service_count; i++) {
		check_service(dr, i);
		if (!used && !tree_is_null(guard_node(dr, i)))
			used = guard_node(dr, i);
	}
	if (used && !snap->node.interface_count)
		diag_warning(
			dr->reader.diag, &used->key_pos,
			"guard has no effect without node.interfaces: nothing looks at packets");
}
