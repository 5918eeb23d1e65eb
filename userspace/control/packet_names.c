/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/packet_names.h"

#include <stddef.h>

#include "bpf/abi.h"

const char *packet_verdict_name(unsigned verdict)
{
	static const char *const names[] = {
#define X(name, text) text,
		SHUNT_VERDICTS(X)
#undef X
	};

	return verdict < SHUNT_VERDICT_COUNT ? names[verdict] : NULL;
}

const char *packet_drop_name(unsigned drop)
{
	static const char *const names[] = {
#define X(name, text) text,
		SHUNT_DROPS(X)
#undef X
	};

	return drop < SHUNT_DROP_COUNT ? names[drop] : NULL;
}
