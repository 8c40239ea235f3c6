/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who is where: attach, fork, exit and rmdir, which meet in container groups.
 * README.md says which line of kernel/container each part stands for and what is left out.
 *
 * One hierarchy with containers A and B below the root, one task in A that may make a child, two
 * writes of either task to `tasks` (or of their process to `procs`) of any container, one rmdir
 * of A. Without -D switches this
 * is the protocol; each switch takes one part of it away (run.sh has the list, and what Spin
 * must then find).
 */

#define ROOT	0
#define A	1
#define B	2
#define NONE	255

/* ---- Groups: objects that are made, shared, dropped and freed ---- */
#define GROUPS	6
#define INIT	0		/* init_membership: never freed */
byte ref[GROUPS];
bit alive[GROUPS];		/* the memory is a group, or an RCU reader may still look at it */
bit hashed[GROUPS];
byte where[GROUPS];		/* the container; immutable while alive */
byte readers;			/* in rcu_read_lock() sections */

/* ---- Containers ---- */
bit dead[3];
byte groups_of[3];		/* the length of container.groups */

/* ---- Tasks ---- */
#define TASKS	2
byte group[TASKS];		/* task->containers */
bit visible[TASKS];
bit exiting[TASKS];		/* PF_EXITING */
bit gone[TASKS];

/* ---- Locks ---- */
bit mutex;			/* container_mutex */
bit group_lock;
bit task_lock[TASKS];
byte thread_readers;		/* container_thread_rwsem */
bit thread_writer;
bit clones;			/* task->container_clones of the first task */
bit moves_alone;		/* is it that process? */

byte running_processes;

inline lock(l)
{
	atomic { !l -> l = 1 }
}

inline unlock(l)
{
	l = 0
}

/* kfree_rcu(): when nobody who could have seen it is left */
inline free(g)
{
#ifdef NO_GRACE
	alive[g] = 0
#else
	atomic { readers == 0 -> alive[g] = 0 }
#endif
}

/* container_group_put(): the last one unhashes and unlinks in one section of group_lock */
inline put(g)
{
#ifdef PUT_OUTSIDE_LOCK
	atomic { assert(alive[g]); ref[g]--; last = (ref[g] == 0) }
	if
	:: last -> lock(group_lock)
	:: else
	fi;
#else
	atomic {
		assert(alive[g]);
		if
		:: ref[g] > 1 -> ref[g]--; last = 0
		:: else -> last = 1
		fi
	}
	if
	:: last ->
		lock(group_lock);
		atomic { ref[g]--; last = (ref[g] == 0) }
		if
		:: !last -> unlock(group_lock)
		:: else
		fi
	:: else
	fi;
#endif
	if
	:: last ->
		hashed[g] = 0;
		groups_of[where[g]]--;
		unlock(group_lock);
		free(g)
	:: else
	fi
}

#ifdef LOOKUP_UNCHECKED
#define found(g, c)	(hashed[g] && where[g] == c)
#else
#define found(g, c)	(hashed[g] && where[g] == c && ref[g] > 0)
#endif

/* container_group_find(): the group of a container, found or made, referenced; in "to" */
inline find_group(c)
{
	atomic {	/* refcount_inc_not_zero() */
		to = (c == ROOT -> INIT : 1);
		do
		:: to < GROUPS && found(to, c) -> ref[to]++; break
		:: to < GROUPS && !found(to, c) -> to++
		:: to == GROUPS -> break
		od
	}
	if
	:: to < GROUPS
	:: else ->
		atomic {	/* not seen by anybody yet */
			to = 1;
			do
			:: !alive[to] -> break
			:: else -> to++
			od;
			alive[to] = 1; ref[to] = 1; where[to] = c
		}
		lock(group_lock);
		hashed[to] = 1;
		groups_of[c]++;
		unlock(group_lock)
	fi
}

/* no task that can be found is in a container that was removed */
inline nobody_in_the_dead()
{
	atomic {
		assert(!(visible[0] && dead[where[group[0]]]));
		assert(!(visible[1] && dead[where[group[1]]]))
	}
}

/* move_task(): "to" gives its reference away */
inline swap(t)
{
	from = group[t];
	group[t] = to;
	unlock(task_lock[t]);
	put(from)
}

inline move_task(t)
{
#ifdef THREADS	/* nobody exits */
	lock(task_lock[t]);
	swap(t)
#else
#ifdef EXITING_UNLOCKED
	leaves = exiting[t];
#endif
	lock(task_lock[t]);
#ifndef EXITING_UNLOCKED
	leaves = exiting[t];
#endif
	if
	:: leaves ->
		unlock(task_lock[t]);
		put(to)
	:: else -> swap(t)
	fi
#endif
}

/* ---- exit: container_exit() ---- */
inline leave(t)
{
	exiting[t] = 1;
	lock(task_lock[t]);
	from = group[t];
	group[t] = INIT;
	unlock(task_lock[t]);
	put(from);
	gone[t] = 1
}

proctype child(byte me)
{
	byte from;
	bit last;

#ifndef THREADS
	leave(me);
#endif
	running_processes--
}

/* ---- fork: container_can_fork() to container_post_fork(), then exit ---- */
proctype parent()
{
	byte from, g = NONE;
	bit last;

	if
	:: true	/* a task that makes no child */
#ifdef THREADS
	:: true ->
#ifndef FORK_READS_FIRST
		atomic { !thread_writer -> thread_readers++ }
#endif
		/* thread_begins() */
		clones = 1;
#ifndef THREAD_DOES_NOT_WAIT
		if
		:: moves_alone -> lock(mutex); unlock(mutex)
		:: else
		fi;
#endif
#else
	:: true ->
#endif
		atomic { readers++ }
		do
		:: g = group[0];
			atomic {
				assert(alive[g]);
#ifdef GET_UNCHECKED
				ref[g]++; break
#else
				if
				:: ref[g] > 0 -> ref[g]++; break
				:: else		/* an attach has swapped the pointer: again */
				fi
#endif
			}
		od;
		readers--;
#ifdef FORK_READS_FIRST
		atomic { !thread_writer -> thread_readers++ }
#endif
		group[1] = g;
		visible[1] = 1;
		nobody_in_the_dead();
#ifdef THREADS
		clones = 0;
		thread_readers--;
#endif
		running_processes++;
		run child(1)
	fi;
#ifndef THREADS
	leave(0);
#endif
	running_processes--
}

/* ---- a write to `tasks`, or with THREADS to `procs` ---- */
proctype writer()
{
	byte to, from, c, t;
	bit last;
#ifdef THREADS
	bit alone;
#else
	bit leaves;
#endif

	if
	:: c = A
	:: c = B
#ifdef THREADS
	:: c = ROOT
#endif
	fi;
#ifndef THREADS
	if
	:: t = 0
	:: t = 1
	fi;
#endif
#ifdef THREADS
	/* MOVE_ALONE: container_moving_alone() */
	lock(mutex);
	moves_alone = 1;
#ifdef COUNT_FIRST
	alone = !visible[1];
	alone = alone && !clones;
#else
#ifdef CLONES_NOT_LOOKED_AT
	alone = 1;
#else
	alone = !clones;
#endif
	alone = alone && !visible[1];
#endif
	if
	:: alone && !dead[c] ->
		find_group(c);
		move_task(0);
		nobody_in_the_dead()
	:: else
	fi;
	moves_alone = 0;
	unlock(mutex);
	if
	:: alone -> goto done
	:: else
	fi;
	/* MOVE_PROCESS */
	atomic { !thread_writer && thread_readers == 0 -> thread_writer = 1 }
#endif
	lock(mutex);
	if
	:: !dead[c] && visible[t] ->
#ifdef THREADS	/* all threads; the leader comes first */
		do
		:: t < TASKS && visible[t] ->
#endif
			find_group(c);
			move_task(t);
			nobody_in_the_dead();
#ifdef THREADS
			t++
		:: else -> break
		od
#endif
	:: else
	fi;
	unlock(mutex);
#ifdef THREADS
	thread_writer = 0;
done:
#endif
	running_processes--
}

/* ---- rmdir ---- */
proctype remover()
{
	bit busy;

#ifndef RMDIR_UNLOCKED
	lock(mutex);
#endif
	lock(group_lock);
	busy = groups_of[A] != 0;
	unlock(group_lock);
	if
	:: busy
	:: else ->
		dead[A] = 1;
		nobody_in_the_dead()
	fi;
#ifndef RMDIR_UNLOCKED
	unlock(mutex);
#endif
	running_processes--
}

/* ---- At rest: no reference without a task, no task without its reference ---- */
init
{
	byte ghosts, i;

	atomic {
		alive[INIT] = 1;
		hashed[INIT] = 1;
		ref[INIT] = 1;
		where[INIT] = ROOT;
		alive[1] = 1;
		hashed[1] = 1;
		ref[1] = 1;
		where[1] = A;
		groups_of[A] = 1;
		group[0] = 1;
		visible[0] = 1;
		running_processes = 4;
		run parent();
		run writer();
		run writer();
		run remover()
	}
	running_processes == 0;
	atomic {
#ifdef THREADS
		bool together;

		together = !visible[1] || where[group[0]] == where[group[1]];
		assert(together)
#else
		ghosts = ref[INIT] - 1 + groups_of[A] + groups_of[B];
		i = 1;
		do
		:: i < GROUPS -> ghosts = ghosts + ref[i] + hashed[i]; i++
		:: else -> break
		od;
		assert(ghosts == 0)
#endif
	}
}
