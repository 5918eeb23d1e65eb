/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one way a configuration takes effect, whoever asks: file, signal or command. Check, make room
 * (listening sockets, table space), then commit: kernel maps, health, workers; the caller is told
 * when every worker serves the new generation. Requests queue up and run one after another. Main
 * thread.
 */
#ifndef CONTROL_RELOAD_H
#define CONTROL_RELOAD_H

#include <sys/types.h>
#include <uv.h>

#include "conf/build.h"
#include "conf/diff.h"
#include "core/diag.h"
#include "l4/l4.h"

struct reload;
struct runtime;
struct l4;
struct workers;
struct health;
struct steering;

struct reload_origin;
struct reload_result;

/* snap has taken effect. Main thread; borrowed, a reference is the record's to take. */
typedef void (*reload_note)(void *ctx, struct snapshot *snap, const struct reload_origin *origin,
			    const struct reload_result *result);

struct reload_parts {
	uv_loop_t *loop;
	struct runtime *runtime;
	struct l4 *l4; /* NULL: no interfaces, the proxy alone */
	struct workers *workers;
	struct health *health;
	struct steering *steering;
	uint64_t generation; /* the last one of an earlier process; 0: none */
	reload_note note;    /* NULL: nobody keeps a record */
	void *note_ctx;
};

int reload_new(const struct reload_parts *parts, struct reload **ret_reload);

/* Ends its timers and drops what is left, without a callback; done_cb (may be NULL) when the loop
 * holds nothing of it. The workers must have stopped. NULL is fine. */
void reload_close(struct reload *r, void (*done_cb)(void *ctx), void *ctx);

/* The snapshot in force; NULL before the first. Borrowed until the loop's next turn. */
struct snapshot *reload_current(const struct reload *r);

struct reload_result {
	int status;	     /* 0: in force; -EINVAL: refused; -ESTALE: origin's if_generation is
				not in force any more; other -errno: see diag */
	uint64_t generation; /* the one in force now */
	uint64_t duration_us;
	struct diag diag;	    /* errors and warnings; valid during the callback */
	struct change_list changes; /* of all edits that took effect with this one */
	size_t edits;		    /* how many those were; 0: a document */
	struct l4_report written;   /* into the kernel's tables */
};
typedef void (*reload_cb)(void *ctx, const struct reload_result *result);

/* Edits the document in force; as in conf/edit.h. */
typedef int (*reload_edit)(void *ctx, struct tree *document, struct diag *d);

/* Who asks, and on which terms. */
struct reload_origin {
	const char *what;	/* "start", "signal", "watch", "command", ...: literal */
	long uid;		/* of the peer of a command; -1: nobody */
	uint64_t if_generation; /* refused where another one is in force; 0: any */
	bool strict;		/* refused where there are warnings */
	bool alone;		/* its edit does more than edit: others must not fail with it */
};

/* Takes document. 0: cb (may be NULL) comes exactly once, never before this returns. -ENOMEM, -EBUSY
 * (too many wait): it never comes. */
int reload_document(struct reload *r, struct tree *document, const struct reload_origin *origin,
		    reload_cb cb, void *ctx);
/* The edit runs when its turn comes, on a copy of the document then in force. Edits that wait together,
 * on no terms, take effect together, as one generation; one that fails does not stop the others. */
int reload_edit_document(struct reload *r, reload_edit edit, const struct reload_origin *origin,
			 reload_cb cb, void *ctx);

/*
 * Another process is to have the kernel's tables: nothing runs any more, and what waits and still comes
 * stays in line; l4 is not looked at again, and may be closed. False: something is at work, ask again.
 * Then reload_resume() with l4 opened anew, which puts the tables in step, or reload_quiesce().
 */
bool reload_pause(struct reload *r);
void reload_resume(struct reload *r, struct l4 *l4);

/* The daemon stops: what waits and what still comes is refused. */
void reload_quiesce(struct reload *r);

/* The daemon ends at once and the workers have stopped: calls back for what is under way, which is in
 * force, and for what waits, which is refused. Nothing is taken any more. */
void reload_abort(struct reload *r);

/* Health changed: bring the kernel's maps in step. */
void reload_health_changed(struct reload *r);

/* Build and check only, against what runs now; changes are filled when it is good. 0, -EINVAL, or
 * -ENOMEM, with d filled. */
int reload_check(struct reload *r, const struct tree *document, struct diag *d,
		 struct change_list *ret_changes);

/* Did the kernel's tables not take what is in force? It is tried again. */
bool reload_is_behind(const struct reload *r);

/* Removed backends whose flows still run: what l4_tick() said last. */
unsigned reload_lingering(const struct reload *r);

/* Changes in force in the configuration that need a restart to take effect, since the start. */
const struct change_list *reload_restart_changes(const struct reload *r);

#endif
