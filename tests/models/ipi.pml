// SPDX-License-Identifier: GPL-2.0-only
/*
 * Notes of interrupts that came while they were off: arch/um/os-Linux/ipi.c. README.md says which
 * line here is which there. The handler runs on the CPU's own thread: while it does, cpu() stands.
 */
#ifndef SIGNALS
#define SIGNALS 3
#endif
#ifndef TURNS
#define TURNS 3
#endif

bit on = 1;		/* signals_enabled */
bit note;		/* ipi_notes */
bit masked;		/* IPI_SIGNAL, by the host */
bit in_handler;		/* cpu() is interrupted */
byte signals;		/* pending in the host */
byte handled;

/* handle_notes(): one instruction takes them */
inline take(taken)
{
	atomic {
		taken = note;
		note = 0
	}
	handled = handled + taken
}

/* os_local_ipi_enable() */
inline look(taken)
{
	do
	:: note ->
		on = 0;
		take(taken);
		on = 1
	:: else -> break
	od
}

inline turn_on(taken)
{
#ifdef LOOK_FIRST
	look(taken);
	on = 1
#else
	on = 1;
#ifndef NO_LOOK
	look(taken)
#endif
#endif
}

proctype cpu() provided (!in_handler)
{
	bit taken, work;
	byte turns;

	do
	:: turns < TURNS ->
		turns++;
		on = 0;
		if
		:: skip		/* any section with interrupts off */
		:: true ->	/* os_idle_sleep() */
#ifdef MASK_LATE
			work = note;
			masked = 1;
#else
			masked = 1;
#ifdef SLEEP_ANYHOW
			work = 0;
#else
			work = note;
#endif
#endif
			if
			:: work
			:: else ->	/* poll() of the signalfd */
end_asleep:			signals > 0
			fi;
			masked = 0
		fi;
		turn_on(taken)
	:: else -> break
	od
}

/* os_ipi_signal(), each time the host delivers one */
proctype handler()
{
	bit taken;

end:	do
	:: atomic { signals > 0 && !masked -> in_handler = 1; masked = 1; signals-- };
		note = 1;
		if
		:: on ->
			on = 0;
			do
			:: masked = 0;
				/* one that comes now leaves a note: interrupts are off */
				if
				:: atomic { signals > 0 -> signals--; note = 1 }
				:: true
				fi;
				take(taken);
#ifndef LAST_LOOK_UNMASKED
				masked = 1;
#endif
				if
				:: !note -> break
				:: else
				fi
			od;
#ifdef LAST_LOOK_UNMASKED
			if
			:: atomic { signals > 0 -> signals--; note = 1 }
			:: true
			fi;
#endif
			on = 1
		:: else
		fi;
		atomic { masked = 0; in_handler = 0 }
	od
}

/* Other CPUs */
proctype sender()
{
	byte sent;

	do
	:: sent < SIGNALS -> sent++; signals++
	:: else -> break
	od
}

init
{
	bit lost;

	atomic {
		run cpu();
		run handler();
		run sender()
	}
	/* at rest: asleep, or at work with interrupts on */
	timeout;
	lost = note || signals;
	assert(!lost)
}
