/* SPDX-License-Identifier: BSD-2-Clause */
/* Does this host take in packets for an address? Asks the kernel's routes; any thread. */
#ifndef L4_LOCAL_ADDR_H
#define L4_LOCAL_ADDR_H

#include <stdbool.h>

#include "conf/snapshot.h"

/* For the first and the last address of what the service listens on there. True also where the kernel
 * does not say. */
bool local_addr_has(const struct listen *l);

#endif
