/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How a page is taken from a process that may be running on another CPU: flush, enter, leave.
 * README.md says which function of arch/um each part stands for and what is left out.
 *
 * One mm with two pages. Four processes: the CPU thread that runs the mm, its stub, and two
 * flushers that each take a page away. Without -D switches this is the protocol; each switch
 * takes one part of it away (run.sh has the list, and what Spin must then find).
 *
 * "Old" and "new" are the two mappings of a page. A page is free (and used by someone else)
 * as soon as its flush has returned: nobody may then run with the old mapping.
 */

#define PAGES	2
#ifndef LEAVES
#define LEAVES	1	/* how often user code leaves by itself; afterwards it stays for ever */
#endif
#ifndef TICKS
#define TICKS	1	/* timer interrupts of the CPU thread */
#endif
#ifndef SPURIOUS
#define SPURIOUS 1	/* sleeps that end for no reason; bounded, or they would heal a lost wake-up */
#endif

#define OLD	0
#define NEW	1

/* ---- What the kernel knows ---- */
bit pte[PAGES];		/* the page table's entry: OLD or NEW; written under ptl */
bit pending[PAGES];	/* in the range to sync; under sync_lock */
bit queued[PAGES];	/* a host mmap()/munmap() in stub_data waits for the stub */
bit freed[PAGES];	/* the flush has returned */
bit ptl, sync_lock;	/* page_table_lock, sync_tlb_lock */

/* ---- What the host knows ---- */
bit host[PAGES];	/* the stub's mapping */
byte word = 1;		/* stub_data->futex: bit 0 = in kernel, the rest counts entries */
bit alarm;		/* SIGALRM is pending for the stub */
bit running;		/* the stub runs user code, or may at any instant */
bit excursion;		/* stub_data->restart_wait: queued calls only, no user code */

#ifdef NO_GENERATION
#define IN_CHILD(w)	((w) == 0)
#define enter_word(w)	0
#define leave_word(w)	1
#else
#define IN_CHILD(w)	(((w) & 1) == 0)
#define enter_word(w)	((w) + 1)
#define leave_word(w)	((w) + 1)
#endif

/* ---- The host's futex: comparing and falling asleep is one step ---- */
#define STUB	0
#define CPU	1
#define FLUSH	2	/* and 3 */
bit asleep[4];

byte spurious = SPURIOUS;

/* The first half of FUTEX_WAIT, with the look at the word that is before it in the code. */
#ifdef SPLIT_WAIT
#define FUTEX_QUEUE(me, value)	word == value -> asleep[me] = 1
#else
#define FUTEX_QUEUE(me, value)	atomic { word == value -> asleep[me] = 1 }
#endif

/* The second half. EINTR and spurious wake-ups: callers look at the word again. */
inline futex_sleep(me)
{
	atomic {
		if
		:: !asleep[me]
		:: spurious > 0 -> spurious--; asleep[me] = 0
		fi
	}
}

inline wake_all()
{
	atomic { asleep[0] = 0; asleep[1] = 0; asleep[2] = 0; asleep[3] = 0 }
}

inline wake_one()
{
	atomic {
		if
		:: asleep[0] -> asleep[0] = 0
		:: asleep[1] -> asleep[1] = 0
		:: asleep[2] -> asleep[2] = 0
		:: asleep[3] -> asleep[3] = 0
		:: !asleep[0] && !asleep[1] && !asleep[2] && !asleep[3]
		fi
	}
}

inline lock(l)
{
	atomic { !l -> l = 1 }
}

inline unlock(l)
{
	l = 0
}

/* No user code with a mapping that a returned flush was to end. */
inline no_stale_mapping()
{
	assert(!(running && ((freed[0] && host[0] == OLD) || (freed[1] && host[1] == OLD))))
}

/* ---- The stub: a host process; every signal is blocked in its handler ---- */
byte leaves = LEAVES;

active proctype stub()
{
	byte seen = 1;

	goto wait;	/* start_userspace() has seen it in its handler */
leave:
	atomic { seen = leave_word(word); word = seen }
#ifdef STUB_WAKES_ONE
	wake_one();
#else
	wake_all();
#endif
wait:
	do
	:: FUTEX_QUEUE(STUB, seen); futex_sleep(STUB)
	:: word != seen -> break
	od;
	/* the queued calls */
	atomic {
		if
		:: queued[0] -> queued[0] = 0; host[0] = NEW
		:: else
		fi;
		if
		:: queued[1] -> queued[1] = 0; host[1] = NEW
		:: else
		fi
	}
	if
	:: excursion -> excursion = 0; goto leave
	:: else
	fi;
	/* rt_sigreturn: unblocks signals and runs user code, until the handler is entered */
	atomic { running = 1; no_stale_mapping() }
end_user:
	atomic {
		if
		:: alarm -> alarm = 0
		:: leaves > 0 -> leaves--	/* a system call, a fault */
		fi;
		running = 0
	}
	goto leave
}

/* Sent by flushers and by the timer: stays pending while the stub has signals blocked. */
inline kick()
{
#ifdef KICK_NOT_PENDING
	alarm = alarm || running
#else
	alarm = 1
#endif
}

/* ---- The CPU thread: a UML CPU in userspace() ---- */
byte ticks = TICKS;

/* A timer interrupt, where the CPU thread has them on: the stub is to leave, if it runs. */
inline timer()
{
	if
	:: atomic { ticks > 0 -> ticks-- }; kick()
	:: true
	fi
}

/*
 * The CPU does not go on with this thread before flush_irqs_off() has returned: that one runs
 * here itself (CONFIG_PREEMPT), or holds what an interrupt handler waits for.
 */
inline stalled()
{
	if
	:: true -> freed[1]
	:: true
	fi
}

/* Stores "in child" and wakes the stub. */
inline start_stub()
{
	atomic { mine = enter_word(word); word = mine }
}

inline wake_stub()
{
#ifdef ENTRY_WAKES_ONE
	wake_one()
#else
	wake_all()
#endif
}

/* With room for one call only, the queue is run by the stub in between, under both locks. */
inline run_queue()
{
	excursion = 1;
	start_stub();
	wake_stub();
	do
	:: FUTEX_QUEUE(CPU, mine); futex_sleep(CPU)
	:: word != mine -> break
	od
}

inline sync_page(i)
{
	if
	:: pending[i] ->
		if
		:: queued[0] || queued[1] -> run_queue()
		:: else
		fi;
		atomic { queued[i] = (pte[i] == NEW); pending[i] = 0 }
	:: else
	fi
}

inline tlb_sync()
{
	lock(ptl);
	lock(sync_lock);
	sync_page(0);
	sync_page(1);
	unlock(sync_lock);
	unlock(ptl)
}

/* A system call that copies to the second page; the host mapping is the kernel's own. */
inline copy_to_user()
{
#ifndef COPY_UNLOCKED
	lock(ptl);
#endif
	copied = pte[1];
	assert(!(freed[1] && copied == OLD));
#ifndef COPY_UNLOCKED
	unlock(ptl)
#endif
}

active proctype cpu_thread()
{
	byte mine;
#ifdef COPY
	bit copied;
#endif

	do
	::
#ifdef COPY
	   copy_to_user();
#endif
	   /* enter */
#ifdef NO_RECHECK
	   tlb_sync();
	   lock(sync_lock);
#else
	   do
	   :: lock(sync_lock);
	      if
	      :: pending[0] || pending[1] -> unlock(sync_lock); tlb_sync()
	      :: else -> break
	      fi
	   od;
#endif
#ifdef STORE_UNLOCKED
	   unlock(sync_lock);
	   start_stub();
#else
#ifdef STALLED_UNDER_LOCK
	   stalled();
#endif
	   start_stub();
	   unlock(sync_lock);
#endif
#ifndef NO_STALL
	   stalled();
#endif
	   wake_stub();
	   /* wait for the stub to leave */
	   do
	   :: FUTEX_QUEUE(CPU, mine);
	      timer();
	      stalled();
end_in_user:  futex_sleep(CPU)
	   :: word != mine -> break
	   od
	od
}

/* ---- Flushers ---- */
#ifdef STOCK
inline flush(me, page)
{
	lock(sync_lock);
	pending[page] = 1;
	unlock(sync_lock)
}
#else
inline flush(me, page)
{
#ifdef READ_BEFORE_MARK
	seen = word;
#endif
	lock(sync_lock);
	pending[page] = 1;
	unlock(sync_lock);
#ifndef READ_BEFORE_MARK
	seen = word;
#endif
	if
	:: IN_CHILD(seen) ->
#ifndef NO_KICK
		kick();
#endif
#ifndef FLUSHER_WAKES_NOBODY
		wake_all();	/* the stub, when its CPU is stalled before it could */
#endif
		do
		:: FUTEX_QUEUE(me, seen); futex_sleep(me)
		:: word != seen -> break
		od
	:: else
	fi
}
#endif

inline free_page(page)
{
	atomic { freed[page] = 1; no_stale_mapping() }
}

#ifdef BATCH
/* Takes a page and remembers the newest stay in which that was, to be ended later. */
inline take(page)
{
	lock(ptl);
	pte[page] = NEW;
#ifdef READ_BEFORE_MARK
	seen = word;
#endif
	lock(sync_lock);
	pending[page] = 1;
	unlock(sync_lock);
#ifndef READ_BEFORE_MARK
	seen = word;
#endif
	if
#ifdef OLDEST_STAY
	:: IN_CHILD(seen) && !IN_CHILD(stay) -> stay = seen
#else
	:: IN_CHILD(seen) -> stay = seen
#endif
	:: else
	fi;
	unlock(ptl)
}

/* Reclaim: two pages, one flush, and then both are free. */
active proctype reclaim()
{
	byte seen, stay = 1;

	if
	:: true -> take(0); take(1)
	:: true -> take(1); take(0)
	fi;
#ifndef NO_BATCH_FLUSH
	seen = word;
	if
	:: IN_CHILD(stay) && seen == stay ->
#ifndef NO_KICK
		kick();
#endif
		do
		:: FUTEX_QUEUE(FLUSH, stay); futex_sleep(FLUSH)
		:: word != stay -> break
		od
	:: else
	fi;
#endif
	free_page(0);
	free_page(1)
}
#else
/* Holds the page-table lock, which the entry needs to sync, until the page is free. */
active proctype flush_under_ptl()
{
	byte seen;

	lock(ptl);
	pte[0] = NEW;
	flush(FLUSH, 0);
	free_page(0);
	unlock(ptl)
}

/* Has interrupts off; the CPU thread may be stalled until it has returned. */
active proctype flush_irqs_off()
{
	byte seen;

	lock(ptl);
	pte[1] = NEW;
	unlock(ptl);
	flush(FLUSH + 1, 1);
	free_page(1)
}
#endif

#ifdef LIVENESS
/* Every flush ends, though user code may never leave by itself. */
ltl flushes_end { <> (freed[0] && freed[1]) }
#endif
