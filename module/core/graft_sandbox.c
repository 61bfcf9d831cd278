// SPDX-License-Identifier: GPL-2.0 OR LGPL-2.1-or-later
/*
 * The sandbox's loads and stores. The address of each is one of (INV-GRAFT-14)
 *	the window's base, from where it is kept, plus a constant inside the window,
 *	AX = (a register + constant) & mask + the window's base, less at most SPAN_MAX.
 * The architectural decision stands before it and is the interpreter's: see exo_facts_lookahead() for
 * when it may come early. A constant address needs a check only against the end of the data.
 *
 * AX is what constant blinding uses: it is lost at each instruction with an immediate, but for those
 * on AX itself, which are not blinded. The immediates of those are limits of the window and offsets of
 * 16 bits, which the graft may choose in a load's displacement anyway.
 */
#include "core/graft_lower.h"

static u64 limit_max(const struct lower *l)
{
	return l->layout->start[EXO_REGION_DATA] + l->prog->hook->data_cap;
}

/* Is the end of what may be read (written) the end of the data? */
static bool has_limit(const struct lower *l, bool write)
{
	return l->prog->hook->data_cap && (!write || l->prog->hook->flags & EXO_HOOK_DATA_WRITABLE);
}

static bool never(struct lower *l, u32 status)
{
	exo_lower_abort_if(l, EXO_JMP | EXO_JA, 0, 0, 0, status);
	return false;
}

/* A register with the base in it; it may be AX. */
static void load_base(struct lower *l)
{
	if (l->home[HOME_BASE] != NO_REG) {
		l->used |= 1U << HOME_BASE;
		l->base = l->home[HOME_BASE];
	} else {
		if (l->ax != AX_CONST || l->ax_off) {
			exo_lower_home(l, HOME_BASE, EXO_AX);
			l->ax = AX_CONST;
			l->ax_off = 0;
		}
		l->base = EXO_AX;
	}
}

/* Translates a constant address that is inside the window. */
static void constant(struct lower *l, s64 address)
{
	s32 page;

	if (l->ax == AX_CONST && address - l->ax_off >= 0 && address - l->ax_off <= 32767) {
		l->base = EXO_AX;
		l->off = (s16)(address - l->ax_off);
		return;
	}
	if (address <= 32767) {
		load_base(l);
		l->off = (s16)address;
		return;
	}
	page = (s32)(address & ~4095LL);
	load_base(l);
	if (l->base != EXO_AX)
		exo_lower_emit(l, EXO_ALU64 | EXO_MOV | EXO_X, EXO_AX, l->base, 0, 0);
	exo_lower_emit(l, EXO_ALU64 | EXO_ADD | EXO_K, EXO_AX, 0, 0, page - (l->base == EXO_AX ? l->ax_off : 0));
	l->ax = AX_CONST;
	l->ax_off = page;
	l->base = EXO_AX;
	l->off = (s16)(address - page);
}

static bool access_constant(struct lower *l, s64 address, u32 size, bool write, bool atomic)
{
	u64 lo = write ? l->layout->write_lo : l->layout->read_lo;
	u64 hi = write ? l->layout->write_hi : l->layout->read_hi;
	u64 end = (u64)address + size;

	if (address < 0 || (u64)address < lo || (atomic && address & (size - 1)))
		return never(l, EXO_GRAFT_ABORT_ACCESS);
	/* Nor may a mispredicted branch make an address that isn't in the window. */
	if (end > hi && (!has_limit(l, write) || end > limit_max(l)))
		return never(l, EXO_GRAFT_ABORT_ACCESS);
	if (end > hi && end > l->now.limit) {
		l->ax = AX_NONE;
		exo_lower_home(l, HOME_LIMIT, EXO_AX);
		exo_lower_abort_if(l, EXO_JMP | EXO_JLT | EXO_K, EXO_AX, 0, (s32)end, EXO_GRAFT_ABORT_ACCESS);
		l->now.limit = (u32)end;
	}
	constant(l, address);
	return true;
}

static void ax_from(struct lower *l, u8 reg, s32 off)
{
	l->ax = AX_NONE;
	exo_lower_emit(l, EXO_ALU64 | EXO_MOV | EXO_X, EXO_AX, reg, 0, 0);
	if (off)
		exo_lower_emit(l, EXO_ALU64 | EXO_ADD | EXO_K, EXO_AX, 0, 0, off);
}

/*
 * Aborts unless lo <= reg + span.lo and reg + span.hi <= hi, without wrapping around. Leaves
 * AX = reg + span.hi. Returns false if no register value is good.
 *
 * lo + (span.hi - span.lo) <= reg + span.hi <= hi is the same, whatever wraps.
 */
static bool check(struct lower *l, u8 reg, const struct span *span, u64 lo, u64 hi, bool limit)
{
	s32 least = (s32)lo + (span->hi - span->lo);
	u64 max = limit ? limit_max(l) : hi;
	u8 end;

	if ((u64)least > max)
		return never(l, EXO_GRAFT_ABORT_ACCESS);
	if (limit) {
		end = l->home[HOME_LIMIT];
		if (end == NO_REG) {
			end = exo_lower_take(l, 1U << reg);
			exo_lower_home(l, HOME_LIMIT, end);
		}
		l->used |= 1U << HOME_LIMIT;
		ax_from(l, reg, span->hi);
		exo_lower_abort_if(l, EXO_JMP | EXO_JGT | EXO_X, EXO_AX, end, 0, EXO_GRAFT_ABORT_ACCESS);
		if (l->home[HOME_LIMIT] == NO_REG)
			exo_lower_give(l, end);
	} else {
		ax_from(l, reg, span->hi);
		exo_lower_abort_if(l, EXO_JMP | EXO_JGT | EXO_K, EXO_AX, 0, (s32)hi, EXO_GRAFT_ABORT_ACCESS);
	}
	exo_lower_abort_if(l, EXO_JMP | EXO_JLT | EXO_K, EXO_AX, 0, least, EXO_GRAFT_ABORT_ACCESS);
	return true;
}

/* AX = reg + off, in the window: make it real. */
static void mask_and_add(struct lower *l, u8 reg, s32 off)
{
	u8 base = l->home[HOME_BASE];

	if (l->target->barriers)
		exo_lower_emit(l, EXO_ALU64 | EXO_AND | EXO_K, EXO_AX, 0, 0, (s32)l->layout->mask);
	if (base == NO_REG) {
		base = exo_lower_take(l, 1U << reg);
		exo_lower_home(l, HOME_BASE, base);
	}
	l->used |= 1U << HOME_BASE;
	exo_lower_emit(l, EXO_ALU64 | EXO_ADD | EXO_X, EXO_AX, base, 0, 0);
	if (l->home[HOME_BASE] == NO_REG)
		exo_lower_give(l, base);
	l->ax = reg;
	l->ax_off = off;
}

static bool within(const struct span *inner, const struct span *outer)
{
	return inner->lo >= outer->lo && inner->hi <= outer->hi;
}

/* Checks one span; AX = reg + span.hi if it had to. */
static bool check_span(struct lower *l, u8 reg, const struct span *span, bool write)
{
	u64 lo = write ? l->layout->write_lo : l->layout->read_lo;
	u64 hi = write ? l->layout->write_hi : l->layout->read_hi;

	if (!check(l, reg, span, lo, hi, has_limit(l, write)))
		return false;
	l->span[write][reg] = *span;
	/* What may be written may be read. */
	if (write && !within(span, &l->span[0][reg]))
		l->span[0][reg] = *span;
	return true;
}

/* Checks what the block accesses through @reg. Leaves AX = reg + @ax_off. */
static bool check_block(struct lower *l, u8 reg, bool write, s32 *ax_off)
{
	struct span hull[2];

	exo_facts_lookahead(l, reg, hull);
	if (hull[1].lo < hull[1].hi && (hull[0].lo >= hull[0].hi || within(&hull[0], &hull[1])))
		write = true;	/* which covers the loads */
	else if (hull[!write].lo < hull[!write].hi && !within(&hull[!write], &l->span[!write][reg]) &&
		 !check_span(l, reg, &hull[!write], !write))
		return false;
	*ax_off = hull[write].hi;
	return check_span(l, reg, &hull[write], write);
}

/* AX is about to become another address: the spare register takes it, if the block will want it again. */
static void hold(struct lower *l, u8 reg)
{
	u8 spare = l->home[HOME_SPARE];
	struct span hull[2];

	if (l->ax >= EXO_R10 || l->ax == reg || spare == NO_REG || l->working >> spare & 1)
		return;
	exo_facts_lookahead(l, l->ax, hull);
	if (hull[0].lo >= hull[0].hi && hull[1].lo >= hull[1].hi)
		return;
	l->held = l->ax;
	l->held_off = l->ax_off;
	exo_lower_emit(l, EXO_ALU64 | EXO_MOV | EXO_X, spare, EXO_AX, 0, 0);
}

static bool reaches(s32 off, s32 hi, s32 from)
{
	return off - from >= -SPAN_MAX && hi <= from;
}

static bool access_unknown(struct lower *l, u8 reg, s32 off, u32 size, bool write, bool atomic)
{
	struct span own = { off, off + (s32)size };
	bool fresh = false;
	s32 ax_off;

	if (within(&own, &l->span[write][reg]) && !atomic && l->held == reg && l->ax != reg &&
	    reaches(off, own.hi, l->held_off)) {
		l->base = l->home[HOME_SPARE];
		l->off = (s16)(off - l->held_off);
		return true;
	}
	hold(l, reg);
	if (!within(&own, &l->span[write][reg])) {
		if (!check_block(l, reg, write, &ax_off))
			return false;
		fresh = true;
	}
	if (atomic) {
		ax_from(l, reg, off);
		exo_lower_emit(l, EXO_ALU64 | EXO_AND | EXO_K, EXO_AX, 0, 0, (s32)size - 1);
		exo_lower_abort_if(l, EXO_JMP | EXO_JNE | EXO_K, EXO_AX, 0, 0, EXO_GRAFT_ABORT_ACCESS);
		fresh = false;
	}
	if (!fresh && (l->ax != reg || !reaches(off, own.hi, l->ax_off))) {
		ax_off = l->span[write][reg].hi - off <= SPAN_MAX ? l->span[write][reg].hi : own.hi;
		ax_from(l, reg, ax_off);
		fresh = true;
	}
	if (fresh)
		mask_and_add(l, reg, ax_off);
	l->base = EXO_AX;
	l->off = (s16)(off - l->ax_off);
	return true;
}

/**
 * exo_lower_access() - emit what stands before an access
 * @l: the state; @base and @off are where to access
 * @reg: the graft's base register
 * @off: its offset
 * @size: bytes
 * @write: or read
 * @atomic: must be aligned, too
 *
 * Return: false if it never succeeds; the abort was emitted.
 */
bool exo_lower_access(struct lower *l, u8 reg, s32 off, u32 size, bool write, bool atomic)
{
	s64 address = exo_facts_const(l, reg);

	if (address >= 0)
		return access_constant(l, address + off, size, write, atomic);
	return access_unknown(l, reg, off, size, write, atomic);
}

/**
 * exo_lower_argument() - check an argument of a helper, and make an address real
 * @l: the state
 * @arg: the prototype
 * @reg: the register
 *
 * Return: false if it is never good; the abort was emitted.
 */
bool exo_lower_argument(struct lower *l, const struct exo_helper_arg *arg, u8 reg)
{
	u64 lo = l->layout->start[EXO_REGION_STATE], hi = lo + l->prog->state_size;
	struct span span = { 0, (s32)arg->min };
	bool write = arg->type != EXO_ARG_READ;

	if (arg->type == EXO_ARG_NONE)
		return true;
	if (arg->type == EXO_ARG_SCALAR) {
		if (arg->min)
			exo_lower_abort_if(l, EXO_JMP | EXO_JLT | EXO_K, reg, 0, (s32)arg->min, EXO_GRAFT_ABORT_HELPER);
		if (arg->max != ~0ULL)
			exo_lower_abort_if(l, EXO_JMP | EXO_JGT | EXO_K, reg, 0, (s32)arg->max, EXO_GRAFT_ABORT_HELPER);
		return true;
	}
	if (arg->type == EXO_ARG_STATE) {
		ax_from(l, reg, 0);
		exo_lower_emit(l, EXO_ALU64 | EXO_AND | EXO_K, EXO_AX, 0, 0, 7);
		exo_lower_abort_if(l, EXO_JMP | EXO_JNE | EXO_K, EXO_AX, 0, 0, EXO_GRAFT_ABORT_ACCESS);
		if (!check(l, reg, &span, lo, hi, false))
			return false;
	} else if (!check_span(l, reg, &span, write)) {
		return false;
	}
	mask_and_add(l, reg, span.hi);
	exo_lower_emit(l, EXO_ALU64 | EXO_ADD | EXO_K, EXO_AX, 0, 0, -span.hi);
	exo_lower_emit(l, EXO_ALU64 | EXO_MOV | EXO_X, reg, EXO_AX, 0, 0);
	l->ax = AX_NONE;
	return true;
}

/* The JIT makes a loop of these, in which it needs AX itself. */
static bool needs_ax(const struct exo_insn *insn)
{
	return EXO_MODE(insn->code) == EXO_ATOMIC &&
	       (insn->imm == (EXO_AND | EXO_FETCH) || insn->imm == (EXO_OR | EXO_FETCH) ||
		insn->imm == (EXO_XOR | EXO_FETCH));
}

/* An address in AX must not meet an immediate: it would not be blinded. One byte is as good as none. */
static bool needs_value(const struct lower *l, const struct exo_insn *insn)
{
	s64 address = exo_facts_const(l, insn->dst);

	if (EXO_CLASS(insn->code) == EXO_STX)
		return insn->src == EXO_R10;
	if (EXO_CLASS(insn->code) != EXO_ST || (insn->imm >= -128 && insn->imm < 128))
		return false;
	return address < 0 || address + insn->off > 32767 || l->home[HOME_BASE] == NO_REG || l->ax == AX_CONST;
}

static void store(struct lower *l, const struct exo_insn *insn)
{
	u32 busy = 1U << insn->dst | 1U << insn->src | 1U << EXO_R0;
	bool atomic = EXO_MODE(insn->code) == EXO_ATOMIC, value = needs_value(l, insn);
	u8 code = insn->code, src = insn->src, work = NO_REG;
	s32 imm = insn->imm;

	if (value) {
		work = exo_lower_take(l, busy);
		exo_lower_emit(l, EXO_ALU64 | EXO_MOV | EXO_K, work, 0, 0,
			       EXO_CLASS(code) == EXO_ST ? imm : (s32)l->layout->start[EXO_REGION_STATE]);
		if (EXO_CLASS(code) == EXO_ST) {
			code = EXO_STX | EXO_MEM | EXO_SIZE(code);
			imm = 0;
		}
		src = work;
	}
	if (!exo_lower_access(l, insn->dst, insn->off, exo_insn_size(code), true, atomic)) {
		if (value)
			exo_lower_give(l, work);
		return;
	}
	if (l->base == EXO_AX && needs_ax(insn)) {
		work = exo_lower_take(l, busy);
		exo_lower_emit(l, EXO_ALU64 | EXO_MOV | EXO_X, work, EXO_AX, 0, 0);
		l->base = work;
	}
	exo_lower_emit(l, code, l->base, src, l->off, imm);
	if (work != NO_REG)
		exo_lower_give(l, work);
}

/** exo_lower_memory() - a load, store or atomic of the graft, in the sandbox */
void exo_lower_memory(struct lower *l, const struct exo_insn *insn)
{
	s64 address;

	if (EXO_CLASS(insn->code) == EXO_LDX) {
		address = exo_facts_const(l, insn->src);
		if (address >= 0)
			address += insn->off;
		if (exo_lower_access(l, insn->src, insn->off, exo_insn_size(insn->code), false, false))
			exo_lower_emit(l, insn->code, insn->dst, l->base, l->off, 0);
		exo_facts_load(l, insn->dst, address, exo_insn_size(insn->code));
		return;
	}
	store(l, insn);
	exo_facts_kill(l, exo_insn_writes(insn));
}
