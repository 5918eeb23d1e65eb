/* SPDX-License-Identifier: BSD-2-Clause */
/* The interfaces that packets may leave by: see loader/maps.h. Main thread. */
#ifndef LOADER_MAPS_DEVICES_H
#define LOADER_MAPS_DEVICES_H

#include <stddef.h>
#include <stdint.h>

#include "loader/loader.h"

/*
 * Make these the interfaces that packets may leave by, each given by its index in the network
 * namespace of the caller. One that is wanted and there already is not touched. 0, or the first
 * -errno: -E2BIG where there are more than SHUNT_MAX_DEVICES, -EINVAL where one is gone.
 */
int maps_devices_write(struct loader *l, const uint32_t *indices, size_t count);

#endif
