"""What somebody writes with BCC who wants to see what a process sends and receives: a callback
that prints a line an event, to /dev/null here.

    python3 -m tests.bench.rivals.script ring|perf PID

ring: BPF_RINGBUF_OUTPUT. perf: BPF_PERF_OUTPUT, the older way. Both leave other processes out in
the kernel, and count what is lost.
"""

from __future__ import annotations

import sys
from typing import Any

from tests.bench.rivals import bcc_child

_HEAD = """
struct event { u64 time; u32 pid; s32 bytes; u8 sends; char comm[16]; };

static __always_inline int is_other(void) { return bpf_get_current_pid_tgid() >> 32 != PID; }

static __always_inline void fill(struct event *event, int bytes, u8 sends)
{
    event->time = bpf_ktime_get_ns();
    event->pid = PID;
    event->bytes = bytes;
    event->sends = sends;
    bpf_get_current_comm(event->comm, sizeof(event->comm));
}
"""
_RING = """
/* 8 MiB, as netio's. */
BPF_RINGBUF_OUTPUT(events, 2048);
BPF_ARRAY(lost, u64, 1);

static __always_inline int emit(void *ctx, int bytes, u8 sends)
{
    int zero = 0;
    struct event *event;

    if (is_other() || bytes <= 0)
        return 0;
    event = events.ringbuf_reserve(sizeof(*event));
    if (!event) {
        lost.increment(zero);
        return 0;
    }
    fill(event, bytes, sends);
    events.ringbuf_submit(event, 0);
    return 0;
}
"""
_PERF = """
BPF_PERF_OUTPUT(events);

static __always_inline int emit(void *ctx, int bytes, u8 sends)
{
    struct event event = {};

    if (is_other() || bytes <= 0)
        return 0;
    fill(&event, bytes, sends);
    events.perf_submit(ctx, &event, sizeof(event));
    return 0;
}
"""
_HOOKS = """
RAW_TRACEPOINT_PROBE(sock_send_length) { return emit(ctx, ctx->args[1], 1); }
RAW_TRACEPOINT_PROBE(sock_recv_length) { return emit(ctx, ctx->args[1], 0); }
"""
#: Milliseconds that a poll waits.
_POLL = 100


def main() -> None:
    """See the module."""
    kind, pid = sys.argv[1], int(sys.argv[2])
    body = _RING if kind == "ring" else _PERF
    bpf = bcc_child.load(_HEAD.replace("PID", str(pid)) + body + _HOOKS)
    events = bpf["events"]
    got = lost = 0
    with open("/dev/null", "w") as out:

        def on_event(_cpu_or_context: Any, data: Any, _size: int) -> None:
            nonlocal got
            event = events.event(data)
            direction = "SEND" if event.sends else "RECV"
            comm = event.comm.decode(errors="replace")
            print(f"{event.time / 1e9:.6f} {direction} {event.pid} {comm} {event.bytes}", file=out)
            got += 1

        def on_lost(count: int) -> None:
            nonlocal lost
            lost += count

        if kind == "ring":
            events.open_ring_buffer(on_event)
            bcc_child.serve(
                lambda: bpf.ring_buffer_poll(_POLL),
                lambda: {"events": got, "lost_in_kernel": bpf["lost"][0].value},
            )
        else:
            events.open_perf_buffer(on_event, lost_cb=on_lost)
            bcc_child.serve(
                lambda: bpf.perf_buffer_poll(_POLL),
                lambda: {"events": got, "lost_in_kernel": lost},
            )


if __name__ == "__main__":
    main()
