// SPDX-License-Identifier: GPL-2.0
/*
 * A secondary MMU: a KVM guest over a view, or over a window. Its nested page tables are not in any TLB
 * that a flush reaches; only mmu notifiers do. After an unbind, and above all after a frame changed
 * owner, the guest must not see it (INV-FRAME-5).
 *
 * The guest is a loop in real mode: read the word at its data page, write it to port 16, and so on.
 */
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>

#include "harness.h"
#include "lib.h"

#define POISON 0xdeadULL
#define DATA_AT 0x10000
#define CODE_AT 0x1000

static int kvm = -1, vm, vcpu;
static struct kvm_run *run;
static int fd, thief;
static struct view view;
static uint32_t frames[4];
static volatile uint64_t *thief_window;

/* mov ax, 0x1000; mov ds, ax; l: mov ax, [0]; out 16, ax; in al, 17; test al, al; jz l; mov [8], ax; jmp l */
static const unsigned char code[] = {
	0xb8, 0x00, 0x10, 0x8e, 0xd8,
	0xa1, 0x00, 0x00, 0xe7, 0x10,
	0xe4, 0x11, 0x84, 0xc0, 0x74, 0xf5,
	0xa3, 0x08, 0x00, 0xeb, 0xf0,
};

static void set_region(uint32_t slot, uint64_t at, void *mem, uint64_t size)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot, .guest_phys_addr = at, .memory_size = size,
		.userspace_addr = (uintptr_t)mem,
	};

	if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region))
		FAIL("KVM_SET_USER_MEMORY_REGION: %s", strerror(errno));
}

static void make_vm(void *data)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs = { .rip = CODE_AT, .rflags = 2 };
	char *low;

	if (access("/dev/kvm", F_OK) && system("modprobe kvm_amd 2>/dev/null || modprobe kvm_intel 2>/dev/null"))
		SKIP("no KVM module fits this machine");
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm < 0)
		SKIP("/dev/kvm: %s", strerror(errno));
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0)
		SKIP("KVM_CREATE_VM: %s", strerror(errno));
	low = mmap(NULL, DATA_AT, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memcpy(low + CODE_AT, code, sizeof(code));
	set_region(0, 0, low, DATA_AT);
	set_region(1, DATA_AT, data, 16 * PAGE);
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	ASSERT_GE(vcpu, 0);
	run = mmap(NULL, (size_t)ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), PROT_READ | PROT_WRITE, MAP_SHARED,
		   vcpu, 0);
	ASSERT_NE((long)run, (long)MAP_FAILED);
	ASSERT_EQ(ioctl(vcpu, KVM_GET_SREGS, &sregs), 0);
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	ASSERT_EQ(ioctl(vcpu, KVM_SET_SREGS, &sregs), 0);
	ASSERT_EQ(ioctl(vcpu, KVM_SET_REGS, &regs), 0);
}

enum { READ, WRITE };

/*
 * Let the guest read its word once (and then, if asked, write to the word beside it). The word, or -EFAULT if
 * it has no memory there. The guest stands at the access then, and repeats it.
 */
static long guest(int what)
{
	long word = -1;
	int turns;

	for (turns = 0; turns < 20; turns++) {
		if (ioctl(vcpu, KVM_RUN, 0)) {
			if (errno == EINTR || errno == EAGAIN)
				continue;
			if (errno == EFAULT)
				return -EFAULT;
			FAIL("KVM_RUN: %s", strerror(errno));
		}
		if (run->exit_reason == KVM_EXIT_IO && run->io.port == 16) {
			word = *(uint16_t *)((char *)run + run->io.data_offset);
			if (what == READ)
				return word;
		} else if (run->exit_reason == KVM_EXIT_IO && run->io.port == 17) {
			*((uint8_t *)run + run->io.data_offset) = what == WRITE && word >= 0;
		} else if (run->exit_reason == KVM_EXIT_MMIO) {
			return -EFAULT;
		} else {
			FAIL("the guest stopped for reason %u", run->exit_reason);
		}
		/* It wrote, and reads again. */
		if (what == WRITE && word >= 0 && turns > 3)
			return word;
	}
	FAIL("the guest does not get on");
}

static void setup(void)
{
	struct exo_info info;

	fd = t_open();
	thief = t_open();
	t_info(fd, &info);
	t_view(fd, 16, 0, 0, &view);
	t_alloc_any(fd, frames, 4);
	t_fill_each(fd, frames, 4, 0x100);
	thief_window = t_window(thief, 0, info.out_frames, PROT_READ | PROT_WRITE);
	ASSERT_TRUE(thief_window);
}

/*
 * The frame is the thief's now, and in use. KVM holds references for moments: a frame that is freed in
 * one is quarantined, and looked at again a little later.
 */
static void steal(uint32_t frame)
{
	int ret, tries = 0;

	while ((ret = t_alloc(thief, EXO_ALLOC_THESE, &frame, 1, NULL)) == -EBUSY && tries++ < 300)
		test_sleep_ms(20);
	ASSERT_EQ(ret, 0);
	thief_window[frame * 512UL] = POISON;
	thief_window[frame * 512UL + 1] = POISON;
}

static void not_written(uint32_t frame)
{
	ASSERT_EQ(thief_window[frame * 512UL + 1], POISON);
}

/* Catches: what a guest keeps of a view after unbind, rebind, free. */
TEST_LONG(view__unbind_rebind_free, 120)
{
	unsigned int i, rounds = test_rounds(200, 8);

	setup();
	ASSERT_EQ(t_bind(&view, 0, 1, frames[0], RW), 0);
	make_vm(view.base);
	ASSERT_EQ(guest(READ), 0x100);
	*t_page(&view, 0) = 0x777;
	ASSERT_EQ(guest(READ), 0x777);
	*t_page(&view, 0) = 0x100;
	for (i = 0; i < rounds; i++) {
		/* Unbound: nothing there. The control is the read before. */
		ASSERT_EQ(t_unbind(&view, 0, 1), 0);
		ASSERT_EQ(guest(READ), -EFAULT);
		/* Bound to another one. */
		ASSERT_EQ(t_bind(&view, 0, 1, frames[1], RW), 0);
		ASSERT_EQ(guest(READ), 0x101);
		ASSERT_EQ(t_rebind(&view, 0, 1, frames[2], RW), 0);
		ASSERT_EQ(guest(READ), 0x102);
		/* Given away. */
		ASSERT_EQ(t_free1(fd, frames[2]), 0);
		steal(frames[2]);
		ASSERT_EQ(guest(READ), -EFAULT);
		ASSERT_EQ(t_bind(&view, 0, 1, frames[0], RW), 0);
		ASSERT_EQ(guest(READ), 0x100);
		not_written(frames[2]);
		ASSERT_EQ(t_free1(thief, frames[2]), 0);
		ASSERT_EQ(t_alloc(fd, EXO_ALLOC_THESE, &frames[2], 1, NULL), 0);
		t_fill(fd, frames[2], 0x102);
	}
}

/* Catches: a guest that writes to what was protected (INV-VIEW-5). */
TEST_LONG(view__protect, 60)
{
	long ret;

	setup();
	ASSERT_EQ(t_bind(&view, 0, 1, frames[0], RW), 0);
	make_vm(view.base);
	ASSERT_EQ(guest(WRITE), 0x100);
	ASSERT_NE(t_page(&view, 0)[1], 0x100);
	t_page(&view, 0)[1] = 5;
	ASSERT_EQ(t_protect(&view, 0, 1, RO), 0);
	ret = guest(WRITE);
	test_note("a write to a read-only page: %ld", ret);
	ASSERT_EQ(t_page(&view, 0)[1], 5);
}

/* Catches: a lazy view whose flush does not reach the guest, or frames that leave one. */
TEST_LONG(lazy__flush_and_free, 120)
{
	unsigned int i, rounds = test_rounds(100, 8);

	setup();
	t_view(fd, 16, EXO_VIEW_LAZY, 0, &view);
	ASSERT_EQ(t_bind(&view, 0, 1, frames[0], RW), 0);
	make_vm(view.base);
	for (i = 0; i < rounds; i++) {
		ASSERT_EQ(guest(READ), 0x100);
		ASSERT_EQ(t_rebind(&view, 0, 1, frames[1], RW), 0);
		ASSERT_EQ(t_flush(&view), 0);
		ASSERT_EQ(guest(READ), 0x101);
		ASSERT_EQ(t_rebind(&view, 0, 1, frames[0], RW), 0);
		/* No flush: the frame that was there leaves. */
		ASSERT_EQ(t_free1(fd, frames[1]), 0);
		steal(frames[1]);
		ASSERT_EQ(guest(READ), 0x100);
		ASSERT_EQ(t_free1(thief, frames[1]), 0);
		ASSERT_EQ(t_alloc(fd, EXO_ALLOC_THESE, &frames[1], 1, NULL), 0);
		t_fill(fd, frames[1], 0x101);
	}
}

/* Catches: a guest over a window that keeps a frame, or pins it for good. */
TEST_LONG(window__free_and_revoke, 120)
{
	struct exo_cap cap;
	uint32_t frame;
	volatile uint64_t *mem;
	uint64_t start;

	setup();
	frame = frames[3];
	mem = t_window(fd, frame, 16, PROT_READ | PROT_WRITE);
	if (!mem)
		SKIP("the frame stands at the end of the table");
	make_vm((void *)mem);
	ASSERT_EQ(guest(READ), 0x103);
	ASSERT_EQ(t_free1(fd, frame), 0);
	start = test_now_ns();
	while (t_alloc(thief, EXO_ALLOC_THESE, &frame, 1, NULL)) {
		ASSERT_EQ(test_overdue(start, 2000), false);
		test_sleep_ms(1);
	}
	thief_window[frame * 512UL] = POISON;
	ASSERT_EQ(guest(READ), -EFAULT);
	/* Shared back, used, revoked. */
	ASSERT_EQ(t_cap(thief, frame, RW | EXO_RIGHT_WINDOW, &cap), 0);
	ASSERT_EQ(t_import(fd, &cap, NULL, NULL), 0);
	ASSERT_EQ(guest(READ), POISON);
	ASSERT_EQ(t_cap_revoke_own(thief, frame), 0);
	ASSERT_EQ(guest(READ), -EFAULT);
}

/* Catches: force that stops at the guest (INV-REV-1, INV-FRAME-5). */
TEST_LONG(view__taken_by_force, 60)
{
	struct exo_quota quota = { .flags = EXO_QUOTA_MIN, .uid = getuid() }, old;
	struct exo_env_status st;
	uint64_t start;
	uint32_t asked;

	t_need_root();
	setup();
	old = t_quota(fd, getuid());
	t_quota_set(fd, &quota);
	ASSERT_EQ(t_bind(&view, 0, 1, frames[0], RW), 0);
	make_vm(view.base);
	ASSERT_EQ(guest(READ), 0x100);
	t_status(fd, &st);
	ASSERT_EQ(t_revoke(thief, st.out_env, 4, 20, &asked), 0);
	start = test_now_ns();
	while (st.out_frames && !test_overdue(start, 5000)) {
		test_sleep_ms(1);
		t_status(fd, &st);
	}
	ASSERT_EQ(st.out_taken, 4);
	steal(frames[0]);
	ASSERT_EQ(guest(READ), -EFAULT);
	not_written(frames[0]);
	quota.min = old.min;
	t_quota_set(fd, &quota);
}

static volatile bool stop;
static volatile long worst;

static void *guest_thread(void *arg)
{
	while (!stop) {
		long word = guest(READ);

		if (word == (long)POISON)
			worst = word;
	}
	return NULL;
}

/* Catches: the same while the guest is running, on another CPU. */
TEST_LONG(view__running_guest, 120)
{
	unsigned int i, rounds = test_rounds(300, 8);
	pthread_t thread;

	setup();
	ASSERT_EQ(t_bind(&view, 0, 1, frames[0], RW), 0);
	make_vm(view.base);
	ASSERT_EQ(guest(READ), 0x100);
	ASSERT_EQ(pthread_create(&thread, NULL, guest_thread, NULL), 0);
	for (i = 0; i < rounds; i++) {
		ASSERT_EQ(t_free1(fd, frames[0]), 0);
		steal(frames[0]);
		ASSERT_EQ(t_free1(thief, frames[0]), 0);
		ASSERT_EQ(t_alloc(fd, EXO_ALLOC_THESE, &frames[0], 1, NULL), 0);
		ASSERT_EQ(t_bind(&view, 0, 1, frames[0], RW), 0);
		usleep(200);
	}
	stop = true;
	pthread_join(thread, NULL);
	ASSERT_EQ(worst, 0);
}
