/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libexo: physical resources under their own names, managed by the application.
 *
 * The kernel half (exo.ko) protects and exports; this library manages. See exo(7), libexo(7).
 *
 * Conventions
 * -----------
 * - A function is named exo_<noun>_<verb>(), returns 0 or more on success and -errno on failure,
 *   and leaves errno alone. What an errno means is fixed at the top of <exo/exo.h>; exo_strerror()
 *   says it.
 * - Handles are opaque. Every function may be called from any thread at any time, except that a
 *   handle must not be used while or after it is closed, destroyed or unmapped.
 * - Options structs start with size_t sz (set by EXO_OPTS()); NULL means all defaults.
 * - Arguments called out_... may not be NULL unless it says so.
 * - Frames, pages and views are numbers; a page is 4096 bytes; times are milliseconds or, where the
 *   name ends in _ns, nanoseconds of CLOCK_MONOTONIC.
 */
#ifndef EXO_LIBEXO_H
#define EXO_LIBEXO_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#include <exo/exo.h>

/* Options with sz set and the rest at defaults: EXO_OPTS(exo_view, .pages = 8) */
#define EXO_OPTS(noun, ...) \
	((struct noun##_opts){ .sz = sizeof(struct noun##_opts), ##__VA_ARGS__ })

struct exo_env;
struct exo_view;
struct exo_window;

#include <exo/libexo_env.h>
#include <exo/libexo_mem.h>
#include <exo/libexo_view.h>
#include <exo/libexo_fault.h>
#include <exo/libexo_graft.h>
#include <exo/libexo_xn.h>

#ifdef __cplusplus
}
#endif

#endif
