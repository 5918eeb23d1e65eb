/* SPDX-License-Identifier: BSD-2-Clause */
#include "l4/nat.h"

#include <stdlib.h>
#include <string.h>

#include "l4/nat_share.h"
#include "loader/maps.h"

/* So long the main thread can be kept: some hundred thousand entries that stay. */
#define SWEEP_BUDGET_MS 20

void nat_deinit(struct nat *nat)
{
	if (nat == NULL)
		return;
	nat_sweep_deinit(&nat->sweep);
	free(nat->told);
}

/* What was refused before this process began, nobody asks about now. */
static void note_drops(struct nat *nat, struct loader *loader, const struct tables *t)
{
	nat->told = calloc(t->sizes.services + 1, sizeof(*nat->told));
	for (uint32_t i = 0; nat->told != NULL && i < t->sizes.services; i++) {
		struct shunt_svc_stats stats;

		if (t->services[i].meta.name[0] == '\0' ||
		    maps_service_stats(loader, i, &stats) < 0)
			continue;
		nat->told[i] = (struct nat_told){
			.full = stats.drop[SHUNT_DROP_NAT_FULL],
			.ports = stats.drop[SHUNT_DROP_NAT_PORTS],
			.clash = stats.drop[SHUNT_DROP_NAT_CLASH],
		};
	}
}

void nat_prepare(struct nat *nat, struct loader *loader, const struct tables *t,
		 const struct desired *want)
{
	bool wanted = false;

	for (size_t i = 0; i < want->backend_count; i++)
		wanted = wanted || want->backends[i].row.forward == SHUNT_FORWARD_NAT;
	if (!wanted)
		return;
	if (nat->told == NULL)
		note_drops(nat, loader, t);
	nat_share_divide(maps_nat_shares(loader), want, t->sizes.nat);
	maps_switches(loader)->nat = 1;
}

/* Those that were removed and still have flows count too. */
static bool is_needed(const struct tables *t)
{
	for (uint32_t i = 1; i < t->sizes.backends; i++) {
		if (t->backends[i].row.id != 0 && t->backends[i].row.forward == SHUNT_FORWARD_NAT)
			return true;
	}
	return false;
}

/* A row that another service got starts at zero. */
static uint64_t grown(uint64_t now, uint64_t *told)
{
	uint64_t before = *told;

	*told = now;
	return now > before ? now - before : 0;
}

static void tell(const char *service, struct nat_told *told, const struct shunt_svc_stats *stats,
		 struct diag *d)
{
	uint64_t full = grown(stats->drop[SHUNT_DROP_NAT_FULL], &told->full);
	uint64_t ports = grown(stats->drop[SHUNT_DROP_NAT_PORTS], &told->ports);
	uint64_t clash = grown(stats->drop[SHUNT_DROP_NAT_CLASH], &told->clash);

	if (ports > 0)
		diag_warning(d, NULL,
			     "service %s: %llu packets of new flows found no free source port "
			     "(nat-ports): give its pool more of source_nat or source_ports",
			     service, (unsigned long long)ports);
	if (full > 0)
		diag_warning(d, NULL,
			     "service %s: %llu packets of new flows found its share of the table "
			     "of NAT full (nat-full): raise node.limits.nat",
			     service, (unsigned long long)full);
	if (clash > 0)
		diag_warning(d, NULL,
			     "service %s: %llu packets of new flows look to their backend like "
			     "those of another service (nat-clash): source_nat tells them apart",
			     service, (unsigned long long)clash);
}

static void tell_all(struct nat *nat, struct loader *loader, const struct tables *t, struct diag *d)
{
	for (uint32_t i = 0; nat->told != NULL && i < t->sizes.services; i++) {
		struct shunt_svc_stats stats;

		if (t->services[i].meta.name[0] == '\0')
			nat->told[i] = (struct nat_told){0};
		else if (maps_service_stats(loader, i, &stats) == 0)
			tell(t->services[i].meta.name, &nat->told[i], &stats, d);
	}
}

void nat_tick(struct nat *nat, struct loader *loader, const struct tables *t, struct diag *d)
{
	int err;

	if (!maps_switches(loader)->nat)
		return;
	err = nat_sweep_run(&nat->sweep, loader, t, SWEEP_BUDGET_MS);
	if (err < 0)
		diag_warning(d, NULL, "cannot sweep the tables of NAT: %s", strerror(-err));
	tell_all(nat, loader, t, d);
	if (!is_needed(t)) {
		maps_switches(loader)->nat = 0;
		nat->sweep.known = false;
	}
}

bool nat_has_flows(const struct nat *nat, const struct tables *t, uint32_t index)
{
	const struct nat_use *use = &nat->sweep.use;

	if (t->backends[index].row.forward != SHUNT_FORWARD_NAT)
		return false;
	return !nat->sweep.known || (index < use->rows && use->live[index] > 0);
}
