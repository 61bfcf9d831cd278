// SPDX-License-Identifier: GPL-2.0
#include "core/ring.h"

/**
 * exo_ring_has_room() - may one more event be written?
 * @head: events ever posted, the module's own count
 * @tail: events ever read, as the reader claims
 *
 * A reader that claims to have read what was never posted gets nothing more until it stops.
 *
 * Return: true if the event at @head overwrites nothing that is unread.
 */
bool exo_ring_has_room(u64 head, u64 tail)
{
	return head - tail < EXO_RING_EVENTS;
}

/**
 * exo_ring_index() - where an event stands
 * @head: its number, the module's own
 *
 * Return: index in exo_ring.ev, always inside.
 */
u32 exo_ring_index(u64 head)
{
	return head % EXO_RING_EVENTS;
}
