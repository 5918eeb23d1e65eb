/* SPDX-License-Identifier: BSD-2-Clause */
#include "loader/probe.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/magic.h>
#include <linux/membarrier.h>
#include <linux/sockios.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "loader/dispatcher.h"
#include "loader/ifaces.h"
#include "loader/messages.h"
#include "loader/privileges.h"

struct list {
	struct probe_item *items;
	size_t count;
};

enum need { REQUIRED, OPTIONAL };

static struct probe_item *add(struct list *list, const char *name, enum need need, bool ok)
{
	struct probe_item *item = &list->items[list->count++];

	*item = (struct probe_item){.name = name, .ok = ok, .required = need == REQUIRED};
	return item;
}

#define say(item, ...) snprintf((item)->text, sizeof((item)->text), __VA_ARGS__)

static void probe_kernel(struct list *list)
{
	char release[128] = "";
	bool ok = kernel_is_supported(release, sizeof(release));

	say(add(list, "kernel", REQUIRED, ok), "Linux %s%s", release,
	    ok ? "" : ": " LOADER_KERNEL_MIN " or later is needed");
}

static void probe_capability(struct list *list, const char *name, int capability, enum need need,
			     const char *purpose)
{
	bool ok = capability_held(capability) ||
		  ((capability == CAP_BPF || capability == CAP_PERFMON) &&
		   capability_held(CAP_SYS_ADMIN));

	say(add(list, name, need, ok), "%s%s", ok ? "held: " : "not held: ", purpose);
}

static void probe_bpffs(struct list *list)
{
	struct statfs fs;
	bool ok = statfs("/sys/fs/bpf", &fs) == 0 && (uint32_t)fs.f_type == BPF_FS_MAGIC;

	say(add(list, "bpffs", OPTIONAL, ok), "%s",
	    ok ? "mounted at /sys/fs/bpf" : "not mounted at /sys/fs/bpf; loading mounts it");
}

static int load_pass(void)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS},
		{.code = BPF_JMP | BPF_EXIT},
	};

	return bpf_prog_load(BPF_PROG_TYPE_XDP, "shunt_probe", "GPL", insns,
			     sizeof(insns) / sizeof(insns[0]), NULL);
}

static void probe_load(struct list *list, int prog_fd)
{
	say(add(list, "xdp", REQUIRED, prog_fd >= 0), "%s%s",
	    prog_fd >= 0 ? "programs can be loaded" : "programs cannot be loaded: ",
	    prog_fd >= 0 ? "" : strerror(-prog_fd));
}

static void probe_jit(struct list *list)
{
	FILE *f = fopen("/proc/sys/net/core/bpf_jit_enable", "re");
	int value = -1;

	if (f != NULL) {
		if (fscanf(f, "%d", &value) != 1)
			value = -1;
		fclose(f);
	}
	say(add(list, "jit", OPTIONAL, value != 0), "%s",
	    value > 0	 ? "programs run as machine code"
	    : value == 0 ? "off, which is several times slower: sysctl net.core.bpf_jit_enable=1"
			 : "not known: net.core.bpf_jit_enable cannot be read here");
}

static void probe_dispatcher(struct list *list)
{
	char why[PROBE_TEXT_MAX - 64] = "";
	bool ok = dispatcher_is_supported(why, sizeof(why));

	say(add(list, "xdp-dispatcher", OPTIONAL, ok), "%s%s",
	    ok ? "several XDP programs can share an interface"
	       : "one XDP program per interface, Shunt's or another: ",
	    why);
}

/* A program that the kernel calls where one of its own functions begins: the same as for a capture. */
static int load_tracing(void)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int id = libbpf_find_vmlinux_btf_id("bpf_fentry_test1", BPF_TRACE_FENTRY);
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_TRACE_FENTRY,
		    .attach_btf_id = (uint32_t)id);

	return id < 0 ? id
		      : bpf_prog_load(BPF_PROG_TYPE_TRACING, "shunt_probe", "GPL", insns,
				      sizeof(insns) / sizeof(insns[0]), &opts);
}

static void probe_tracing(struct list *list)
{
	int fd = load_tracing();

	say(add(list, "tracing", OPTIONAL, fd >= 0), "%s%s",
	    fd >= 0 ? "packets can be captured" : "no shuntctl capture: ",
	    fd >= 0 ? "" : strerror(-fd));
	if (fd >= 0)
		close(fd);
}

static void probe_membarrier(struct list *list)
{
	bool ok = syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) == 0;

	say(add(list, "membarrier", OPTIONAL, ok), "%s",
	    ok ? "waits for packets in flight"
	       : "refused; a slower way is used to wait for packets in flight");
}

static void read_driver(const char *ifname, char *buf, size_t len)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
	struct ifreq req = {.ifr_data = (void *)&info};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(buf, len, "unknown");
	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", ifname);
	if (fd >= 0 && ioctl(fd, SIOCETHTOOL, &req) == 0)
		snprintf(buf, len, "%s", info.driver);
	if (fd >= 0)
		close(fd);
}

/* A driver that takes tags off before the program sees the frame leaves it without a way to put them
 * on again. */
static bool strips_tags(const char *ifname)
{
	struct ethtool_value flags = {.cmd = ETHTOOL_GFLAGS};
	struct ifreq req = {.ifr_data = (void *)&flags};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool on = false;

	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", ifname);
	if (fd >= 0 && ioctl(fd, SIOCETHTOOL, &req) == 0)
		on = flags.data & ETH_FLAG_RXVLAN;
	if (fd >= 0)
		close(fd);
	return on;
}

/* The driver says no more than it is asked: attach a program that passes all, and take it off. */
static int try_native(const struct iface *iface, int prog_fd)
{
	uint32_t flags = XDP_FLAGS_DRV_MODE | XDP_FLAGS_UPDATE_IF_NOEXIST;
	int err;

	messages_clear();
	err = bpf_xdp_attach(iface->index, prog_fd, flags, NULL);
	if (err == 0)
		(void)bpf_xdp_detach(iface->index, XDP_FLAGS_DRV_MODE, NULL);
	return err;
}

static void probe_iface(struct list *list, const char *name, int prog_fd)
{
	struct iface iface;
	const char *reason;
	char driver[32];
	int err = ifaces_find(name, &iface);

	if (err < 0) {
		say(add(list, name, REQUIRED, false), "%s",
		    err == -ENODEV ? "does not exist" : strerror(-err));
		return;
	}
	read_driver(name, driver, sizeof(driver));
	if (iface.prog_id != 0) {
		say(add(list, name, OPTIONAL, true), "driver %s, MTU %u, has program %u in %s mode",
		    driver, iface.mtu, iface.prog_id, iface.generic ? "generic" : "native");
		return;
	}
	if (strips_tags(name))
		say(add(list, "rx-vlan-offload", OPTIONAL, false),
		    "%s takes VLAN tags off frames before the program sees them: where there are "
		    "any, ethtool -K %s rxvlan off",
		    name, name);
	err = try_native(&iface, prog_fd);
	reason = messages_kernel_text();
	if (err == 0)
		say(add(list, name, OPTIONAL, true), "driver %s, MTU %u, native XDP", driver,
		    iface.mtu);
	else
		say(add(list, name, OPTIONAL, false), "driver %s, MTU %u, no native XDP: %s",
		    driver, iface.mtu, reason != NULL ? reason : strerror(-err));
}

int probe_run(const char *const *ifnames, size_t count, struct probe_item **ret_items,
	      size_t *ret_count)
{
	struct list list = {.items = calloc(16 + 2 * count, sizeof(*list.items))};
	int prog_fd;

	if (list.items == NULL)
		return -ENOMEM;
	prog_fd = load_pass();
	probe_kernel(&list);
	probe_capability(&list, "cap-bpf", CAP_BPF, REQUIRED, "loads programs and makes tables");
	probe_capability(&list, "cap-net-admin", CAP_NET_ADMIN, REQUIRED, "attaches to interfaces");
	probe_capability(&list, "cap-perfmon", CAP_PERFMON, REQUIRED, "loads the steering program");
	probe_capability(&list, "cap-sys-admin", CAP_SYS_ADMIN, OPTIONAL,
			 "mounts bpffs, looks at other programs, runs dispatchers");
	probe_load(&list, prog_fd);
	probe_jit(&list);
	probe_bpffs(&list);
	probe_dispatcher(&list);
	probe_tracing(&list);
	probe_membarrier(&list);
	for (size_t i = 0; i < count; i++)
		probe_iface(&list, ifnames[i], prog_fd);
	if (prog_fd >= 0)
		close(prog_fd);
	*ret_items = list.items;
	*ret_count = list.count;
	return 0;
}
