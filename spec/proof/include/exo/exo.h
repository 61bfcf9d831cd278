/* SPDX-License-Identifier: GPL-2.0 */
/* Stands in for the UAPI header, of which range arithmetic needs nothing. */
