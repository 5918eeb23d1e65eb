/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/takeover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/build.h"
#include "control/handover_wire.h"
#include "core/log.h"

#define SOCKETS_MAX 1048576 /* no daemon has more descriptors */

void takeover_begin(struct takeover *t)
{
	const char *text = getenv(TAKEOVER_VARIABLE);
	int fd = text ? (int)strtol(text, NULL, 10) : -1;

	unsetenv(TAKEOVER_VARIABLE);
	if (fd > STDERR_FILENO && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0)
		t->sock = fd;
}

static int receive(struct takeover *t, const char *what, struct handover_message *m, struct diag *d)
{
	int err = handover_receive(t->sock, m);

	if (!err && strcmp(m->text, what) != 0)
		err = -EPROTO;
	if (err)
		diag_error(d, NULL, "the daemon whose place is to be taken does not go on: %s",
			   strerror(-err));
	return err;
}

static int receive_state(struct takeover *t, const char *what, size_t *ret_count, struct diag *d)
{
	struct handover_message m;
	int err = receive(t, what, &m, d);

	if (err)
		return err;
	if (m.count != 1) {
		diag_error(d, NULL, "nothing was handed over");
		return -EPROTO;
	}
	return handover_read(m.fds[0], &t->from, ret_count, d);
}

static int check(struct takeover *t, struct runtime *rt, struct diag *d)
{
	struct snapshot *snap;
	size_t count;
	int err = receive_state(t, HANDOVER_CHECK, &count, d);

	if (err)
		return err;
	snap = conf_build(t->from.document, rt, d);
	handover_deinit(&t->from);
	if (!snap)
		return -EINVAL;
	snapshot_unref(snap);
	return handover_send(t->sock, HANDOVER_CHECKED, NULL, 0);
}

static int receive_sockets(struct takeover *t, size_t count, struct diag *d)
{
	int *fds = count < SOCKETS_MAX ? calloc(count, sizeof(*fds)) : NULL;
	struct handover_message m;
	size_t have = 0;
	int err = fds ? 0 : -ENOMEM;

	while (!err && have < count) {
		err = receive(t, HANDOVER_SOCKETS, &m, d);
		if (!err && (!m.count || m.count > count - have))
			err = -EPROTO;
		if (err)
			break;
		memcpy(fds + have, m.fds, m.count * sizeof(*fds));
		have += m.count;
	}
	if (!err)
		err = handover_give_sockets(&t->from, fds, count);
	free(fds);
	return err;
}

int takeover_receive(struct takeover *t, struct runtime *rt, struct diag *d)
{
	size_t count = 0;
	int err = check(t, rt, d);

	if (!err) { /* what the document is warned of is said when it takes effect */
		diag_deinit(d);
		diag_init(d);
		err = receive_state(t, HANDOVER_STATE, &count, d);
	}
	if (!err)
		err = receive_sockets(t, count, d);
	if (!err)
		log_info("main: takes the place of another daemon pid=%ld version=%s "
			 "generation=%llu sockets=%zu",
			 t->from.pid, t->from.version, (unsigned long long)t->from.generation,
			 count);
	return err;
}

static void finish(struct takeover *t)
{
	close(t->sock);
	t->sock = -1;
	t->is_over = true;
}

void takeover_ready(struct takeover *t)
{
	int err;

	if (t->sock < 0)
		return;
	err = handover_send(t->sock, HANDOVER_READY, NULL, 0);
	if (err)
		log_warning("main: the daemon whose place was taken is gone error=\"%s\"",
			    strerror(-err));
	finish(t);
}

void takeover_failed(struct takeover *t, const struct diag *d, int err)
{
	char text[HANDOVER_TEXT_MAX];
	const char *why = strerror(-err);

	if (t->sock < 0)
		return;
	for (size_t i = d->count; i > 0; i--)
		if (d->items[i - 1].level == DIAG_ERROR)
			why = d->items[i - 1].text; /* the first of them */
	(void)snprintf(text, sizeof(text), HANDOVER_FAILED "%s", why);
	(void)handover_send(t->sock, text, NULL, 0); /* it sees that this process ends */
	finish(t);
}

void takeover_end(struct takeover *t)
{
	if (t->sock >= 0)
		finish(t);
	handover_deinit(&t->from);
}
