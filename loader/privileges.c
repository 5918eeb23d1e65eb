/* SPDX-License-Identifier: BSD-2-Clause */
#include "loader/privileges.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

bool capability_held(int capability)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

	if (syscall(SYS_capget, &header, data) < 0)
		return false;
	return (data[CAP_TO_INDEX(capability)].effective & CAP_TO_MASK(capability)) != 0;
}

bool kernel_is_supported(char *buf, size_t len)
{
	unsigned major = 0, minor = 0, want_major = 0, want_minor = 0;
	struct utsname uts;

	if (uname(&uts) < 0)
		return false;
	snprintf(buf, len, "%s", uts.release);
	if (sscanf(uts.release, "%u.%u", &major, &minor) != 2 ||
	    sscanf(LOADER_KERNEL_MIN, "%u.%u", &want_major, &want_minor) != 2)
		return false;
	return major > want_major || (major == want_major && minor >= want_minor);
}

int privileges_check(struct diag *d)
{
	char release[128] = "";
	int err = 0;

	if (!kernel_is_supported(release, sizeof(release))) {
		diag_error(d, NULL,
			   "Linux %s is too old: steering needs " LOADER_KERNEL_MIN " or later",
			   release);
		return -EOPNOTSUPP;
	}
	if (!capability_held(CAP_BPF) && !capability_held(CAP_SYS_ADMIN)) {
		diag_error(d, NULL,
			   "loading programs takes the capability CAP_BPF, which this "
			   "process does not have");
		err = -EPERM;
	}
	if (!capability_held(CAP_PERFMON) && !capability_held(CAP_SYS_ADMIN)) {
		diag_error(d, NULL,
			   "the steering program takes the capability CAP_PERFMON, which this "
			   "process does not have: the verifier is stricter without it");
		err = -EPERM;
	}
	if (!capability_held(CAP_NET_ADMIN)) {
		diag_error(d, NULL,
			   "attaching to interfaces takes the capability CAP_NET_ADMIN, "
			   "which this process does not have");
		err = -EPERM;
	}
	return err;
}
