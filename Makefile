# SPDX-License-Identifier: GPL-2.0
#
# Two commands matter: "make run" (the demonstration) and "make check" (the tests). Both install
# what is missing and need no other preparation. "make help" lists the rest.

PREFIX	?= /usr/local
DESTDIR	?=
KVER	?= $(shell uname -r)
KERNEL	?= 6.1
ID	?=
SOAK	?= 3600

TESTS	:= tools/vm/run-tests

# libexo is first: the others link it.
SUBDIRS	:= $(patsubst %/Makefile,%,$(wildcard libexo/Makefile libexo/sqlite/Makefile \
	   tools/exoctl/Makefile tools/demo/Makefile samples/Makefile selftests/Makefile \
	   bench/Makefile))

BUILDS	:= $(SUBDIRS:%=build-%)

# V=1 shows every command.
QUIET	:= $(if $(V),,-s)

# Under sudo files would belong to root: build as the user who called.
AS_USER	:= $(if $(SUDO_USER),sudo -u $(SUDO_USER) -- )

.PHONY: all setup module user fio run shell cases check check-rest check-all check-box soak bench
.PHONY: insmod rmmod install clean help sparse $(BUILDS)

all: module user

setup:
	@tools/setup

module: setup
	@tools/vm/build-module $(KERNEL)

user: $(BUILDS)

$(BUILDS): setup
	@echo "building $(@:build-%=%)"
	+@$(MAKE) $(QUIET) --no-print-directory -C $(@:build-%=%) all

$(filter-out build-libexo,$(BUILDS)): $(filter build-libexo,$(BUILDS))
$(filter build-selftests build-bench,$(BUILDS)): $(filter build-libexo/sqlite,$(BUILDS))

# An engine for Debian's fio; its headers come from fio's source package.
fio: build-libexo
	@tools/setup fio
	+@$(MAKE) $(QUIET) --no-print-directory -C tools/fio all

# Tests that are Linux' and SQLite's own, and programs that tests run; building alone doesn't fetch them.
cases: setup $(filter build-libexo build-libexo/sqlite,$(BUILDS))
	+@$(MAKE) $(QUIET) --no-print-directory -C selftests/unit cases
	+@$(MAKE) $(QUIET) --no-print-directory -C selftests/sqlite all
	@tools/vm/drbd-utils build/drbd

ifneq ($(filter check%,$(MAKECMDGOALS)),)
build-selftests: cases
endif

run: all
	@if [ -e /dev/exo ]; then tools/demo/run; else tools/demo/run-vm; fi

shell: all
	@tools/vm/vm-shell $(KERNEL)

check: module fio $(filter-out build-bench,$(BUILDS))
	@$(TESTS) --unit 6.1

# What check-all has and check has not. "make check-all" runs the fuzzer for a minute, too: it is
# one of the programs in selftests/LIST.
check-rest: all fio
	@tools/setup proof
	@$(TESTS) --proof 6.12 7.2 debug

check-all: all fio
	@tools/setup proof
	@$(TESTS) --unit --proof 6.1 6.12 7.2 debug

# What an owner of a machine does: make insmod, install, dkms, on a Debian of its own in a VM.
check-box: user
	@tools/vm/box

soak: all fio
	@tools/setup proof
	+@$(MAKE) $(QUIET) --no-print-directory -C selftests/unit run
	+@EXO_FUZZ_SECONDS=$$(($(SOAK) / 4)) $(MAKE) $(QUIET) --no-print-directory -C selftests/unit fuzz-xn
	@EXO_FUZZ_SECONDS=$$(($(SOAK) / 4)) selftests/fuzz/xn_afl
	@$(TESTS) --time $$(($(SOAK) + 300)) --env EXO_FUZZ_SECONDS=$(SOAK) --only 'fuzz/*' debug
	@$(TESTS) --time $$(($(SOAK) + 300)) --env EXO_FIO_SECONDS=120 --env "EXO_TEST_ONLY=fio__*" --only xn_data_test 6.1
	@$(TESTS) --time 14400 --env EXO_TEST_ROUNDS=100000 --env 'EXO_TEST_ONLY=load__many_times' \
		--only graft_load_test 6.1 6.12 7.2
	@$(TESTS) --time 7200 --env EXO_TEST_ROUNDS=20000 --env 'EXO_TEST_ONLY=agree__*' \
		--only graft_agree_test 6.1 7.2
	@$(TESTS) --time 7200 --env EXO_TEST_ROUNDS=200 --only sqlite_test 6.1 7.2
	@$(MAKE) $(QUIET) --no-print-directory -C selftests/sqlite all
	@$(TESTS) --time 7200 --env EXO_TEST_ROUNDS=20 --only sqlite_programs_test 6.1 7.2

bench: all
	@$(MAKE) --no-print-directory -C bench run ID=$(ID)

sparse: setup
	@tools/vm/build-module $(KERNEL) C=1

insmod:
	@tools/setup --module
	@$(AS_USER) tools/vm/build-module host
	@tools/insmod

rmmod:
	@tools/insmod --remove

install:
	@for dir in $(filter-out selftests bench,$(SUBDIRS)); do \
		$(AS_USER) $(MAKE) $(QUIET) --no-print-directory -C $$dir all || exit 1; \
	done
	@packaging/install '$(DESTDIR)' '$(PREFIX)' '$(KVER)'
	@for dir in $(filter-out selftests bench,$(SUBDIRS)); do \
		$(MAKE) $(QUIET) --no-print-directory -C $$dir install DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' \
			|| exit 1; \
	done
	@[ -n '$(DESTDIR)' ] || /sbin/ldconfig

clean:
	@for dir in $(SUBDIRS) selftests/sqlite tools/fio; do $(MAKE) $(QUIET) --no-print-directory -C $$dir clean || exit 1; done
	@rm -rf build

help:
	@echo 'make             build everything (module for KERNEL=6.1; also 6.12, 7.2, debug)'
	@echo 'make user        the same without the module: libraries, tools, samples, tests'
	@echo 'make run         the demonstration: databases on exo frames and on raw blocks (in VMs; or here, without disks, if /dev/exo exists)'
	@echo 'make check       unit tests, and all selftests on the stock 6.1 kernel'
	@echo 'make check-all   the same on 6.1, 6.12, 7.2 and a debug kernel, a minute of fuzzing, and the proofs'
	@echo 'make check-box   make insmod, install, rmmod and dkms, on a small Debian 12 in the VM (some minutes)'
	@echo 'make shell       a shell in the VM with the module loaded (KERNEL=...)'
	@echo 'make bench       every comparison; ID=M3 runs one'
	@echo 'make soak        the fuzzer of the ABI for SOAK=3600 seconds, those of disks for half as long; fio; 100,000 grafts on each kernel; SQLite'\''s programs'
	@echo 'make fio         tools/fio/exo-fio.so, an engine of fio (ioengine=external:...) for exo disks'
	@echo 'make sparse      the module under sparse'
	@echo 'sudo make insmod load the module into this kernel; sudo make rmmod unloads it'
	@echo 'make install     DESTDIR=, PREFIX=/usr/local, KVER=$$(uname -r)'
	@echo 'make setup       install the Debian packages that are missing (the others do it, too)'
	@echo 'make clean       remove what was built here; kernels stay in ~/.cache/exo'
