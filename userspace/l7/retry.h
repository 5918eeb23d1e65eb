/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When a request that failed is sent once more, to another backend if there is one. Never if a part of
 * its body is gone, nor if the backend may have acted on it and doing so twice is not as good as once
 * (RFC 9110, 9.2.2), unless the service says so. A budget keeps retries from making an outage worse: no
 * more than a share of what a worker has under way. Pure, but for the accounts of the worker; one thread.
 */
#ifndef L7_RETRY_H
#define L7_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/snapshot.h"

/* What a worker has under way, in its struct l7. */
struct retry_account {
	uint32_t requests;
	uint32_t retries; /* of them, those that were sent more than once */
};

/* Which of enum retry_on an answer is; 0: none that any service asks for. */
unsigned retry_on_status(const struct retry_conf *conf, unsigned status);

/* May one more be a retry? */
bool retry_is_affordable(const struct retry_conf *conf, const struct retry_account *account);

/* How long to wait before try number `attempt` (the first retry is 2, and does not wait): a random time, of
 * twice as much at most each time, in milliseconds. random: any 64 bits. */
unsigned retry_backoff_ms(const struct retry_conf *conf, unsigned attempt, uint64_t random);

#endif
