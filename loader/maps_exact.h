/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The copy of sh_services that packets look at first (sh_exact, sh_exact_rows; see bpf/abi.h), kept by
 * maps_service_set() and maps_service_delete(). For loader/ alone. Main thread.
 */
#ifndef LOADER_MAPS_EXACT_H
#define LOADER_MAPS_EXACT_H

#include "bpf/abi.h"

struct loader;

/* Bring it in step with sh_services, whatever a former process left. 0, or -errno. */
int exact_open(struct loader *l);

/*
 * After a record was written, before it is deleted. Rows of former records are written again: between
 * a removal or a replacement and the next set, packets must have been waited for, as for sh_services.
 * A key that has no room is found in sh_services alone.
 */
void exact_set(struct loader *l, const struct shunt_vip_key *key, const struct shunt_service *svc);
void exact_remove(struct loader *l, const struct shunt_vip_key *key);

#endif
