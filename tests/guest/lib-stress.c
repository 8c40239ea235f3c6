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

void may(int err, const char *what)
{
	static const int lost[] = { 0, ENOENT, ENODEV, EEXIST, EBUSY, ENOTEMPTY, ESRCH, EAGAIN, EXDEV };

	for (size_t i = 0; i < sizeof(lost) / sizeof(lost[0]); i++)
		if (err == lost[i])
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
