/* SPDX-License-Identifier: BSD-2-Clause */
/* Which pool a TLS connection is for, by what its ClientHello asks for. Pure. */
#ifndef L7_SNI_ROUTE_H
#define L7_SNI_ROUTE_H

#include "conf/snapshot.h"
#include "l7/client_hello.h"

/* That of the best route, else of the service. NULL: there is none. */
const struct pool *sni_route_pool(const struct service *s, const struct client_hello *hello);

#endif
