/* SPDX-License-Identifier: BSD-2-Clause */
/* How `shunt-decap status` and `check` look: for people, and as JSON. */
#ifndef LOADER_DECAP_PRINT_H
#define LOADER_DECAP_PRINT_H

#include <stdio.h>

#include "loader/decap_check.h"
#include "loader/decap_ctl.h"

void decap_print_text(const struct decap_state *states, size_t count, FILE *out);

/* 0, or -ENOMEM. */
int decap_print_json(const struct decap_state *states, size_t count, FILE *out);

/* One line a finding: "LEVEL  WHAT -- WHY -- COMMAND, or: COMMAND". */
void decap_print_findings(const struct findings *f, FILE *out);
int decap_print_findings_json(const struct findings *f, FILE *out);

#endif
