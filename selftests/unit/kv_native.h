/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The key-value store of samples/kv, natively: what it calls of libexo goes to the engine of xn on a simulated
 * disk (xn_sim.h). Its files are compiled with this in front of them, as the engine has functions of the same
 * names.
 */
#ifndef EXO_KV_NATIVE_H
#define EXO_KV_NATIVE_H

#define exo_xn_bind native_bind
#define exo_xn_unbind native_unbind
#define exo_xn_change_begin native_change_begin
#define exo_xn_change_end native_change_end
#define exo_xn_change_clear native_change_clear
#define exo_xn_change_alloc native_change_alloc
#define exo_xn_change_write native_change_write
#define exo_xn_change_apply native_change_apply
#define exo_xn_entry native_entry
#define exo_xn_entry_lock native_entry_lock
#define exo_xn_env native_env
#define exo_xn_find_free native_find_free
#define exo_xn_io_read native_io_read
#define exo_xn_io_write native_io_write
#define exo_xn_read native_read
#define exo_xn_root_create native_root_create
#define exo_xn_root_find native_root_find
#define exo_xn_template_install_memory native_template_install
#define exo_mem_alloc_any native_mem_alloc
#define exo_mem_free native_mem_free
#define exo_window_map_frames native_window_map
#define exo_window_base native_window_base
#define exo_window_unmap native_window_unmap

#endif
