/* SPDX-License-Identifier: BSD-2-Clause */
/* A backend that takes the connection is up. */
#include "health/probe.h"

static void on_connected(struct probe *p)
{
	probe_succeed(p, "connected in %.1f ms", probe_elapsed_ms(p));
}

const struct probe_kind probe_kind_tcp = {.on_connected = on_connected, .reset = true};
