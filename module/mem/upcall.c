// SPDX-License-Identifier: GPL-2.0
/*
 * Upcalls: a fault enters a handler in the faulting thread, without a signal.
 *
 * What the handler can't find out by itself (ip, sp, flags, the address) is written to a save
 * page that the application has mapped; all other registers stay as they were. The handler leaves
 * by a jump, or with EXO_MEM_RESUME.
 *
 * It is not delivered where it would break something (INV-FAULT-3): to system calls, 32-bit code,
 * inside an rseq critical section (whose abort looks at ip), in a single step, in a uprobe's slot.
 *
 * A registration is of a thread, by its struct pid, and an address space, both with references. The
 * fault side reads it under RCU.
 */
#include <linux/hash.h>
#include <linux/pagemap.h>
#include <linux/pid.h>
#include <linux/rculist.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <linux/slab.h>
#include <linux/task_work.h>
#include <linux/uaccess.h>
#include <linux/uprobes.h>
#include <asm/processor-flags.h>

#include "compat/mm.h"
#include "compat/rseq.h"
#include "mem/view.h"
#include "trace.h"
#include "vma.h"

#define HASH_BITS 6
#define SAVE_PAGES (EXO_UPCALL_SLOTS * EXO_UPCALL_LEVELS)

/* Flags that a C function expects clear, and those of debugging. */
#define FLAGS_CLEAR (X86_EFLAGS_DF | X86_EFLAGS_TF | X86_EFLAGS_AC | X86_EFLAGS_NT | X86_EFLAGS_RF)

/* Flags that user space may set. */
#define FLAGS_USER (X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF | X86_EFLAGS_ZF | \
		    X86_EFLAGS_SF | X86_EFLAGS_TF | X86_EFLAGS_DF | X86_EFLAGS_OF | X86_EFLAGS_AC | X86_EFLAGS_ID)

/**
 * struct upcall - a thread's registration
 * @node: in exo_upcalls.hash, by @pid
 * @pid, @mm: of the thread, with references
 * @slot: its save pages
 * @handler, @stack, @stride: see struct exo_mem_upcall
 */
struct upcall {
	struct hlist_node node;
	struct rcu_head rcu;
	struct pid *pid;
	struct mm_struct *mm;
	u32 slot;
	u64 handler;
	u64 stack;
	u64 stride;
};

/**
 * struct exo_upcalls - upcalls of an environment
 * @lock: guards all changes
 * @hash: registrations
 * @slot: the same, by slot
 * @save: save pages that exist; never freed before the environment
 */
struct exo_upcalls {
	struct mutex lock;
	struct hlist_head hash[1 << HASH_BITS];
	struct upcall *slot[EXO_UPCALL_SLOTS];
	struct exo_upcall_save *save[SAVE_PAGES];
};

/* The environment's upcalls, made at the first use; NULL without memory. */
static struct exo_upcalls *upcalls_get(struct exo_env *env)
{
	struct exo_upcalls *ups = smp_load_acquire(&env->mem->upcalls);
	struct exo_upcalls *other;

	if (ups)
		return ups;
	ups = kzalloc(sizeof(*ups), GFP_KERNEL_ACCOUNT);
	if (!ups)
		return NULL;
	mutex_init(&ups->lock);
	other = cmpxchg(&env->mem->upcalls, NULL, ups);
	if (other) {
		kfree(ups);
		return other;
	}
	return ups;
}

static struct upcall *upcall_find(struct exo_upcalls *ups, struct pid *pid)
{
	struct upcall *up;

	hlist_for_each_entry_rcu(up, &ups->hash[hash_ptr(pid, HASH_BITS)], node,
				 lockdep_is_held(&ups->lock))
		if (up->pid == pid)
			return up;
	return NULL;
}

static void upcall_remove(struct exo_upcalls *ups, struct upcall *up)
{
	hlist_del_rcu(&up->node);
	ups->slot[up->slot] = NULL;
	put_pid(up->pid);
	mmdrop(up->mm);
	kfree_rcu(up, rcu);
}

/**
 * exo_upcalls_free() - upcalls of a dying environment
 * @env: no thread can fault on one of its views any more
 *
 * Context: sleeps.
 */
void exo_upcalls_free(struct exo_env *env)
{
	struct exo_upcalls *ups = env->mem->upcalls;
	int i;

	if (!ups)
		return;
	env->mem->upcalls = NULL;
	mutex_lock(&ups->lock);
	for (i = 0; i < EXO_UPCALL_SLOTS; i++)
		if (ups->slot[i])
			upcall_remove(ups, ups->slot[i]);
	mutex_unlock(&ups->lock);
	for (i = 0; i < SAVE_PAGES; i++)
		free_page((unsigned long)ups->save[i]);
	kfree(ups);
}

/* Save pages -------------------------------------------------------------------------------- */

static struct exo_upcall_save *save_page(struct exo_upcalls *ups, u32 index)
{
	lockdep_assert_held(&ups->lock);
	if (!ups->save[index])
		ups->save[index] = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	return ups->save[index];
}

static vm_fault_t save_fault(struct vm_fault *vmf)
{
	struct exo_upcalls *ups = vmf->vma->vm_private_data;
	unsigned long index = vmf->pgoff - (EXO_MMAP_SAVE >> PAGE_SHIFT);
	struct exo_upcall_save *save;

	if (index >= SAVE_PAGES)
		return VM_FAULT_SIGBUS;
	mutex_lock(&ups->lock);
	save = save_page(ups, index);
	mutex_unlock(&ups->lock);
	if (!save)
		return VM_FAULT_OOM;
	vmf->page = virt_to_page(save);
	get_page(vmf->page);
	return 0;
}

static const struct vm_operations_struct save_vm_ops = {
	EXO_VMA_OPS,
	.fault = save_fault,
};

/**
 * exo_upcall_mmap() - map save pages
 * @env: whose; the mapping holds its file
 * @vma: new mapping, of some or all of them
 *
 * Context: mmap handler.
 * Return: 0; -EINVAL; -ENOMEM.
 */
int exo_upcall_mmap(struct exo_env *env, struct vm_area_struct *vma)
{
	unsigned long first = vma->vm_pgoff - (EXO_MMAP_SAVE >> PAGE_SHIFT);
	struct exo_upcalls *ups;
	int ret;

	if (first >= SAVE_PAGES || vma_pages(vma) > SAVE_PAGES - first)
		return -EINVAL;
	ret = exo_vma_init(vma, 0, true);
	if (ret)
		return ret;
	ups = upcalls_get(env);
	if (!ups)
		return -ENOMEM;
	vma->vm_private_data = ups;
	vma->vm_ops = &save_vm_ops;
	return 0;
}

/* Registration ------------------------------------------------------------------------------ */

/* Does the thread live? */
static bool is_alive(struct pid *pid)
{
	bool alive;

	rcu_read_lock();
	alive = pid_task(pid, PIDTYPE_PID);
	rcu_read_unlock();
	return alive;
}

static int upcall_unregister(struct exo_upcalls *ups, u32 slot)
{
	struct upcall *up = upcall_find(ups, task_pid(current));

	if (!up || up->slot != slot)
		return -ENOENT;
	upcall_remove(ups, up);
	return 0;
}

static int upcall_register(struct exo_upcalls *ups, const struct exo_mem_upcall *arg)
{
	struct upcall *up, *old = ups->slot[arg->slot];
	u32 level;

	if (old && old->pid != task_pid(current) && is_alive(old->pid))
		return -EBUSY;
	for (level = 0; level < EXO_UPCALL_LEVELS; level++)
		if (!save_page(ups, arg->slot * EXO_UPCALL_LEVELS + level))
			return -ENOMEM;
	up = kzalloc(sizeof(*up), GFP_KERNEL_ACCOUNT);
	if (!up)
		return -ENOMEM;
	up->pid = get_pid(task_pid(current));
	up->mm = current->mm;
	mmgrab(up->mm);
	up->slot = arg->slot;
	up->handler = arg->handler;
	up->stack = arg->stack;
	up->stride = arg->stride;

	if (old)
		upcall_remove(ups, old);
	/* A thread has one. */
	old = upcall_find(ups, up->pid);
	if (old)
		upcall_remove(ups, old);
	ups->slot[up->slot] = up;
	hlist_add_head_rcu(&up->node, &ups->hash[hash_ptr(up->pid, HASH_BITS)]);
	return 0;
}

static bool upcall_ok(const struct exo_mem_upcall *arg)
{
	if ((arg->flags & ~EXO_UPCALL_REMOVE) || arg->reserved || arg->slot >= EXO_UPCALL_SLOTS)
		return false;
	if (arg->flags & EXO_UPCALL_REMOVE)
		return !arg->handler && !arg->stack && !arg->stride;
	return arg->handler && arg->handler < TASK_SIZE_MAX && !(arg->stack % 64) &&
	       !(arg->stride % 64) && arg->stack && arg->stack < TASK_SIZE_MAX &&
	       arg->stride < (TASK_SIZE_MAX - arg->stack) / EXO_UPCALL_LEVELS;
}

/**
 * exo_mem_upcall_op() - EXO_MEM_UPCALL
 * @env: caller's
 * @arg: struct exo_mem_upcall
 *
 * Context: sleeps; the thread itself.
 * Return: 0; -EINVAL; -EBUSY: another live thread has the slot; -ENOENT: nothing to remove;
 * -ENOMEM.
 */
int exo_mem_upcall_op(struct exo_env *env, void *arg)
{
	struct exo_mem_upcall *upcall = arg;
	struct exo_upcalls *ups;
	int ret;

	if (!upcall_ok(upcall))
		return -EINVAL;
	upcall->slot = array_index_nospec(upcall->slot, EXO_UPCALL_SLOTS);
	ups = upcalls_get(env);
	if (!ups)
		return -ENOMEM;
	mutex_lock(&ups->lock);
	if (upcall->flags & EXO_UPCALL_REMOVE)
		ret = upcall_unregister(ups, upcall->slot);
	else
		ret = upcall_register(ups, upcall);
	mutex_unlock(&ups->lock);
	return ret;
}

/* Delivery ---------------------------------------------------------------------------------- */

static bool in_uprobe(void)
{
#ifdef CONFIG_UPROBES
	return current->utask && current->utask->state != UTASK_RUNNING;
#else
	return false;
#endif
}

/* 1 or 0; -EFAULT if the area that says it is not in memory. */
static int in_rseq(unsigned long ip)
{
	struct rseq_cs cs __attribute__((__uninitialized__));
	struct rseq __user *area = exo_rseq_area();
	u64 ptr;
	int ret;

	if (!area)
		return 0;
	pagefault_disable();
	ret = __get_user(ptr, (u64 __user *)&area->rseq_cs);
	pagefault_enable();
	if (ret)
		return -EFAULT;
	if (likely(!ptr))
		return 0;
	if (copy_from_user_nofault(&cs, u64_to_user_ptr(ptr), sizeof(cs)))
		return -EFAULT;
	return ip - cs.start_ip < cs.post_commit_offset;
}

/* Give the lock back, bring the rseq area in, and have the access tried again. */
static vm_fault_t fault_in_rseq(struct vm_fault *vmf)
{
	struct rseq __user *area = exo_rseq_area();
	u64 ptr;

	if (!(vmf->flags & FAULT_FLAG_ALLOW_RETRY) || (vmf->flags & FAULT_FLAG_RETRY_NOWAIT))
		return 0;
	release_fault_lock(vmf);
	/* As the core does when it can't read it; else this would be tried for ever. */
	if (get_user(ptr, (u64 __user *)&area->rseq_cs) ||
	    (ptr && fault_in_readable(u64_to_user_ptr(ptr), sizeof(struct rseq_cs))))
		force_sig(SIGSEGV);
	return VM_FAULT_RETRY;
}

/* The first save page of the registration that is not busy, or NULL. */
static struct exo_upcall_save *free_level(struct exo_upcalls *ups, const struct upcall *up,
					  u32 *level)
{
	struct exo_upcall_save **save = &ups->save[up->slot * EXO_UPCALL_LEVELS];
	u32 i;

	for (i = 0; i < EXO_UPCALL_LEVELS; i++) {
		if (!READ_ONCE(save[i]->busy)) {
			*level = i;
			return save[i];
		}
	}
	return NULL;
}

static bool enter_handler(struct exo_view *view, struct exo_upcalls *ups, struct vm_fault *vmf,
			  u32 page, u32 fault)
{
	struct pt_regs *regs = task_pt_regs(current);
	struct upcall *up = upcall_find(ups, task_pid(current));
	struct exo_upcall_save *save;
	u32 level;

	if (!up || up->mm != current->mm)
		return false;
	save = free_level(ups, up, &level);
	if (!save)
		return false;

	save->ip = regs->ip;
	save->sp = regs->sp;
	save->flags = regs->flags & ~X86_EFLAGS_RF;
	save->address = vmf->real_address;
	save->view = view->number;
	save->page = page;
	save->fault = fault;
	WRITE_ONCE(save->busy, 1);

	regs->ip = up->handler;
	regs->sp = up->stack + level * up->stride;
	regs->flags &= ~FLAGS_CLEAR;
	trace_exo_upcall(view->env->number, view->number, page, up->slot, level);
	return true;
}

/**
 * exo_upcall_deliver() - let the thread's handler see to a fault
 * @view: of the fault
 * @vmf: the fault
 * @page: the page
 * @fault: EXO_FAULT_*
 *
 * Context: fault handler, view unlocked.
 * Return: VM_FAULT_NOPAGE: the thread goes on in its handler; VM_FAULT_RETRY: the lock was given
 * back, try again; 0: no upcall here.
 */
vm_fault_t exo_upcall_deliver(struct exo_view *view, struct vm_fault *vmf, u32 page, u32 fault)
{
	struct exo_upcalls *ups = smp_load_acquire(&view->env->mem->upcalls);
	struct pt_regs *regs = task_pt_regs(current);
	bool delivered;
	int rseq;

	if (!ups || (vmf->flags & (FAULT_FLAG_USER | FAULT_FLAG_REMOTE)) != FAULT_FLAG_USER)
		return 0;
	if (!user_64bit_mode(regs) || (regs->flags & X86_EFLAGS_TF) ||
	    test_thread_flag(TIF_SINGLESTEP) || in_uprobe())
		return 0;
	rseq = in_rseq(regs->ip);
	if (unlikely(rseq))
		return rseq < 0 ? fault_in_rseq(vmf) : 0;

	rcu_read_lock();
	delivered = enter_handler(view, ups, vmf, page, fault);
	rcu_read_unlock();
	return delivered ? VM_FAULT_NOPAGE : 0;
}

/* Resume ------------------------------------------------------------------------------------ */

/**
 * struct resume - registers to be set when the system call that asked for it is over
 * @work: runs on the way to user space, after the call's return value was written to ax
 * @regs: from user space, checked
 */
struct resume {
	struct callback_head work;
	struct exo_resume_regs regs;
};

static void resume_work(struct callback_head *work)
{
	struct resume *resume = container_of(work, struct resume, work);
	const struct exo_resume_regs *from = &resume->regs;
	struct pt_regs *regs = task_pt_regs(current);

	regs->ip = from->ip;
	regs->sp = from->sp;
	regs->flags = (regs->flags & ~FLAGS_USER) | (from->flags & FLAGS_USER);
	regs->ax = from->ax;
	regs->bx = from->bx;
	regs->cx = from->cx;
	regs->dx = from->dx;
	regs->si = from->si;
	regs->di = from->di;
	regs->bp = from->bp;
	regs->r8 = from->r8;
	regs->r9 = from->r9;
	regs->r10 = from->r10;
	regs->r11 = from->r11;
	regs->r12 = from->r12;
	regs->r13 = from->r13;
	regs->r14 = from->r14;
	regs->r15 = from->r15;
	/* No system call any more, that a signal could restart. */
	regs->orig_ax = -1;
	kfree(resume);
	/* The way out of here is waited for by exo_exit(). */
	module_put(THIS_MODULE);
}

/* The handler is done with its save page. */
static void clear_busy(struct exo_env *env, u32 slot, u32 level)
{
	struct exo_upcalls *ups = smp_load_acquire(&env->mem->upcalls);
	struct exo_upcall_save *save;
	u32 index = array_index_nospec(slot * EXO_UPCALL_LEVELS + level, SAVE_PAGES);

	if (!ups)
		return;
	mutex_lock(&ups->lock);
	save = ups->save[index];
	if (save)
		WRITE_ONCE(save->busy, 0);
	mutex_unlock(&ups->lock);
}

/**
 * exo_mem_resume_op() - EXO_MEM_RESUME
 * @env: caller's
 * @arg: struct exo_mem_resume
 *
 * Context: sleeps; the thread itself, in a system call.
 * Return: 0: the thread goes on with the registers that it gave; -EINVAL; -EFAULT; -ENOMEM.
 */
int exo_mem_resume_op(struct exo_env *env, void *arg)
{
	struct exo_mem_resume *op = arg;
	struct resume *resume;
	int ret = -EFAULT;

	if (op->flags || op->slot >= EXO_UPCALL_SLOTS || op->level >= EXO_UPCALL_LEVELS)
		return -EINVAL;
	resume = kmalloc(sizeof(*resume), GFP_KERNEL);
	if (!resume)
		return -ENOMEM;
	if (copy_from_user(&resume->regs, u64_to_user_ptr(op->regs), sizeof(resume->regs)))
		goto err_free;
	ret = -EINVAL;
	if (resume->regs.ip >= TASK_SIZE_MAX || resume->regs.sp >= TASK_SIZE_MAX)
		goto err_free;

	/* The file may be closed, and the module unloaded, before the work has run. */
	__module_get(THIS_MODULE);
	init_task_work(&resume->work, resume_work);
	ret = task_work_add(current, &resume->work, TWA_RESUME);
	if (ret)
		goto err_module;
	clear_busy(env, op->slot, op->level);
	return 0;

err_module:
	module_put(THIS_MODULE);
err_free:
	kfree(resume);
	return ret;
}
