/* SPDX-License-Identifier: BSD-2-Clause */
/* Limits and privileges: see process.h. Core dumps and debuggers stay allowed: the process holds no
 * keys, and a crash that leaves no trace cannot be mended. */
#include "control/process.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "core/log.h"

void process_prepare(void)
{
	struct rlimit files;

	(void)signal(SIGPIPE, SIG_IGN); /* cannot fail; peers that went away are EPIPE */
	umask(0027);
	/* Nothing is ever executed but this program's next version, which has no more than this one. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		log_warning("main: no_new_privs was not set error=\"%s\"", strerror(errno));
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &files))
			log_warning("main: limit of open files was not raised error=\"%s\"",
				    strerror(errno));
	}
}
