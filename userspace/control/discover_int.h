/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of discovery (discover.c, discover_dns.c, discover_file.c, discover_state.c) share. */
#ifndef CONTROL_DISCOVER_INT_H
#define CONTROL_DISCOVER_INT_H

#include <uv.h>

#include "conf/found.h"
#include "control/discover.h"

struct dns_lookup;

/* What is counted of a source: X(name). */
#define DISCOVER_COUNTERS(X)                                                                       \
	X(lookups)  /* answers asked for, files read */                                            \
	X(failures) /* of them, those that were no good answer or list */                          \
	X(empty)    /* that named nobody, and were not taken */                                    \
	X(unusable) /* addresses that no host can have, left out */                                \
	X(refused)  /* sets that made no good configuration */                                     \
	X(changes)  /* that took effect */

#define DISCOVER_ERROR_MAX 256

/* Where the backends of one pool come from. */
struct source {
	struct discover *owner;
	char *pool;
	struct discover_conf conf; /* the source's own copy, without overrides */
	uv_timer_t timer;	   /* until it is looked at again */
	uv_fs_event_t event;	   /* files */
	unsigned handles;	   /* not closed yet */
	bool closing;
	struct dns_lookup *lookup; /* under way */
	struct {
		uint64_t stamp, inode; /* of what was read last */
		uint64_t unsettled_ms; /* since when it is seen to be written; 0: it is not */
		bool soon;	       /* the timer is set for a change */
		int error;	       /* of the last stat() */
	} file;
	struct found_set *candidate;	  /* to be put in force; NULL: nothing */
	bool apart;			  /* by itself, as it was refused with others */
	struct found_set *refused_set;	  /* the last that was, ... */
	uint64_t refused_at;		  /* ... beside this generation */
	char refusal[DISCOVER_ERROR_MAX]; /* why */
	bool dirty;			  /* what is in force is not on disk yet */
	unsigned failed_in_a_row;
	uint64_t asked_ms, good_ms, changed_ms, next_ms; /* clock_now_ms(); 0: never */
	uint64_t ttl_ms;		/* dns: of the last answer, within the bounds */
	char error[DISCOVER_ERROR_MAX]; /* of the last time; empty: it was good */
#define X(name) uint64_t name;
	DISCOVER_COUNTERS(X)
#undef X
};

struct discover {
	uv_loop_t *loop;
	struct reload *reload;
	struct runtime *runtime;
	char *dir;		 /* of sets that are kept; NULL: none are */
	struct source **sources; /* sorted by pool */
	size_t count;
	uv_timer_t gather; /* until what has changed is put in force */
	uv_timer_t write;  /* until it is written to disk */
	bool started;
	bool busy;	   /* a change is under way */
	bool writing;	   /* the same, of files */
	bool closing;	   /* no changes any more */
	unsigned handles;  /* timers and sources that are not gone yet */
	uint64_t ended_ms; /* clock_now_ms() of the last change's end ... */
	uint64_t took_ms;  /* ... and how long it took */
	uint64_t submitted_ms;
};

/* A set was found, good and whole: it is put in force if it is another one. Takes set. */
void source_offer(struct source *s, struct found_set *set);

/* It was not: why, for people. */
void source_fail(struct source *s, const char *why);

/* What is in force for it; NULL: nothing. */
const struct found_set *source_current(const struct source *s);

/* discover_dns.c, discover_file.c: begin, and end without a callback. */
void source_start_dns(struct source *s);
void source_stop_dns(struct source *s);
void source_start_file(struct source *s);
void source_stop_file(struct source *s);

/* A handle of the source was closed. */
void source_on_closed(uv_handle_t *handle);

/* discover_state.c: what is kept is read into the table; a set has changed; a source is gone; before the
 * end. */
void discover_restore(struct discover *d);
void discover_keep(struct discover *d);
void discover_drop_file(const struct discover *d, const char *pool);
void discover_keep_now(struct discover *d);

/* Frees it when nothing of it is left. */
void discover_unref(struct discover *d);

#endif
