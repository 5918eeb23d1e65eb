/* SPDX-License-Identifier: BSD-2-Clause */
/* Of the doctor: clock and limits of this process. */
#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/timex.h>
#include <sys/utsname.h>

#include "control/doctor.h"

/* Fewer are soon used up by a proxy, and no host lacks the memory for them. */
#define FILES_MIN 16384U

/* A connection, and that to its backend. */
#define FILES_PER_CONNECTION 2U

static void check_clock(struct doctor *d)
{
	struct timex t = {0};
	int state = adjtimex(&t); /* without modes: only looks */

	if (state < 0)
		return;
	if (state != TIME_ERROR && !(t.status & STA_UNSYNC))
		doctor_ok(d, DOCTOR_CLOCK, "the clock is synchronised");
	else
		doctor_tell(d, DOCTOR_WARNING, DOCTOR_CLOCK,
			    "the clock is not synchronised, as the kernel has it",
			    "certificates, OCSP responses, tickets, logs and the history go by it",
			    "run a time service: timedatectl set-ntp true, or chrony");
}

/* 0: it cannot be told. */
static size_t count_open(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		(void)closedir(dir);
	return n > 3 ? n - 3 : 0; /* ".", ".." and that of the folder */
}

static bool has_proxied(const struct snapshot *snap)
{
	for (size_t i = 0; i < snap->service_count; i++)
		if (service_is_proxied(&snap->services[i]))
			return true;
	return false;
}

static void check_files(struct doctor *d)
{
	static const char fix[] = "LimitNOFILE= of the unit, or ulimit -n, and start shuntd again";
	static const char why[] = "beyond it, no connection is accepted and none made to a backend";
	uint64_t most = d->snap->overload.connections;
	size_t open = count_open();
	struct rlimit limit;
	unsigned long long max;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur == RLIM_INFINITY)
		return;
	max = limit.rlim_cur;
	if (open > max / 10 * 9)
		doctor_tell(d, DOCTOR_ERROR, DOCTOR_FILES,
			    doctor_text("%zu files are open, of at most %llu", open, max).s, why,
			    fix);
	else if (has_proxied(d->snap) && most && most > max / FILES_PER_CONNECTION)
		doctor_tell(d, DOCTOR_WARNING, DOCTOR_FILES,
			    doctor_text("at most %llu open files, and overload.connections allows "
					"%llu connections, of two files each",
					max, (unsigned long long)most)
				    .s,
			    why, fix);
	else if (has_proxied(d->snap) && max < FILES_MIN)
		doctor_tell(d, DOCTOR_WARNING, DOCTOR_FILES,
			    doctor_text("at most %llu open files", max).s, why, fix);
	else
		doctor_ok(d, DOCTOR_FILES,
			  doctor_text("%zu files are open, of at most %llu", open, max).s);
}

/* Since 5.11, the memory of tables is charged to the control group instead. */
static bool tables_are_locked(void)
{
	struct utsname name;
	unsigned major, minor;

	return !uname(&name) && sscanf(name.release, "%u.%u", &major, &minor) == 2 &&
	       (major < 5 || (major == 5 && minor < 11));
}

static void check_memlock(struct doctor *d)
{
	struct rlimit limit;

	if (!d->env->l4 || getrlimit(RLIMIT_MEMLOCK, &limit))
		return;
	if (limit.rlim_cur == RLIM_INFINITY || !tables_are_locked())
		doctor_ok(d, DOCTOR_MEMLOCK,
			  "no limit of locked memory stands in the way of tables");
	else
		doctor_tell(d, DOCTOR_WARNING, DOCTOR_MEMLOCK,
			    doctor_text("at most %llu bytes of locked memory",
					(unsigned long long)limit.rlim_cur)
				    .s,
			    "this kernel counts the memory of tables as locked",
			    "LimitMEMLOCK=infinity of the unit, or ulimit -l unlimited");
}

void doctor_host(struct doctor *d)
{
	check_clock(d);
	check_files(d);
	check_memlock(d);
}
