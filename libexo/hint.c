// SPDX-License-Identifier: LGPL-2.1-or-later
/* Errors as sentences. */
#include "lib.h"

/**
 * exo_open_hint() - what to do about a failure of exo_env_open()
 * @err: what it returned, with either sign
 *
 * Return: a sentence for a person, without a full stop or a newline; never NULL. Thread-safe,
 * async-signal-safe.
 */
EXPORT const char *exo_open_hint(int err)
{
	switch (err < 0 ? -err : err) {
	case 0:
		return "nothing is wrong";
	case ENOENT:
		return "there is no /dev/exo: load the module (sudo modprobe exo, or sudo make insmod "
		       "in the source tree)";
	case ENODEV:
	case ENXIO:
		return "/dev/exo is there, but no module serves it: load it (sudo modprobe exo), and "
		       "remove the file if that does not help";
	case EACCES:
	case EPERM:
		return "you may not open /dev/exo: join the group exo (sudo usermod -aG exo "
		       "$USER) and log in again";
	case ENOTTY:
	case ENOTDIR:
	case EISDIR:
	case ELOOP:
		return "that is no exo device: unset EXO_DEVICE, or set it to the right path";
	case EDQUOT:
		return "the pool is too small for the frames that are guaranteed to you, or your quota of "
		       "environments is used up: have the pool grown (sudo exoctl pool grow 64M) or the "
		       "quota changed (sudo exoctl quota), or end a program that uses exo";
	case EINVAL:
	case E2BIG:
		return "this library and the module that is loaded do not fit together: install both "
		       "from the same release";
	case EMFILE:
	case ENFILE:
		return "too many files are open: close some, or raise the limit (ulimit -n)";
	case ENOMEM:
		return "there is not enough memory: end other programs";
	case EOPNOTSUPP:
		return "this kernel or machine can't run exo: see CAVEATS.md";
	}
	return "the kernel log may say more (dmesg)";
}

/**
 * exo_strerror() - what an errno means when exo says it
 * @err: what a function returned, with either sign
 *
 * Return: a phrase for a person, without a full stop or a newline; never NULL. Thread-safe,
 * async-signal-safe.
 */
EXPORT const char *exo_strerror(int err)
{
	switch (err < 0 ? -err : err) {
	case 0:
		return "success";
	case EINVAL:
		return "a value that can't be right (range, alignment, flag)";
	case ENOENT:
		return "no such view, frame, graft, user, binding, disk, root or unit";
	case EACCES:
		return "the capability, or the lack of one, does not allow this, or the graft was killed";
	case EPERM:
		return "only the administrator may do this (CAP_SYS_ADMIN; for a graft without barriers CAP_PERFMON)";
	case EDQUOT:
		return "over the quota, or a guaranteed minimum that can't be reserved";
	case EBUSY:
		return "somebody has it: frame taken, page bound, graft attached, or still in use";
	case ENOSPC:
		return "nothing that is free fits the request";
	case ESTALE:
		return "revoked";
	case EOVERFLOW:
		return "too large, or a bounded table is full";
	case EOPNOTSUPP:
		return "this kernel, machine or view can't do it, or it is switched off";
	case E2BIG:
		return "the module is older than the program, or this is too much at once";
	case ENOTTY:
		return "the module does not know this operation";
	case EFAULT:
		return "an address that can't be read or written";
	case ENOMEM:
		return "out of memory";
	case EINTR:
		return "interrupted by a signal";
	case EAGAIN:
		return "nothing there now";
	case EEXIST:
		return "something is mapped at that address, or has this name";
	case EIO:
		return "the device failed";
	case ETIMEDOUT:
		return "the time was up";
	case EDEADLK:
		return "a thread can't wait for its own end";
	}
	return "an error of the system (see errno(3))";
}
