// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's process 1: mount, limit, run CMD, report, power off.
 *
 * A kernel that ends without a STATUS frame counts as failed in the runner, so every way
 * out of here that is not
 * a verdict may simply power off.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

#include "init.h"

void power_off(struct guest *g)
{
	(void)g;
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

void die(struct guest *g, int code, const char *fmt, ...)
{
	char buf[sizeof(struct join_status) + 1024];
	struct join_status st = { .code = code };
	va_list ap;
	int n;

	memcpy(st.nonce, g->job.head.nonce, sizeof(st.nonce));
	memcpy(buf, &st, sizeof(st));
	va_start(ap, fmt);
	n = vsnprintf(buf + sizeof(st), sizeof(buf) - sizeof(st), fmt, ap);
	va_end(ap);
	printf("uml-init: %s\n", buf + sizeof(st));
	if (n > 1023)
		n = 1023;
	if (g->line >= 0)
		line_send(g, JOIN_FAIL, 0, buf, sizeof(st) + n);
	power_off(g);
}

/* What is left of CMD ends with it, as in a container; then nobody holds its pipes. */
static void kill_the_rest(void)
{
	kill(-1, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
}

/* kmemleak reports only what is older than 5 s, and prints to the kernel log that the runner judges. */
static void scan_for_leaks(struct guest *g)
{
	int fd = g->debug_files;
	char buf[4096];
	ssize_t n;

	if (!(g->job.head.flags & JOIN_LEAKS) || fd < 0)
		return;
	sleep(6);
	for (int i = 0; i < 2; i++)
		if (write(fd, "scan", 4) != 4)
			printf("uml-init: kmemleak scan: %s\n", strerror(errno));
	/* The kernel log says how many; this says which. Standard output is the console. */
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		fwrite(buf, 1, n, stdout);
	close(fd);
}

int main(void)
{
	struct guest g = { .disk = -1, .line = -1, .debug_files = -1 };
	struct join_status st = { 0 };

	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	root_early(&g);
	if (job_open(&g) || line_open(&g))
		power_off(&g);
	job_read(&g);
	line_send(&g, JOIN_HELLO, 0, g.job.head.nonce, JOIN_NONCE);
	limits_swap(&g);
	root_enter(&g);
	limits_container(&g);
	command_start(&g);
	relay_run(&g, &st);
	kill_the_rest();
	scan_for_leaks(&g);
	memcpy(st.nonce, g.job.head.nonce, sizeof(st.nonce));
	line_send(&g, JOIN_STATUS, 0, &st, sizeof(st));
	power_off(&g);
}
