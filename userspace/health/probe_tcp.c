/* SPDX-License-Identifier: BSD-2-Clause */
/* A backend that takes the connection is up; where TLS is spoken, one that ends the handshake. */
#include "health/probe.h"

static void on_open(struct probe *p)
{
	probe_succeed(p, p->tls ? "TLS handshake in %.1f ms" : "connected in %.1f ms",
		      probe_elapsed_ms(p));
}

const struct probe_kind probe_kind_tcp = {.on_open = on_open, .reset = true};
