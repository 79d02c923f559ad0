/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Who is at the other end of a datagram on an unconnected socket, noted by a hook inside the
 * operation for the tracepoint that ends it, in the same thread. A note names socket and
 * direction, so one that was left behind (the operation failed) is never taken for another's.
 */

struct peer_note {
	u64 sk;
	u32 dir;
	struct peer peer;
};

BPF_TABLE("lru_hash", u64, struct peer_note, peer_notes, 16384);
#define NETIO_PEER_NOTES

static __always_inline void note_peer(u64 sk, u32 dir, struct peer *peer)
{
	u64 id = bpf_get_current_pid_tgid();
	struct peer_note note = {sk, dir};

	note.peer = *peer;
	peer_notes.update(&id, &note);
}

static __always_inline void noted_peer(struct peer *peer, struct sock *sk, u32 dir)
{
	u64 id = bpf_get_current_pid_tgid();
	struct peer_note *note = peer_notes.lookup(&id);

	if (!note || note->sk != (u64)sk)
		return;
	if (note->dir == dir)
		*peer = note->peer;
	note->sk = 0;
}
