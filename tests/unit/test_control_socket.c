/* SPDX-License-Identifier: BSD-2-Clause */
/* Claiming the control socket, and who may use it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/socket.h"

static char dir[64], sub[96], path[128];

static int setup(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/shunt-unit-XXXXXX");
	assert_non_null(mkdtemp(dir));
	(void)snprintf(sub, sizeof(sub), "%s/run", dir);
	(void)snprintf(path, sizeof(path), "%s/ctl.sock", sub);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	(void)unlink(path);
	(void)rmdir(sub);
	assert_int_equal(rmdir(dir), 0);
	return 0;
}

static int claim(struct control_socket *s, char *text, size_t len)
{
	struct diag d;
	int err;

	diag_init(&d);
	err = control_socket_open(path, s, &d);
	text[0] = '\0';
	if (err) {
		assert_int_equal(d.errors, 1);
		(void)snprintf(text, len, "%s", d.items[0].text);
	}
	diag_deinit(&d);
	return err;
}

static void test_modes_do_not_depend_on_the_umask(void **state)
{
	struct control_socket s;
	struct stat st;
	char text[256];
	mode_t former = umask(0777);

	(void)state;
	assert_int_equal(claim(&s, text, sizeof(text)), 0);
	assert_int_equal(umask(former), 0777);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode, S_IFSOCK | 0660);
	assert_int_equal(stat(sub, &st), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 0755);
	control_socket_close(&s);
	assert_int_equal(stat(path, &st), -1);
}

static void test_a_live_one_is_left_alone(void **state)
{
	struct control_socket s, second = {.fd = -1};
	char text[256], expected[300];

	(void)state;
	assert_int_equal(claim(&s, text, sizeof(text)), 0);
	assert_int_equal(claim(&second, text, sizeof(text)), -EADDRINUSE);
	(void)snprintf(expected, sizeof(expected), "another shuntd (pid %d) is using %s",
		       (int)getpid(), path);
	assert_string_equal(text, expected);
	control_socket_close(&s);
}

static void test_a_stale_one_is_replaced(void **state)
{
	struct control_socket s;
	char text[256];

	(void)state;
	assert_int_equal(claim(&s, text, sizeof(text)), 0);
	close(s.fd); /* as a killed daemon leaves it */
	assert_int_equal(claim(&s, text, sizeof(text)), 0);
	control_socket_close(&s);
}

static void test_what_is_no_socket_is_left_alone(void **state)
{
	struct control_socket s;
	struct stat st;
	char text[256];
	FILE *f;

	(void)state;
	assert_int_equal(mkdir(sub, 0755), 0);
	f = fopen(path, "w");
	assert_non_null(f);
	fclose(f);
	assert_int_equal(claim(&s, text, sizeof(text)), -EEXIST);
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISREG(st.st_mode));
}

static void test_a_path_that_cannot_be(void **state)
{
	struct control_socket s;
	struct diag d;
	char longer[200];

	(void)state;
	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	diag_init(&d);
	assert_int_equal(control_socket_open(longer, &s, &d), -EINVAL);
	assert_int_equal(control_socket_open("", &s, &d), -EINVAL);
	assert_int_equal(control_socket_open("/nonexistent/a/b.sock", &s, &d), -ENOENT);
	assert_int_equal(d.errors, 3);
	diag_deinit(&d);
}

/* Removing is only for who made it: a successor may stand there by then. */
static void test_a_successors_socket_is_not_removed(void **state)
{
	struct control_socket first, second;
	struct stat st;
	char text[256];

	(void)state;
	assert_int_equal(claim(&first, text, sizeof(text)), 0);
	assert_int_equal(unlink(path), 0); /* by somebody's hand */
	assert_int_equal(claim(&second, text, sizeof(text)), 0);
	control_socket_close(&first);
	assert_int_equal(stat(path, &st), 0);
	control_socket_close(&second);
}

static void test_peers(void **state)
{
	struct peer peer = {0};
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_true(peer_is_allowed(fds[0], (gid_t)-2, &peer)); /* the own user */
	assert_int_equal(peer.pid, getpid());
	assert_int_equal(peer.uid, getuid());
	close(fds[1]);
	close(fds[0]);
	assert_false(peer_is_allowed(fds[0], getgid(), &peer)); /* nothing to ask */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_modes_do_not_depend_on_the_umask),
		T(test_a_live_one_is_left_alone),
		T(test_a_stale_one_is_replaced),
		T(test_what_is_no_socket_is_left_alone),
		T(test_a_path_that_cannot_be),
		T(test_a_successors_socket_is_not_removed),
		T(test_peers),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
