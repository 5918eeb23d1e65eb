/* SPDX-License-Identifier: BSD-2-Clause */
#include "loader/dispatcher.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xdp/libxdp.h>
#include <xdp/prog_dispatcher.h>

#include "core/log.h"
#include "skel/dispatcher.skel.h"

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
		snprintf(why, len, "this kernel cannot chain XDP programs (freplace: %s)",
			 strerror(-err));
out:
	xdp_program__close(target_xdp);
	xdp_program__close(extension_xdp);
	return err == 0;
}

/* ---- our own dispatcher, for libxdp to find ----------------------------------------------------- */

/* A directory that holds our object under the name that libxdp looks for, while it looks. */
struct offer {
	char dir[64];
	char path[PATH_MAX];
};

static int write_object(const char *path)
{
	size_t len;
	const char *bytes = dispatcher_bpf__elf_bytes(&len);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int err = 0;

	if (fd < 0)
		return -errno;
	while (len > 0 && err == 0) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0) {
			err = -errno;
			continue;
		}
		bytes += n;
		len -= (size_t)n;
	}
	close(fd);
	return err;
}

static void withdraw(struct offer *o)
{
	(void)unsetenv(XDP_OBJECT_ENVVAR);
	(void)unlink(o->path);
	(void)rmdir(o->dir);
}

/* libxdp takes its object from a file and has no other way in than this variable. Where somebody
 * has set it already, that is the wish of whoever started us. */
static int offer(struct offer *o)
{
	int err;

	if (getenv(XDP_OBJECT_ENVVAR) != NULL)
		return -EEXIST;
	snprintf(o->dir, sizeof(o->dir), "/run/shunt-dispatcher-XXXXXX");
	if (mkdtemp(o->dir) == NULL) {
		snprintf(o->dir, sizeof(o->dir), "/tmp/shunt-dispatcher-XXXXXX");
		if (mkdtemp(o->dir) == NULL)
			return -errno;
	}
	snprintf(o->path, sizeof(o->path), "%s/" OBJECT, o->dir);
	err = write_object(o->path);
	if (err == 0 && setenv(XDP_OBJECT_ENVVAR, o->dir, 1) < 0)
		err = -errno;
	if (err < 0)
		withdraw(o);
	return err;
}

int dispatcher_call(dispatcher_fn fn, void *ctx)
{
	static bool own_needed;
	struct offer o;
	int err = 0;

	if (!own_needed) {
		err = fn(ctx);
		/* A refusal has many names by the time that libxdp has tried other ways. */
		if (err == 0)
			return 0;
	}
	if (offer(&o) < 0)
		return own_needed ? fn(ctx) : err;
	err = fn(ctx);
	withdraw(&o);
	if (err == 0 && !own_needed) {
		log_debug("loader: libxdp's dispatcher was refused, another one is used");
		own_needed = true;
	}
	return err;
}
