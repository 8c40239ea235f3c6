// SPDX-License-Identifier: GPL-2.0-only
/* What the stress suites share; see lib-stress.h. */
#include "lib-stress.h"

double seconds_of(const char *variable, double standard)
{
	const char *text = getenv(variable);
	double seconds = text ? atof(text) : standard;

	return seconds > 0 ? seconds : standard;
}

unsigned int draw_from(unsigned int *rand, unsigned int n)
{
	/* the low bits of rand_r() repeat soon */
	return rand_r(rand) / 7 % n;
}

int put(const char *dir, const char *file, const char *text)
{
	char *path = at(dir, "%s", file);
	int err = write_file(path, text);

	free(path);
	return err;
}

void may(int err, const char *what, const int *allowed)
{
	if (!err)
		return;
	for (; *allowed; allowed++)
		if (err == *allowed)
			return;
	ck_abort_msg("%s: got %s, wanted success or an error of a lost race", what, error_name(err));
}

void fork_and_exit_until(double end)
{
	for (;;) {
		pid_t pid = fork();

		/* a failed fork ends the chain, which its caller sees by what is missing */
		if (pid || now() > end)
			_exit(0);
	}
}
