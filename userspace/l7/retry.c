/* SPDX-License-Identifier: BSD-2-Clause */
#include "l7/retry.h"

unsigned retry_on_status(const struct retry_conf *conf, unsigned status)
{
	unsigned on = 0;

	if (status >= 500 && status <= 599)
		on |= RETRY_5XX;
	if (status >= 502 && status <= 504)
		on |= RETRY_GATEWAY;
	for (unsigned i = 0; i < conf->status_count; i++)
		on |= conf->statuses[i] == status ? RETRY_STATUS : 0;
	return on;
}

bool retry_is_affordable(const struct retry_conf *conf, const struct retry_account *account)
{
	uint64_t share = (uint64_t)account->requests * conf->budget_percent / 100;

	return account->retries < (share > conf->budget_min ? share : conf->budget_min);
}

unsigned retry_backoff_ms(const struct retry_conf *conf, unsigned attempt, uint64_t random)
{
	uint64_t most = conf->base_ms;

	if (attempt <= 2)
		return 0;
	for (unsigned i = 3; i < attempt && most < conf->max_ms; i++)
		most *= 2;
	if (most > conf->max_ms)
		most = conf->max_ms;
	return (unsigned)(random % (most + 1));
}
