/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a document to a snapshot: the keyword table reads every key, the checks look at what belongs
 * together; all errors are reported, not the first. Main thread.
 */
#ifndef CONF_BUILD_H
#define CONF_BUILD_H

#include "conf/snapshot.h"
#include "conf/tree.h"

struct runtime;

/* The document is copied; the caller keeps its own. rt: where state of backends and services is
 * found by identity (a reference is taken for each one named). NULL where d has an error. */
struct snapshot *conf_build(const struct tree *document, struct runtime *rt, struct diag *d);
/* The same, but the document becomes the snapshot's: *document is NULL then. */
struct snapshot *conf_build_taking(struct tree **document, struct runtime *rt, struct diag *d);

#endif
