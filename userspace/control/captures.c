/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/captures.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "core/clock.h"
#include "core/log.h"
#include "loader/maps.h"

#define TICK_MS 100

void captures_init(struct captures *c, uv_loop_t *loop)
{
	*c = (struct captures){0};
	(void)uv_timer_init(loop, &c->timer); /* cannot fail */
	c->timer.data = c;
	capture_init();
}

void captures_forget(struct captures *c)
{
	capture_close(c->capture);
	c->capture = NULL;
	c->of = NULL;
	c->id[0] = '\0';
	c->state = CAPTURES_NONE;
	(void)uv_timer_stop(&c->timer); /* always 0 */
}

void captures_deinit(struct captures *c)
{
	capture_close(c->capture);
	c->capture = NULL;
}

bool captures_is_busy(const struct captures *c)
{
	return c->state == CAPTURES_OPENING || c->state == CAPTURES_RUNNING;
}

void captures_end(struct captures *c, const char *why)
{
	struct capture_totals totals;

	if (c->state != CAPTURES_RUNNING)
		return;
	capture_stop(c->capture);
	capture_totals(c->capture, &totals);
	c->state = CAPTURES_ENDED;
	c->of = NULL;
	c->why = why;
	log_info("capture: ended why=\"%s\" packets=%llu lost=%llu", why,
		 (unsigned long long)totals.taken, (unsigned long long)totals.lost);
}

/* Rows are given to others. */
static bool has_service(const struct captures *c)
{
	struct shunt_svc_meta meta;

	return !c->service_row || (!maps_service_meta_get(c->of, c->service_row - 1, &meta) &&
				   !strcmp(meta.name, c->service));
}

static void on_tick(uv_timer_t *timer)
{
	struct captures *c = timer->data;
	uint64_t now = clock_now_ms();

	if (now >= c->lease_ms) {
		captures_end(c, "nobody reads it any more");
		captures_forget(c);
	} else if (c->state != CAPTURES_RUNNING) {
		return;
	} else if (capture_is_full(c->capture)) {
		captures_end(c, "it has as much as was asked for");
	} else if (now >= c->until_ms) {
		captures_end(c, "its time is over");
	} else if (!capture_is_current(c->capture, c->of)) {
		captures_end(c, "the steering program was replaced");
	} else if (!has_service(c)) {
		captures_end(c, "its service was removed");
	}
}

static int make_id(char id[CAPTURES_ID_LEN])
{
	uint64_t number;

	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		return errno != 0 ? -errno : -EIO;
	(void)snprintf(id, CAPTURES_ID_LEN, "%016llx", (unsigned long long)number);
	return 0;
}

int captures_begin(struct captures *c, struct capture *capture, struct loader *of, uint64_t for_ms)
{
	int err = make_id(c->id);

	if (err) {
		capture_close(capture);
		c->state = CAPTURES_NONE;
		return err;
	}
	c->capture = capture;
	c->of = of;
	c->state = CAPTURES_RUNNING;
	c->why = NULL;
	c->epoch_ns = clock_read_ns(CLOCK_REALTIME) - clock_now_ns();
	c->lease_ms = clock_now_ms() + CAPTURES_LEASE_MS;
	c->until_ms = clock_now_ms() + for_ms;
	(void)uv_timer_start(&c->timer, on_tick, TICK_MS, TICK_MS); /* fails when closing */
	log_info("capture: begun pid=%ld for_ms=%llu", c->pid, (unsigned long long)for_ms);
	return 0;
}

bool captures_find(struct captures *c, const char *id)
{
	if (!c->id[0] || strcmp(c->id, id) != 0)
		return false;
	c->lease_ms = clock_now_ms() + CAPTURES_LEASE_MS;
	return true;
}

int captures_read(struct captures *c, size_t packets, size_t bytes, capture_cb cb, void *ctx)
{
	bool ended = c->state == CAPTURES_ENDED;
	int count = capture_read(c->capture, packets, bytes, cb, ctx);

	if (ended && count <= 0)
		captures_forget(c);
	return count;
}
