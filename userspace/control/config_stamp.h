/* SPDX-License-Identifier: BSD-2-Clause */
/* Has the configuration file, or a file of the directory, been written since? Main thread. */
#ifndef CONTROL_CONFIG_STAMP_H
#define CONTROL_CONFIG_STAMP_H

#include <stdint.h>

/* A number that is another one when a file was written, came or went. 0, or -errno. */
int config_stamp(const char *path, uint64_t *ret_stamp);

#endif
