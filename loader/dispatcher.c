/* SPDX-License-Identifier: BSD-2-Clause */
#include "loader/dispatcher.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xdp/libxdp.h>

#define OBJECT	"xdp-dispatcher.o"
#define PROGRAM "xdp_pass" /* in that object, for such trials */

/* Open libxdp's object with nothing but the trial program to be loaded. NULL: errno says why. */
static struct xdp_program *open_trial(struct bpf_program **ret_prog)
{
	struct xdp_program_opts opts = {
		.sz = sizeof(opts),
		.find_filename = OBJECT,
		.prog_name = PROGRAM,
	};
	struct xdp_program *xdp = xdp_program__create(&opts);
	struct bpf_program *prog;
	long err = libxdp_get_error(xdp);

	if (err != 0) {
		errno = (int)-err;
		return NULL;
	}
	bpf_object__for_each_program(prog, xdp_program__bpf_obj(xdp))
	{
		bool wanted = strcmp(bpf_program__name(prog), PROGRAM) == 0;

		bpf_program__set_autoload(prog, wanted);
		if (wanted)
			*ret_prog = prog;
	}
	return xdp;
}

/* Put a program in the place of a function of another one, as a dispatcher's components are. */
static int try_extension(struct bpf_program *target, struct bpf_program *extension,
			 struct bpf_object *object)
{
	int err, link_fd;

	bpf_program__set_type(extension, BPF_PROG_TYPE_EXT);
	bpf_program__set_expected_attach_type(extension, 0);
	err = bpf_program__set_attach_target(extension, bpf_program__fd(target), PROGRAM);
	if (err == 0)
		err = bpf_object__load(object);
	if (err < 0)
		return err;
	link_fd = bpf_raw_tracepoint_open(NULL, bpf_program__fd(extension));
	if (link_fd < 0)
		return link_fd;
	close(link_fd);
	return 0;
}

bool dispatcher_is_supported(char *why, size_t len)
{
	struct bpf_program *target = NULL, *extension = NULL;
	struct xdp_program *target_xdp = NULL, *extension_xdp = NULL;
	const char *skip = secure_getenv("LIBXDP_SKIP_DISPATCHER");
	int err = 0;

	if (skip != NULL && strcmp(skip, "1") == 0) {
		snprintf(why, len, "LIBXDP_SKIP_DISPATCHER is set");
		return false;
	}
	target_xdp = open_trial(&target);
	extension_xdp = open_trial(&extension);
	if (target_xdp == NULL || extension_xdp == NULL || target == NULL || extension == NULL) {
		snprintf(why, len, "libxdp's " OBJECT " is not to be found");
		err = -ENOENT;
		goto out;
	}
	err = bpf_object__load(xdp_program__bpf_obj(target_xdp));
	if (err == 0)
		err = try_extension(target, extension, xdp_program__bpf_obj(extension_xdp));
	if (err < 0)
		snprintf(why, len, "this kernel cannot extend programs (freplace): %s",
			 strerror(-err));
out:
	xdp_program__close(target_xdp);
	xdp_program__close(extension_xdp);
	return err == 0;
}
