/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where shunt-decap keeps what must outlive it: one folder of the BPF file system for each
 * interface, PIN_PATH/NAME. NAME is the interface's, with ':' for '.' (which that file system
 * reserves), and followed by "@" and the network namespace's number in any but the first one, since
 * interfaces of two namespaces may share a name. Main thread.
 */
#ifndef LOADER_DECAP_PIN_H
#define LOADER_DECAP_PIN_H

#include <net/if.h>

#include "core/diag.h"

#define DECAP_PIN_PATH_DEFAULT "/sys/fs/bpf/shunt-decap"
#define DECAP_PATH_MAX	       512

#define DECAP_PIN_SERVICES "services"
#define DECAP_PIN_COUNTERS "counters"
#define DECAP_PIN_SETTINGS "settings"
#define DECAP_PIN_PROG	   "prog"
#define DECAP_PIN_LINK	   "link" /* XDP only */

struct decap_pins {
	char root[DECAP_PATH_MAX]; /* PIN_PATH */
	char dir[DECAP_PATH_MAX];
};

/* 0, or -EINVAL, -ENAMETOOLONG with d filled. Makes nothing. */
int decap_pins_init(struct decap_pins *pins, const char *pin_path, const char *ifname,
		    struct diag *d);

/* Make the folder, and mount the BPF file system at /sys/fs/bpf where that is missing. */
int decap_pins_create(const struct decap_pins *pins, struct diag *d);

/* Open a pinned object: a descriptor, or -errno. */
int decap_pins_get(const struct decap_pins *pins, const char *name);

/* Pin fd under name, in place of what is there, without a moment in between. 0, or -errno. */
int decap_pins_put(const struct decap_pins *pins, const char *name, int fd);

/* Remove all pins and the folder, and PIN_PATH if that leaves it empty. */
void decap_pins_remove(const struct decap_pins *pins);

/* Call cb with the name of each interface of this network namespace that has a folder, until it
 * returns other than 0; returns that, or -errno. No PIN_PATH: 0. */
int decap_pins_each(const char *pin_path, int (*cb)(const char *ifname, void *ctx), void *ctx);

#endif
