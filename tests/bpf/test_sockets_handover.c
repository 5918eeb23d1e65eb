/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two processes after each other with the same tables, as at an upgrade: the second one puts its own
 * listening sockets in the place of the first one's under a stream of new connections, of which none
 * may be lost. And a program of somebody else in the same network namespace. In a namespace of our own.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cmocka.h>

#include "conf/build.h"
#include "conf/runtime.h"
#include "core/log.h"
#include "l4/sockets.h"
#include "tests/bpf/sockets.skel.h"

#define WORKERS	   3
#define PARALLEL   16
#define ENOUGH	   1500 /* connections of each process */
#define QUIET_MS   300	/* so long without a connection, the first one is done */
#define PATIENCE_S 30

#define GROUP "web/4"
#define CONF                                                                                       \
	"node: {workers: 1}\n"                                                                     \
	"pools: {p: {health: none, backends: [{name: b, address: \"192.0.2.1:80\"}]}}\n"           \
	"services: {web: {mode: tcp, pool: p, listen: 127.9.0.0/16:any/tcp}}\n"

/* 127.9.1.1: in the prefix, 127.8.1.1: not. */
#define OURS   0x7f090101U
#define OTHERS 0x7f080101U
#define PORT   8080

static char pin_path[64];

/* ---- one side -------------------------------------------------------------------------------- */

struct side {
	struct runtime *rt;
	struct snapshot *snap;
	struct l4_sockets *sockets;
	int fds[WORKERS];
	char name; /* what its clients are told */
	unsigned accepted;
};

static int listening(void)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(listen(fd, 256), 0);
	return fd;
}

static struct snapshot *build(struct runtime *rt)
{
	struct snapshot *snap;
	struct tree *t;
	struct diag d;

	diag_init(&d);
	t = tree_parse("test", CONF, strlen(CONF), &d);
	assert_non_null(t);
	snap = conf_build(t, rt, &d);
	diag_print(&d, stderr);
	assert_non_null(snap);
	tree_free(t);
	diag_deinit(&d);
	return snap;
}

/* Open the tables and publish its sockets. */
static void side_begin(struct side *s, char name)
{
	struct diag d;

	*s = (struct side){.rt = runtime_new(), .name = name};
	s->snap = build(s->rt);
	for (int i = 0; i < WORKERS; i++)
		s->fds[i] = listening();
	diag_init(&d);
	(void)l4_sockets_open(pin_path, &s->sockets, &d);
	diag_print(&d, stderr);
	assert_non_null(s->sockets);
	assert_int_equal(l4_sockets_add(s->sockets, GROUP, s->fds, WORKERS, &d), 0);
	assert_int_equal(l4_sockets_publish(s->sockets, s->snap, &d), 0);
	diag_deinit(&d);
}

static void side_end(struct side *s)
{
	for (int i = 0; i < WORKERS; i++)
		close(s->fds[i]);
	l4_sockets_close(s->sockets);
	snapshot_unref(s->snap);
	runtime_free(s->rt);
}

static void side_accept(struct side *s)
{
	for (int i = 0; i < WORKERS; i++) {
		int fd;

		while ((fd = accept4(s->fds[i], NULL, NULL, SOCK_CLOEXEC)) >= 0) {
			s->accepted++;
			(void)!write(fd, &s->name, 1);
			close(fd);
		}
	}
}

static unsigned side_poll(struct side *s, struct pollfd *p)
{
	for (int i = 0; i < WORKERS; i++)
		p[i] = (struct pollfd){.fd = s->fds[i], .events = POLLIN};
	return WORKERS;
}

/* ---- clients --------------------------------------------------------------------------------- */

static int connect_to(uint32_t addr, uint16_t port, bool wait)
{
	struct sockaddr_in in = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(addr), .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (wait ? 0 : SOCK_NONBLOCK), 0);

	assert_true(fd >= 0);
	if (connect(fd, (struct sockaddr *)&in, sizeof(in)) < 0 && errno != EINPROGRESS) {
		close(fd);
		return -1;
	}
	return fd;
}

struct clients {
	int fds[PARALLEL];
	unsigned by_first, by_second, lost;
};

static void take_answer(struct clients *c, int i)
{
	struct linger reset = {.l_onoff = 1}; /* no TIME_WAIT: the port is needed again */
	char name = 0;

	if (read(c->fds[i], &name, 1) == 1 && (name == '1' || name == '2'))
		*(name == '1' ? &c->by_first : &c->by_second) += 1;
	else
		c->lost++;
	(void)setsockopt(c->fds[i], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(c->fds[i]);
	c->fds[i] = connect_to(OURS, PORT, false);
	assert_true(c->fds[i] >= 0);
}

static void clients_begin(struct clients *c)
{
	*c = (struct clients){0};
	for (int i = 0; i < PARALLEL; i++) {
		c->fds[i] = connect_to(OURS, PORT, false);
		assert_true(c->fds[i] >= 0);
	}
}

/* ---- set-up ---------------------------------------------------------------------------------- */

static void loopback_up(void)
{
	struct ifreq req = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &req), 0);
	close(fd);
}

static int set_up(void **state)
{
	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	loopback_up();
	snprintf(pin_path, sizeof(pin_path), "/sys/fs/bpf/shunt-%d-0-handover", (int)getpid());
	return 0;
}

static int tear_down(void **state)
{
	bool found;
	struct diag d;
	int err;

	(void)state;
	diag_init(&d);
	err = sockets_remove(pin_path, true, &found, &d);
	diag_print(&d, stderr);
	diag_deinit(&d);
	return err == 0 && found && access(pin_path, F_OK) < 0 ? 0 : -1;
}

/* ---- tests ----------------------------------------------------------------------------------- */

/* The second process: takes over when it is told to, says so, serves until its input ends. */
static void be_successor(int tell, int until)
{
	struct pollfd p[WORKERS + 1];
	struct side s;
	char go;

	if (read(until, &go, 1) != 1)
		_exit(1);
	side_begin(&s, '2');
	if (write(tell, "x", 1) != 1)
		_exit(1);
	for (;;) {
		unsigned n = side_poll(&s, p);

		p[n] = (struct pollfd){.fd = until, .events = POLLIN};
		(void)poll(p, n + 1, -1);
		side_accept(&s);
		if (p[n].revents != 0)
			break;
	}
	side_end(&s);
	_exit(s.accepted >= ENOUGH ? 0 : 1);
}

/* What has become of the first process's sockets. */
struct first {
	struct side side;
	int tell, told; /* to the successor: go; by it: done. -1: it has happened */
	uint64_t quiet_since_ms;
	bool is_over;
};

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void first_turn(struct first *f)
{
	unsigned before = f->side.accepted;

	if (f->is_over)
		return;
	side_accept(&f->side);
	if (f->side.accepted != before || f->quiet_since_ms == 0)
		f->quiet_since_ms = now_ms();
	if (f->told >= 0 || now_ms() - f->quiet_since_ms < QUIET_MS)
		return;
	side_end(&f->side);
	f->is_over = true;
}

/* Until the second process has served enough, after the first one has ended. */
static void run_clients(struct clients *c, struct first *f)
{
	uint64_t end = now_ms() + PATIENCE_S * 1000;
	unsigned after = 0;

	while ((!f->is_over || c->by_second < after + ENOUGH) && now_ms() < end) {
		struct pollfd p[PARALLEL + WORKERS + 1];
		unsigned n = 0;

		for (; n < PARALLEL; n++)
			p[n] = (struct pollfd){.fd = c->fds[n], .events = POLLIN};
		if (!f->is_over)
			n += side_poll(&f->side, &p[n]);
		p[n] = (struct pollfd){.fd = f->told, .events = POLLIN};
		(void)poll(p, n + 1, 20);
		for (int i = 0; i < PARALLEL; i++)
			if (p[i].revents != 0)
				take_answer(c, i);
		if (p[n].revents != 0) {
			close(f->told);
			f->told = -1;
		}
		if (f->tell >= 0 && c->by_first >= ENOUGH) {
			assert_int_equal(write(f->tell, "x", 1), 1);
			f->tell = -1;
		}
		first_turn(f);
		after = f->is_over ? after : c->by_second;
	}
}

static void test_a_second_process_takes_over(void **state)
{
	struct first f = {0};
	struct clients c;
	int told[2], until[2], status;
	pid_t pid;

	(void)state;
	side_begin(&f.side, '1');
	assert_int_equal(pipe2(told, O_CLOEXEC), 0);
	assert_int_equal(pipe2(until, O_CLOEXEC), 0);
	/* It writes no more; its sockets are chosen all the same. */
	l4_sockets_close(f.side.sockets);
	f.side.sockets = NULL;
	clients_begin(&c);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(until[1]);
		for (int i = 0; i < WORKERS; i++)
			close(f.side.fds[i]);
		be_successor(told[1], until[0]);
	}
	close(told[1]);
	close(until[0]);
	f.told = told[0];
	f.tell = until[1];
	run_clients(&c, &f);
	close(until[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(f.is_over);
	assert_int_equal(c.lost, 0);
	assert_true(c.by_first >= ENOUGH);
	assert_true(c.by_second >= ENOUGH);
	assert_int_equal(status, 0);
	for (int i = 0; i < PARALLEL; i++)
		close(c.fds[i]);
}

/* Somebody else's program, which gives one port of one address to a socket of its own. */
struct other {
	struct sockets_bpf *skel;
	int fd, link;
};

static void other_begin(struct other *o)
{
	struct sockets_exact_key key = {.addr = {htonl(OTHERS)}, .port = htons(PORT), .family = 4};
	uint32_t row = 1, slot = 0;
	uint64_t target = SOCKETS_TARGET(0, 1), value;
	int netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	o->skel = sockets_bpf__open_and_load();
	assert_non_null(o->skel);
	o->fd = listening();
	value = (uint64_t)o->fd;
	assert_int_equal(
		bpf_map_update_elem(bpf_map__fd(o->skel->maps.sk_sockets), &slot, &value, 0), 0);
	assert_int_equal(
		bpf_map_update_elem(bpf_map__fd(o->skel->maps.sk_targets), &row, &target, 0), 0);
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(o->skel->maps.sk_exact), &key, &row, 0),
			 0);
	o->link = bpf_link_create(bpf_program__fd(o->skel->progs.choose_socket), netns,
				  BPF_SK_LOOKUP, NULL);
	assert_true(o->link >= 0);
	close(netns);
}

static bool other_serves(const struct other *o)
{
	int fd = connect_to(OTHERS, PORT, true), client;

	if (fd < 0)
		return false;
	client = accept(o->fd, NULL, NULL);
	assert_true(client >= 0);
	close(client);
	close(fd);
	return true;
}

static bool we_serve(struct side *s)
{
	int fd = connect_to(OURS, PORT, true);
	char name = 0;

	if (fd < 0)
		return false;
	side_accept(s);
	assert_int_equal(read(fd, &name, 1), 1);
	close(fd);
	return name == s->name;
}

static void test_somebody_elses_program_goes_on(void **state)
{
	struct other o;
	struct side s;
	struct diag d;

	(void)state;
	other_begin(&o);
	assert_true(other_serves(&o));
	side_begin(&s, '1');
	assert_true(other_serves(&o));
	assert_true(we_serve(&s));
	side_end(&s);
	assert_true(other_serves(&o));
	assert_int_equal(connect_to(OURS, PORT, true), -1);
	side_begin(&s, '2'); /* adopted */
	assert_true(other_serves(&o));
	assert_true(we_serve(&s));
	diag_init(&d);
	assert_int_equal(sockets_remove(pin_path, false, NULL, &d), 0);
	diag_deinit(&d);
	assert_false(l4_sockets_attached(s.sockets));
	assert_int_equal(connect_to(OURS, PORT, true), -1);
	assert_true(other_serves(&o));
	side_end(&s);
	close(o.link);
	close(o.fd);
	sockets_bpf__destroy(o.skel);
}

static void test_only_one_writes(void **state)
{
	struct l4_sockets *second = NULL;
	struct side s;
	struct diag d;

	(void)state;
	side_begin(&s, '1');
	diag_init(&d);
	assert_int_equal(l4_sockets_open(pin_path, &second, &d), -EBUSY);
	assert_int_equal(d.errors, 1);
	assert_null(second);
	diag_deinit(&d);
	assert_true(we_serve(&s));
	side_end(&s);
}

/* As in a container of the same host: the link of another namespace is none of ours. */
static void test_another_namespace_gets_a_link_of_its_own(void **state)
{
	struct side s;

	(void)state;
	side_begin(&s, '1');
	assert_true(we_serve(&s));
	side_end(&s);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	loopback_up();
	side_begin(&s, '2');
	assert_true(l4_sockets_attached(s.sockets));
	assert_true(we_serve(&s));
	side_end(&s);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_a_second_process_takes_over),
		TEST(test_somebody_elses_program_goes_on),
		TEST(test_only_one_writes),
		TEST(test_another_namespace_gets_a_link_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
