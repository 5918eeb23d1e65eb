/* SPDX-License-Identifier: BSD-2-Clause */
#include "loader/decap_judge.h"

#include <linux/rtnetlink.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *check_level_name(enum check_level level)
{
	static const char *const names[] = {
#define X(name, text) [CHECK_##name] = text,
		CHECK_LEVELS(X)
#undef X
	};

	return names[level];
}

const char *check_subject_name(enum check_subject subject)
{
	static const char *const names[] = {
#define X(name, text) [CHECK_ABOUT_##name] = text,
		CHECK_SUBJECTS(X)
#undef X
	};

	return names[subject];
}

char *judge_text(struct judge *j, const char *fmt, ...)
{
	char *made = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&made, fmt, ap) < 0) {
		made = NULL;
		j->out->out_of_memory = true;
	}
	va_end(ap);
	return made;
}

static void finding_deinit(struct finding *finding)
{
	free(finding->what);
	for (int i = 0; i < CHECK_FIXES; i++)
		free(finding->fix[i]);
}

static bool is_said(const struct findings *out, const struct finding *finding)
{
	for (size_t i = 0; i < out->count; i++)
		if (out->list[i].subject == finding->subject && out->list[i].what &&
		    finding->what && !strcmp(out->list[i].what, finding->what))
			return true;
	return false;
}

void judge_report(struct judge *j, struct finding finding)
{
	struct findings *out = j->out;
	struct finding *grown = NULL;

	if (!is_said(out, &finding)) {
		grown = reallocarray(out->list, out->count + 1, sizeof(*grown));
		if (!grown)
			out->out_of_memory = true;
	}
	if (!grown) {
		finding_deinit(&finding);
		return;
	}
	out->list = grown;
	out->list[out->count++] = finding;
}

void judge_report_ok(struct judge *j, enum check_subject subject, char *what)
{
	judge_report(j, (struct finding){.level = CHECK_OK, .subject = subject, .what = what});
}

struct addr_text show_addr(const struct addr *addr)
{
	struct addr_text shown = {};

	addr_format(addr, shown.s, sizeof(shown.s));
	return shown;
}

struct conf_text show_conf(const struct fact_iface *iface)
{
	struct conf_text name;

	memcpy(name.s, iface->name, sizeof(name.s));
	for (char *c = name.s; *c; c++)
		if (*c == '.')
			*c = '/';
	return name;
}

bool service_is_local(const struct fact_service *s)
{
	return !s->here.err && s->here.type == RTN_LOCAL;
}

const struct fact_iface *facts_iface_by_index(const struct host_facts *f, unsigned index)
{
	for (size_t i = 0; i < f->iface_count; i++)
		if (f->ifaces[i].index == index)
			return &f->ifaces[i];
	return NULL;
}

const struct fact_iface *facts_iface_by_name(const struct host_facts *f, const char *name)
{
	for (size_t i = 0; i < f->iface_count; i++)
		if (!strcmp(f->ifaces[i].name, name))
			return &f->ifaces[i];
	return NULL;
}

bool iface_is_tunnel(const struct fact_iface *iface)
{
	return !strcmp(iface->kind, "ipip") || !strcmp(iface->kind, "sit") ||
	       !strcmp(iface->kind, "ip6tnl");
}

void findings_deinit(struct findings *f)
{
	for (size_t i = 0; i < f->count; i++)
		finding_deinit(&f->list[i]);
	free(f->list);
	*f = (struct findings){};
}

enum check_level findings_worst(const struct findings *f)
{
	enum check_level worst = CHECK_OK;

	for (size_t i = 0; i < f->count; i++)
		if (f->list[i].level > worst)
			worst = f->list[i].level;
	return worst;
}
