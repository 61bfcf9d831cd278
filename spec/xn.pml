/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A Promela model of what keeps a disk of xn (docs/xn.md, module/core/xn_*.c) right across a power failure:
 * two roots on a small disk with a volatile write cache allocate, free, write data and change units, commit,
 * flush, checkpoint; the power fails anywhere, in the recovery, too. spec/xn-check has SPIN look at all of it.
 *
 * Each of these takes one rule away, and SPIN must find what then goes wrong:
 *
 *	NO_WAIT		freed blocks are free before the free is durable
 *	NO_DRAIN	a block is freed although data is being written to it
 *	NO_PREFLUSH	a commit doesn't flush the data that it says is initialised
 *	LATE_MARK	what is marked initialised is looked up after the flush, not before
 *	NO_FUA		a commit is acknowledged before it is durable
 *	NO_CRC		a torn transaction is replayed as far as it goes
 *	NO_INIT		a block is marked initialised when it is allocated
 *	NO_REVOKE	replay writes units home that a later transaction has freed
 *	EARLY_TAIL	the log is forgotten before the homes are flushed
 *	NO_REPLAY	units are not replayed: their homes are believed
 *
 * What is left out: trees of units and their owns functions (a root is a set of blocks here), reference counts,
 * wrapping of the log, torn home blocks (replay rewrites them as it rewrites stale ones).
 */
#ifndef BLOCKS
#define BLOCKS 3
#endif
#ifndef OPS
#define OPS 4		/* of the engine */
#endif
#ifndef WRITES
#define WRITES 2	/* of data */
#endif
#define ROOTS 2
#define LOG 3		/* transactions that the log has room for */

/* An entry of the map. 0: free. A life is from an allocation to its free, and has a number. */
#define DATA 1
#define UNIT 2
#define ENTRY(owner, kind, life) ((owner) | (kind) << 2 | (life) << 5)
#define INIT 16
#define OWNER(e) ((e) & 3)
#define KIND(e) ((e) >> 2 & 3)
#define LIFE(e) ((e) >> 5)
#define WHO(e) ((e) & ~INIT)
#define LIVES 7

/* Content of a block: data by its life, a unit by its life and version; 0: something of before. */
#define IMAGE(life, version) (8 + 2 * (life) + (version))

#define NOTHING 255	/* no record */

/* the device: what is on the platter, and what is in its cache */
byte platter[BLOCKS];
byte cache[BLOCKS];
bool dirty[BLOCKS];
byte flight[BLOCKS];	/* data that is being written */
byte home[BLOCKS];	/* the map */
byte home_cache[BLOCKS];
bool home_dirty[BLOCKS];
byte log_map[LOG * BLOCKS];
byte log_unit[LOG * BLOCKS];
byte logged;		/* transactions on the platter ... */
bool unsafe;		/* ... the last of which is in the cache only */
bool torn;		/* a transaction is being written, behind the logged ones */

/* the engine's memory */
byte now[BLOCKS];
byte now_unit[BLOCKS];
byte com[BLOCKS];	/* committed */
byte com_unit[BLOCKS];
bool written[BLOCKS];	/* data of this life has been written */
bool marked[BLOCKS];	/* this transaction says so */
byte lives = 2;
byte ops;
byte writes;
bool crashed;

/* what was promised */
byte ack[ROOTS * BLOCKS];
byte ack_unit[ROOTS * BLOCKS];
byte ack_data[BLOCKS];	/* life */
byte trying;		/* root */

byte rec[BLOCKS];
byte rec_unit[BLOCKS];
byte i, j, b, r;

#ifdef NO_WAIT
#define IS_FREE(b) (now[b] == 0)
#else
#define IS_FREE(b) (now[b] == 0 && com[b] == 0)
#endif
#ifdef NO_INIT
#define BORN INIT
#else
#define BORN 0
#endif
#ifdef NO_DRAIN
#define IS_QUIET(b) true
#else
#define IS_QUIET(b) (flight[b] == 0)
#endif

inline flush()
{
	d_step {
		for (i : 0 .. BLOCKS - 1) {
			if
			:: dirty[i] -> platter[i] = cache[i]; dirty[i] = false
			:: else
			fi;
			if
			:: home_dirty[i] -> home[i] = home_cache[i]; home_dirty[i] = false
			:: else
			fi
		}
		unsafe = false;
		i = 0
	}
}

inline mark()
{
	d_step {
		for (i : 0 .. BLOCKS - 1) {
			marked[i] = written[i] && KIND(now[i]) == DATA
		}
		i = 0
	}
}

/* Of root r; 0: only of what was written. */
inline build()
{
	d_step {
		for (i : 0 .. BLOCKS - 1) {
			log_map[logged * BLOCKS + i] = NOTHING;
			log_unit[logged * BLOCKS + i] = NOTHING;
			if
			:: marked[i] -> now[i] = now[i] | INIT
			:: else
			fi;
			if
			:: marked[i] && WHO(com[i]) == WHO(now[i]) && com[i] != now[i] ->
				log_map[logged * BLOCKS + i] = now[i]
			:: else
			fi;
			if
			:: r != 0 && OWNER(now[i]) == r && now[i] != com[i] -> log_map[logged * BLOCKS + i] = now[i]
			:: r != 0 && OWNER(now[i]) != r && OWNER(com[i]) == r -> log_map[logged * BLOCKS + i] = 0
			:: else
			fi;
			if
			:: r != 0 && OWNER(now[i]) == r && KIND(now[i]) == UNIT &&
			   (now_unit[i] != com_unit[i] || now[i] != com[i]) ->
				log_unit[logged * BLOCKS + i] = now_unit[i]
			:: else
			fi
		}
		i = 0
	}
}

/* The transaction is durable: what it says is committed. */
inline settle()
{
	d_step {
		for (i : 0 .. BLOCKS - 1) {
			if
			:: log_map[(logged - 1) * BLOCKS + i] != NOTHING ->
				com[i] = log_map[(logged - 1) * BLOCKS + i]
			:: else
			fi;
			if
			:: KIND(com[i]) != UNIT -> com_unit[i] = 0
			:: else
			fi;
			if
			:: log_unit[(logged - 1) * BLOCKS + i] != NOTHING ->
				com_unit[i] = log_unit[(logged - 1) * BLOCKS + i]
			:: else
			fi;
			if
			:: marked[i] -> ack_data[i] = LIFE(now[i])
			:: else
			fi;
			marked[i] = false;
			if
			:: r != 0 ->
				ack[(r - 1) * BLOCKS + i] = (OWNER(com[i]) == r -> WHO(com[i]) : 0);
				ack_unit[(r - 1) * BLOCKS + i] = (OWNER(com[i]) == r -> com_unit[i] : 0)
			:: else
			fi
		}
		trying = 0;
		i = 0
	}
}

inline checkpoint()
{
	d_step {
		for (i : 0 .. BLOCKS - 1) {
			home_cache[i] = com[i];
			home_dirty[i] = home[i] != com[i];
			if
			:: KIND(com[i]) == UNIT -> cache[i] = com_unit[i]; dirty[i] = true
			:: else
			fi
		}
		i = 0
	}
	if :: goto power_fails :: skip fi;
#ifndef EARLY_TAIL
	flush();
	if :: goto power_fails :: skip fi;
#endif
	logged = 0;
	unsafe = false
}

inline commit()
{
	if
	:: logged == LOG -> checkpoint()
	:: else
	fi;
	trying = r;
#ifndef LATE_MARK
	mark();
#endif
#ifndef NO_PREFLUSH
	flush();
#endif
	if :: goto power_fails :: skip fi;
#ifdef LATE_MARK
	mark();
#endif
	build();
	torn = true;
	if :: goto power_fails :: skip fi;
	torn = false;
	logged++;
#ifdef NO_FUA
	unsafe = true;
#endif
	if :: goto power_fails :: skip fi;
	settle()
}

/* The loser is chance: each write in the cache, or in flight, is there or not. */
inline lose()
{
	b = 0;
	do
	:: b < BLOCKS ->
		if
		:: dirty[b] -> platter[b] = cache[b]
		:: skip
		fi;
		if
		:: flight[b] != 0 -> platter[b] = flight[b]
		:: skip
		fi;
		if
		:: home_dirty[b] -> home[b] = home_cache[b]
		:: skip
		fi;
		d_step { dirty[b] = false; flight[b] = 0; home_dirty[b] = false; cache[b] = 0; home_cache[b] = 0 }
		b++
	:: else -> break
	od;
	if
	:: unsafe -> logged--
	:: skip
	fi;
	if
	:: torn -> logged++;
#ifdef NO_CRC
		b = 0;
		do
		:: b < BLOCKS ->
			if
			:: log_map[(logged - 1) * BLOCKS + b] = NOTHING
			:: log_unit[(logged - 1) * BLOCKS + b] = NOTHING
			:: skip
			fi;
			b++
		:: else -> break
		od
#endif
	:: skip
	fi;
	skip;
	d_step { torn = false; unsafe = false; b = 0 }
}

inline replay()
{
	d_step {
		for (i : 0 .. BLOCKS - 1) {
			rec[i] = home[i];
			rec_unit[i] = NOTHING
		}
		j = 0;
		do
		:: j < logged ->
			for (i : 0 .. BLOCKS - 1) {
				if
				:: log_map[j * BLOCKS + i] != NOTHING ->
					rec[i] = log_map[j * BLOCKS + i];
#ifndef NO_REVOKE
					if
					:: KIND(rec[i]) != UNIT -> rec_unit[i] = NOTHING
					:: else
					fi
#endif
				:: else
				fi;
#ifndef NO_REPLAY
				if
				:: log_unit[j * BLOCKS + i] != NOTHING -> rec_unit[i] = log_unit[j * BLOCKS + i]
				:: else
				fi
#endif
			}
			j++
		:: else -> break
		od;
		i = 0; j = 0
	}
	/* home: some of it before the power fails once more, then all */
	b = 0;
	do
	:: b < BLOCKS ->
		if
		:: rec_unit[b] != NOTHING && platter[b] != rec_unit[b] -> platter[b] = rec_unit[b]
		:: home[b] != rec[b] -> home[b] = rec[b]
		:: skip
		fi;
		b++
	:: else -> break
	od;
	b = 0
}

inline replay_all()
{
	replay();
	/* what an interrupted recovery has written changes nothing of what the next one finds */
	replay();
	d_step {
		for (i : 0 .. BLOCKS - 1) {
			if
			:: rec_unit[i] != NOTHING -> platter[i] = rec_unit[i]
			:: else
			fi
		}
		i = 0
	}
}

/* Is root r as it was promised: the last acknowledged commit, or the one that ran? */
inline judge()
{
	d_step {
		bool old = true, new = true;

		for (i : 0 .. BLOCKS - 1) {
			j = (OWNER(rec[i]) == r -> WHO(rec[i]) : 0);
			old = old && j == ack[(r - 1) * BLOCKS + i] &&
			      (KIND(j) != UNIT || platter[i] == ack_unit[(r - 1) * BLOCKS + i]);
			new = new && j == (OWNER(now[i]) == r -> WHO(now[i]) : 0) &&
			      (KIND(j) != UNIT || platter[i] == now_unit[i])
		}
		assert(old || (trying == r && new));
		for (i : 0 .. BLOCKS - 1) {
			if
			:: KIND(rec[i]) == DATA ->
				/* nobody's but what this life has written can be read */
				assert((rec[i] & INIT) == 0 || platter[i] == LIFE(rec[i]));
				/* what was acknowledged can be */
				assert(ack_data[i] != LIFE(rec[i]) || (rec[i] & INIT) != 0)
			:: else
			fi
		}
		i = 0; j = 0
	}
}

proctype writer()
{
	byte at;

	do
	:: atomic {
		!crashed && writes < WRITES ->
		select(at : 0 .. BLOCKS - 1);
		if
		:: KIND(now[at]) == DATA && flight[at] == 0 -> flight[at] = LIFE(now[at]); writes++
		:: else -> at = 0; goto again
		fi
	   }
	   if
	   :: atomic {
		!crashed ->
		cache[at] = flight[at];
		dirty[at] = true;
		written[at] = true;
		flight[at] = 0;
		at = 0
	      }
	   :: crashed -> break
	   fi;
again:	   skip
	:: crashed || writes == WRITES -> break
	od
}

proctype engine()
{
	do
	:: ops < OPS ->
		atomic {
			ops++;
			select(r : 1 .. ROOTS);
			select(b : 0 .. BLOCKS - 1);
			if
			:: IS_FREE(b) && lives < LIVES ->
				lives++;
				written[b] = false;
				if
				:: now[b] = ENTRY(r, DATA, lives) | BORN
				:: now[b] = ENTRY(r, UNIT, lives); now_unit[b] = IMAGE(lives, 0)
				fi;
				b = 0; r = 0; goto next
			:: OWNER(now[b]) == r && IS_QUIET(b) ->
				now[b] = 0; now_unit[b] = 0; written[b] = false; b = 0; r = 0; goto next
			:: OWNER(now[b]) == r && KIND(now[b]) == UNIT ->
				now_unit[b] = IMAGE(LIFE(now[b]), 1 - (now_unit[b] & 1)); b = 0; r = 0; goto next
			:: b == 0 -> skip		/* commit */
			:: b == 0 && r == 1 -> r = 0	/* flush of data */
			:: b == 1 && r == 1 -> r = 3	/* checkpoint */
			:: else -> ops--; b = 0; r = 0; goto next
			fi;
			b = 0
		}
		if
		:: r == 3 -> checkpoint()
		:: else -> commit()
		fi;
		r = 0;
next:		skip
	:: goto power_fails
	od;
power_fails:
	atomic {
		crashed = true;
		lose();
		replay_all();
		r = 1; judge();
		r = 2; judge()
	}
}

init {
	/* Root 1 has block 0, durable; what is in the others was somebody's. */
	d_step {
		now[0] = ENTRY(1, DATA, 1) | INIT;
		com[0] = now[0];
		home[0] = now[0];
		ack[0] = WHO(now[0]);
		ack_data[0] = 1;
		platter[0] = 1;
		cache[0] = 1;
		written[0] = true;
		/* Root 1 has a unit, too, in block 1; it is in the log only. */
		now[1] = ENTRY(1, UNIT, 2);
		com[1] = now[1];
		now_unit[1] = IMAGE(2, 0);
		com_unit[1] = IMAGE(2, 0);
		ack[1] = now[1];
		ack_unit[1] = IMAGE(2, 0);
		log_map[0] = NOTHING;
		log_unit[0] = NOTHING;
		log_map[1] = now[1];
		log_unit[1] = IMAGE(2, 0);
		log_map[2] = NOTHING;
		log_unit[2] = NOTHING;
		logged = 1
	}
	atomic {
		run writer();
		run engine()
	}
}
