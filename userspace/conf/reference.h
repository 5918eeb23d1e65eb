/* SPDX-License-Identifier: BSD-2-Clause */
/* The part of shunt.yaml(5) that says which keys there are. Pure; any thread. */
#ifndef CONF_REFERENCE_H
#define CONF_REFERENCE_H

struct strbuf;

/* All keys of the schema as sections and lists of a manual page (roff). */
void reference_write(struct strbuf *b);

#endif
