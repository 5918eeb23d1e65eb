/* SPDX-License-Identifier: BSD-2-Clause */
/* How the slots of a ring follow from those of the ring before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "l4/slots.h"

#define SLOTS 4
#define NOW   1000U
#define THEN  700U /* when what moved began to */
#define LAST  800U /* and something last went to `old` */

enum { NOBODY, A, B, C, BACKENDS };

struct fixture {
	struct tables t;
	uint32_t ids[BACKENDS];
	struct shunt_slot was[SLOTS], is[SLOTS];
	struct shunt_stamp was_stamps[SLOTS], stamps[SLOTS];
	struct slots from, to;
	struct plan_ring ring;
	uint32_t owner[SLOTS];
};

/* Members of the ring are the backends, each by its own number. */
static int setup(void **state)
{
	static const struct loader_sizes sizes = {
		.services = 1, .backends = BACKENDS, .ring_slots = 64};
	static struct fixture f;

	f = (struct fixture){0};
	assert_int_equal(tables_init(&f.t, &sizes), 0);
	for (uint32_t i = 1; i < BACKENDS; i++) {
		f.ids[i] = 1U << SHUNT_ID_INDEX_BITS | i;
		f.t.backends[i].row.id = f.ids[i];
		f.t.backends[i].row.state = SHUNT_BACKEND_UP;
	}
	for (int i = 0; i < SLOTS; i++)
		f.was_stamps[i] = (struct shunt_stamp){THEN, LAST};
	f.from = (struct slots){f.was, f.was_stamps};
	f.to = (struct slots){f.is, f.stamps};
	f.ring = (struct plan_ring){.size = 1, .ids = f.ids, .count = BACKENDS};
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	tables_deinit(&f->t);
	return 0;
}

/* What becomes of one slot. */
struct step {
	uint32_t backend, old; /* as it is */
	uint32_t next;	       /* the new ring's */
	uint32_t ret_old;
	bool fresh; /* begins to move now */
};

static void check_step(struct fixture *f, const struct step *s)
{
	uint32_t moving;

	f->was[0] = (struct shunt_slot){f->ids[s->backend], f->ids[s->old]};
	f->owner[0] = s->next;
	moving = slots_write(&f->to, &f->from, &f->ring, f->owner, &f->t, NOW);
	assert_int_equal(moving, s->ret_old != NOBODY);
	assert_int_equal(f->is[0].backend, f->ids[s->next]);
	assert_int_equal(f->is[0].old, f->ids[s->ret_old]);
	if (moving == 0)
		return;
	assert_int_equal(f->stamps[0].since_ticks, s->fresh ? NOW : THEN);
	assert_int_equal(f->stamps[0].old_ticks, s->fresh ? NOW : LAST);
}

static void set_state(struct fixture *f, uint32_t backend, uint8_t be_state)
{
	f->t.backends[backend].row.state = be_state;
}

static void test_settled(void **state)
{
	static const struct step same = {A, NOBODY, A, NOBODY, false};
	static const struct step moves = {A, NOBODY, B, A, true};
	static const struct step dies = {A, NOBODY, B, NOBODY, false};
	struct fixture *f = *state;

	check_step(f, &same);
	check_step(f, &moves);
	set_state(f, A, SHUNT_BACKEND_DRAINING);
	check_step(f, &moves);
	set_state(f, A, SHUNT_BACKEND_DOWN);
	check_step(f, &dies);
	f->t.backends[A].row = (struct shunt_backend){.id = 2U << SHUNT_ID_INDEX_BITS | A};
	check_step(f, &dies);
}

static void test_moving(void **state)
{
	static const struct step on = {B, A, C, A, false};
	static const struct step back = {B, A, A, A, false};
	static const struct step old_dies = {B, A, B, B, false};
	static const struct step both_die = {B, A, C, C, false};
	struct fixture *f = *state;

	check_step(f, &on);
	check_step(f, &back);
	set_state(f, A, SHUNT_BACKEND_DOWN);
	check_step(f, &old_dies);
	set_state(f, B, SHUNT_BACKEND_DOWN);
	check_step(f, &both_die);
	/* The present one alone: who has flows by default is not touched. */
	set_state(f, A, SHUNT_BACKEND_UP);
	check_step(f, &on);
}

/* Nobody can take new flows: those that are there stay, and are found again when there is one. */
static void test_without_members(void **state)
{
	static const struct step emptied = {A, NOBODY, NOBODY, A, true};
	static const struct step stays = {NOBODY, A, NOBODY, A, false};
	static const struct step back = {NOBODY, A, B, A, false};
	static const struct step nothing = {NOBODY, NOBODY, B, NOBODY, false};
	struct fixture *f = *state;

	set_state(f, A, SHUNT_BACKEND_DRAINING);
	f->ring.count = 0;
	check_step(f, &emptied);
	check_step(f, &stays);
	f->ring.count = BACKENDS;
	check_step(f, &back);
	check_step(f, &nothing);
}

static void test_first_ring_is_settled(void **state)
{
	struct fixture *f = *state;

	f->from = (struct slots){NULL, NULL};
	f->ring.size = SLOTS;
	f->owner[0] = A;
	assert_int_equal(slots_write(&f->to, &f->from, &f->ring, f->owner, &f->t, NOW), 0);
}

static void test_rules(void **state)
{
	static const struct step forgotten = {B, A, C, B, true};
	static const struct step settled = {B, A, C, NOBODY, false};
	struct fixture *f = *state;

	f->ring.forget = true;
	check_step(f, &forgotten);
	f->ring.rule = SLOTS_SETTLE;
	check_step(f, &settled);
}

/* Every flow has an entry, of whatever age, and slots that keep their backend move too. */
static void test_all_move(void **state)
{
	struct fixture *f = *state;

	f->ring = (struct plan_ring){
		.size = 3, .ids = f->ids, .count = BACKENDS, .rule = SLOTS_MOVE_ALL};
	f->was[0] = (struct shunt_slot){f->ids[A], 0};
	f->was[1] = (struct shunt_slot){f->ids[A], 0};
	f->was[2] = (struct shunt_slot){f->ids[B], f->ids[A]};
	f->owner[0] = A;
	f->owner[1] = B;
	f->owner[2] = C;
	assert_int_equal(slots_write(&f->to, &f->from, &f->ring, f->owner, &f->t, NOW), 3);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(f->is[i].old, f->ids[A]);
		assert_int_equal(f->stamps[i].since_ticks, 0);
	}
	assert_int_equal(f->stamps[0].old_ticks, NOW);
	assert_int_equal(f->stamps[2].old_ticks, LAST);
}

/* The clock's first tick is a moment too. */
static void test_tick_zero(void **state)
{
	struct fixture *f = *state;

	f->was[0] = (struct shunt_slot){f->ids[A], 0};
	f->owner[0] = B;
	assert_int_equal(slots_write(&f->to, &f->from, &f->ring, f->owner, &f->t, 0), 1);
	assert_int_not_equal(f->stamps[0].since_ticks, 0);
}

static void test_late_stamps_are_merged(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < SLOTS; i++) {
		f->was[i] = f->is[i] = (struct shunt_slot){f->ids[B], f->ids[A]};
		f->stamps[i] = (struct shunt_stamp){THEN, LAST};
	}
	f->was_stamps[0].old_ticks = LAST + 1; /* late */
	f->was_stamps[1].old_ticks = LAST - 1;
	f->was_stamps[2].old_ticks = f->was_stamps[3].old_ticks = LAST + 5;
	f->was[2].old = 0; /* what stands there means nothing */
	f->is[3].old = 0;
	slots_merge_stamps(&f->to, &f->from, SLOTS);
	assert_int_equal(f->stamps[0].old_ticks, LAST + 1);
	assert_int_equal(f->stamps[0].since_ticks, THEN);
	assert_int_equal(f->stamps[1].old_ticks, LAST);
	assert_int_equal(f->stamps[2].old_ticks, LAST);
	assert_int_equal(f->stamps[3].old_ticks, LAST);
	/* Around the end of the numbers. */
	f->stamps[0].old_ticks = UINT32_MAX - 3;
	f->was_stamps[0].old_ticks = 3;
	slots_merge_stamps(&f->to, &f->from, 1);
	assert_int_equal(f->stamps[0].old_ticks, 3);
}

static void test_settle(void **state)
{
	struct fixture *f = *state;

	f->is[0] = (struct shunt_slot){f->ids[B], f->ids[A]};
	slot_settle(&f->is[0]);
	assert_int_equal(f->is[0].backend, f->ids[B]);
	assert_int_equal(f->is[0].old, 0);
}

static void test_ages(void **state)
{
	uint32_t minute = SHUNT_TICKS(60000000000ULL);

	(void)state;
	assert_in_range(ticks_age_ms(5, 5 + minute), 59900, 60100);
	assert_true(ticks_age_ms(5 + minute, 5) < -59000);
	assert_in_range(ticks_age_ms(UINT32_MAX, minute - 1), 59900, 60100);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_settled),	 T(test_moving),
		T(test_without_members), T(test_first_ring_is_settled),
		T(test_rules),		 T(test_all_move),
		T(test_tick_zero),	 T(test_late_stamps_are_merged),
		T(test_settle),		 T(test_ages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
