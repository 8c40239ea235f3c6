// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts that come while they are off: arch/um/os-Linux/ipi.c and idle.c. README.md says which
 * line here is which there. The handlers run on the CPU's own thread: while one does, cpu() stands,
 * and that of SIGIO while that of the IPIs does.
 */
#ifndef IPIS
#define IPIS 2
#endif
#ifndef IOS
#define IOS 2
#endif
#ifndef TURNS
#define TURNS 3
#endif

bit on = 1;		/* signals_enabled */
bit note;		/* ipi_notes */
bit noted;		/* signals_pending */
bit ipi, io;		/* pending in the host, where one is as good as many */
bit ipi_masked, io_masked;
bit in_ipi, in_io;	/* whom a handler has interrupted */
bit suspended;		/* in sigsuspend() */

/* os_local_ipi_enable() */
inline look()
{
	do
	:: note ->
		on = 0;
		note = 0;	/* handle_notes() */
		on = 1
	:: else -> break
	od
}

/* __unblock_signals() */
inline switch_on()
{
#ifdef LOOK_FIRST
	look();
	on = 1
#else
	on = 1;
#ifndef NO_LOOK
	look()
#endif
#endif
}

/* unblock_signals() */
inline turn_on()
{
	switch_on();
	do
	:: noted ->
		noted = 0;
		on = 0;
		switch_on()
	:: else -> break
	od
}

inline mask()
{
#ifdef IO_NOT_MASKED
	ipi_masked = 1
#else
	atomic {
		ipi_masked = 1;
		io_masked = 1
	}
#endif
}

inline look_idle(work)
{
#ifdef SLEEP_ANYHOW
	work = 0
#else
#ifdef IPIS_ONLY
	work = note
#else
	work = note;
	work = work || noted
#endif
#endif
}

proctype cpu() provided (!in_ipi && !in_io)
{
	bit work;
	byte turns;

	do
	:: turns < TURNS ->
		turns++;
		on = 0;
		if
		:: skip		/* any section with interrupts off */
		:: true ->	/* os_idle_sleep() */
#ifdef MASK_LATE
			look_idle(work);
			mask();
#else
			mask();
			look_idle(work);
#endif
			if
			:: work
			:: else ->
#ifdef UNMASK_THEN_PAUSE
				atomic {
					ipi_masked = 0;
					io_masked = 0
				}
				suspended = 1;
#else
				atomic {
					ipi_masked = 0;
					io_masked = 0;
					suspended = 1
				}
#endif
end_asleep:			!suspended
			fi;
			atomic {
				ipi_masked = 0;
				io_masked = 0
			}
		fi;
		turn_on()
	:: else -> break
	od
}

/* What the host does when it starts a handler: sigsuspend() ends, with the mask from before it */
inline save(ipi_before, io_before)
{
	ipi_before = ipi_masked || suspended;
	io_before = io_masked || suspended;
	suspended = 0
}

/* One that comes inside the handler of another: it finds interrupts off */
inline nested()
{
	if
	:: atomic { ipi -> ipi = 0 }
	:: true
	fi
}

/* os_ipi_signal(), each time the host delivers one */
proctype ipi_handler()
{
	bit ipi_before, io_before;

end:	do
	:: atomic {
			ipi && !ipi_masked ->
			ipi = 0;
			in_ipi = 1;
			save(ipi_before, io_before);
			ipi_masked = 1;
			io_masked = 1
		}
		if
		:: on ->
			on = 0;
			do
			:: note ->
				ipi_masked = 0;
				nested();
				note = 0;	/* handle_notes() */
				nested();
#ifndef LAST_LOOK_UNMASKED
				ipi_masked = 1
#endif
			:: else -> break
			od;
#ifdef LAST_LOOK_UNMASKED
			nested();
#endif
			on = 1
		:: else
		fi;
		atomic {
			ipi_masked = ipi_before;
			io_masked = io_before;
			in_ipi = 0
		}
	od
}

/* sig_handler() of SIGIO, and so are those of SIGALRM and SIGCHLD */
proctype io_handler() provided (!in_ipi)
{
	bit ipi_before, io_before;

end:	do
	:: atomic {
			io && !io_masked ->
			io = 0;
			in_io = 1;
			save(ipi_before, io_before);
			io_masked = 1
		}
		if
		:: on ->
			on = 0;
			turn_on()
		:: else -> noted = 1
		fi;
		atomic {
			ipi_masked = ipi_before;
			io_masked = io_before;
			in_io = 0
		}
	od
}

/* Other CPUs: os_send_ipi() */
proctype sender()
{
	byte sent;

	do
	:: sent < IPIS ->
		sent++;
#ifdef SIGNAL_FIRST
		ipi = 1;
		note = 1
#else
		note = 1;
		ipi = 1
#endif
	:: else -> break
	od
}

proctype disk()
{
	byte sent;

	do
	:: sent < IOS -> sent++; io = 1
	:: else -> break
	od
}

init
{
	bit lost;

	atomic {
		run cpu();
		run ipi_handler();
		run io_handler();
		run sender();
		run disk()
	}
	/* at rest: asleep, or at work with interrupts on */
	timeout;
	lost = note || noted || ipi || io;
	assert(!lost)
}
