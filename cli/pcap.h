/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading captures in the classic pcap format, as tcpdump writes them. */
#ifndef CLI_PCAP_H
#define CLI_PCAP_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* The first frames of a file (-: standard input), as texts of hexadecimal digits. ret_left: how many
 * there are besides. A file without Ethernet headers (raw IP) gets such. False: told what is wrong. */
bool pcap_read(const char *path, size_t most, json_t **ret_frames, size_t *ret_left);

#endif
