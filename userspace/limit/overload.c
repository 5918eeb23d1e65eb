/* SPDX-License-Identifier: BSD-2-Clause */
/* Too much to do: see overload.h. */
#include "limit/overload.h"

/* The lag alone never turns all away: what is let through shows how long it takes. */
#define LAG_PRESSURE_MAX (PRIORITY_COUNT * OVERLOAD_STEP - 100)
#define GROWTH		 50U /* of pressure in an interval, for each time the limit is exceeded by */
#define GROWTH_MAX	 300U
#define FALL		 40U

static void set_pressure(struct overload *o, uint32_t memory_pressure)
{
	o->pressure = memory_pressure > o->lag_pressure ? memory_pressure : o->lag_pressure;
}

void overload_set_limits(struct overload *o, const struct overload_limits *limits, uint64_t now_ns)
{
	o->limits = *limits;
	o->interval_ns = now_ns;
	o->shortest_ns = UINT64_MAX;
	if (!limits->lag_ns)
		o->lag_pressure = 0;
	if (!limits->lag_ns && !limits->memory && !limits->connections)
		*o = (struct overload){0};
}

static void fall(struct overload *o, uint64_t intervals)
{
	uint64_t by = intervals * FALL;

	o->lag_pressure = by < o->lag_pressure ? o->lag_pressure - (uint32_t)by : 0;
}

/* Faster where there is far too much: a lag of ten times the limit is over in a second. */
static void grow(struct overload *o)
{
	uint64_t by = o->lag_ns * GROWTH / o->limits.lag_ns;

	if (by > GROWTH_MAX)
		by = GROWTH_MAX;
	o->lag_pressure += (uint32_t)by;
	if (o->lag_pressure > LAG_PRESSURE_MAX)
		o->lag_pressure = LAG_PRESSURE_MAX;
}

static void measure_lag(struct overload *o, uint64_t now, uint64_t busy)
{
	if (busy < o->shortest_ns)
		o->shortest_ns = busy;
	if (now - o->interval_ns < OVERLOAD_INTERVAL_NS)
		return;
	o->lag_ns = o->shortest_ns;
	if (o->lag_ns > o->limits.lag_ns)
		grow(o);
	else
		fall(o, 1);
	o->interval_ns = now;
	o->shortest_ns = UINT64_MAX;
}

/* From OVERLOAD_FROM to 100 percent it goes through all priorities. */
static uint32_t memory_pressure(const struct overload *o, uint64_t memory)
{
	uint64_t limit = o->limits.memory, from = limit / 100 * OVERLOAD_FROM;

	if (!limit || memory <= from)
		return 0;
	if (memory >= limit)
		return PRIORITY_COUNT * OVERLOAD_STEP;
	return (uint32_t)((memory - from) * PRIORITY_COUNT * OVERLOAD_STEP / (limit - from));
}

static bool is_over(uint64_t used, uint64_t limit, unsigned percent)
{
	return limit && used * 100 >= limit * percent;
}

void overload_turn(struct overload *o, uint64_t now_ns, uint64_t busy_ns, uint64_t memory,
		   uint64_t connections)
{
	if (o->limits.lag_ns)
		measure_lag(o, now_ns, busy_ns);
	overload_look(o, memory, connections);
}

void overload_look(struct overload *o, uint64_t memory, uint64_t connections)
{
	const struct overload_limits *l = &o->limits;

	set_pressure(o, memory_pressure(o, memory));
	o->is_crowded = is_over(memory, l->memory, OVERLOAD_FROM) ||
			is_over(connections, l->connections, OVERLOAD_CROWDED);
	o->is_full = is_over(memory, l->memory, OVERLOAD_FULL) ||
		     is_over(connections, l->connections, 100);
}

void overload_wake(struct overload *o, uint64_t now_ns)
{
	uint64_t past = (now_ns - o->interval_ns) / OVERLOAD_INTERVAL_NS;
	bool was_by_lag = o->pressure == o->lag_pressure;

	/* One that is just over is measured by the turn that ends it. */
	if (!o->limits.lag_ns || past < 2)
		return;
	fall(o, past - 1);
	if (was_by_lag)
		o->pressure = o->lag_pressure;
	o->lag_ns = 0;
	o->interval_ns = now_ns;
	o->shortest_ns = UINT64_MAX;
}
