/* SPDX-License-Identifier: BSD-2-Clause */
/* Of one service on a page: what tcp and tls services have alone, and PROXY headers. */
#ifndef CLI_SERVICE_RELAY_H
#define CLI_SERVICE_RELAY_H

#include <jansson.h>

void service_print_relay(const json_t *relay);
void service_print_proxy_in(const json_t *proxy_in); /* null: nothing to say */

#endif
