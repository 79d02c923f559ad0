"""What a hook costs by itself: no tool on the same tracepoints can cost less.

    python3 -m tests.bench.rivals.floor empty|bare

empty: programs that return at once. bare: programs that put an event of 32 bytes into a ring, for
every process, and a reader that takes it in bulk, once in 10 ms, and looks at nothing.
"""

from __future__ import annotations

import sys

from netiod.ring import EventRing
from netiod.settings import Settings
from tests.bench.rivals import bcc_child

_EMPTY = """
RAW_TRACEPOINT_PROBE(sock_send_length) { return 0; }
RAW_TRACEPOINT_PROBE(sock_recv_length) { return 0; }
"""
_BARE = """
struct event { u64 time; u32 pid; s32 bytes; u64 unused[2]; };
_Static_assert(sizeof(struct event) == RECORD, "RECORD");
BPF_RINGBUF_OUTPUT(events, PAGES);
BPF_ARRAY(lost, u64, 1);

static __always_inline int emit(int bytes)
{
    int zero = 0;
    struct event *event = events.ringbuf_reserve(sizeof(*event));

    if (!event) {
        lost.increment(zero);
        return 0;
    }
    event->time = bpf_ktime_get_ns();
    event->pid = bpf_get_current_pid_tgid() >> 32;
    event->bytes = bytes;
    /* The reader looks by itself. */
    events.ringbuf_submit(event, BPF_RB_NO_WAKEUP);
    return 0;
}

RAW_TRACEPOINT_PROBE(sock_send_length) { return emit(ctx->args[1]); }
RAW_TRACEPOINT_PROBE(sock_recv_length) { return emit(ctx->args[1]); }
"""
_RECORD, _PAGE = 32, 4096
_EVERY = 0.01


def main() -> None:
    """See the module."""
    if sys.argv[1] == "empty":
        bpf = bcc_child.load(_EMPTY)
        bcc_child.serve(lambda: bcc_child.is_asked(None), dict)
        bpf.cleanup()
    else:
        _bare()


def _bare() -> None:
    size = Settings().ring_size
    text = _BARE.replace("PAGES", str(size // _PAGE)).replace("RECORD", str(_RECORD))
    bpf = bcc_child.load(text)
    ring = EventRing(bpf[b"events"].map_fd, size, _RECORD)
    taken = 0

    def drain() -> None:
        nonlocal taken
        bcc_child.is_asked(_EVERY)
        taken += len(ring.drain(size))
        ring.release()

    bcc_child.serve(drain, lambda: {"events": taken, "lost_in_kernel": bpf[b"lost"][0].value})


if __name__ == "__main__":
    main()
