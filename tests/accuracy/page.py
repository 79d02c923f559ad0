"""docs/ACCURACY.md, and its short form for the terminal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from tests.accuracy.exceptions import KNOWN, known
from tests.accuracy.results import Operation, Run, Status, version

_HEAD = """\
# Accuracy

Does netio count every byte once? A generator, a C program of its own, moves known numbers of bytes
through sockets, one operation at a time: every system call that can do it, AIO and io_uring,
through every family of sockets, in both directions. What the calls returned is compared with what
netio counted for that process meanwhile. Helpers that fill and empty the other end are processes
of their own and are not counted.

This page is written by `sudo ./netio accuracy --write`, from docs/accuracy.json. Do not edit it.

## Kernels and back-ends

*Exact*: operations whose every byte was counted, once, for the right process, or of which none had
to be counted (looks, errors). *Known*: not exact, as [Exceptions](#exceptions) says. *Off*: not
exact, and not listed. *Not there*: this kernel refuses the call, or lacks the family. *Loss told*:
under load some was missed, and `netioctl status` says rightly how many operations.
"""

_RERUN = """\
## Run it again

    sudo ./netio accuracy                  # all back-ends, on this kernel
    sudo ./netio accuracy --write          # and renew this page
    sudo ./netio accuracy --backend syscall --only udp4 '*splice*' attribution/exec
    sudo ./netio accuracy --json FILE      # keep the results elsewhere, as in a virtual machine
    python3 -m tests.accuracy --merge FILE... --write    # and add them to this page

The exit status is 1 if anything is off.
"""


def brief(runs: Sequence[Run]) -> str:
    """What it comes to, in a few lines."""
    lines = []
    for run in runs:
        if run.failure:
            lines.append(f"{run.backend}: does not run")
            continue
        counts = run.counts()
        parts = [f"{counts[status]} {status.value}" for status in Status if counts.get(status)]
        lines.append(f"{run.backend}: {', '.join(parts)}")
    return "\n".join(lines)


def document(runs: Sequence[Run]) -> str:
    """The page."""
    parts = [_HEAD, _summary(runs), *_off(runs), _exceptions(runs), _absent(runs), _covered(runs)]
    return "\n".join([*parts, _RERUN])


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines) + "\n"


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def _summary(runs: Sequence[Run]) -> str:
    rows = []
    for run in runs:
        name = (f"{run.kernel} {run.machine}", run.backend)
        if run.failure:
            rows.append((*name, "does not run", "", "", "", "", run.bcc, run.date))
            continue
        counts = run.counts()
        exact = counts.get(Status.EXACT, 0) + counts.get(Status.SPARED, 0)
        rest = (Status.KNOWN, Status.OFF, Status.LOSS_TOLD, Status.ABSENT)
        rows.append((*name, exact, *(counts.get(each, 0) for each in rest), run.bcc, run.date))
    head = "Kernel", "Back-end", "Exact", "Known", "Off", "Loss told", "Not there", "BCC", "Date"
    text = _table(head, rows)
    for run in runs:
        if run.failure:
            text += f"\n{run.backend} on {run.kernel}: {_cell(run.failure)}\n"
    return text


def _names(operations: Iterable[Operation]) -> str:
    """Operations, with the families of each: what all families have in common stands once."""
    families: dict[str, list[str]] = defaultdict(list)
    for each in operations:
        families[each.name].append(each.family)
    groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for name, found in families.items():
        groups[tuple(found)].append(name)
    return "; ".join(
        f"{', '.join(f'`{name}`' for name in names)} on {', '.join(found)}"
        for found, names in groups.items()
    )


def _off(runs: Sequence[Run]) -> list[str]:
    """One line for all families that came out alike."""
    families: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for run in runs:
        for each in run.operations:
            if each.status in (Status.OFF, Status.LOSS_TOLD):
                numbers = ("/".join(map(str, pair)) for pair in (each.expected, each.seen))
                row = (run.kernel, run.backend, each.name, *numbers, each.status.value, each.note)
                families[row].append(each.family)
    if not families:
        return []
    head = "Kernel", "Back-end", "Operation", "Returned", "Counted", "", "Note", "Families"
    rows = [(*row, ", ".join(found)) for row, found in families.items()]
    return ["## Off, and losses that were told\n\nBytes sent/received.\n", _table(head, rows)]


def _exceptions(runs: Sequence[Run]) -> str:
    rows = []
    for exception in KNOWN:
        hit: dict[str, list[str]] = defaultdict(list)
        spared: dict[str, list[str]] = defaultdict(list)
        for run in runs:
            for each in run.operations:
                if known(run.backend, each.family, each.name) is not exception:
                    continue
                where = f"{run.backend} on {'.'.join(map(str, version(run.kernel)[:2]))}"
                if each.status is Status.KNOWN:
                    hit[each.name].append(where)
                elif each.status is Status.SPARED:
                    spared[each.name].append(f"{each.family}, {where}")
        backend = "all" if exception.backend == "*" else exception.backend
        family = "all" if exception.family == "*" else f"`{exception.family}`"
        note = exception.reason
        if spared:
            found = sorted({place for places in spared.values() for place in places})
            note += f". Exact after all: {'; '.join(found)}"
        seen = sum(map(len, hit.values()))
        rows.append((backend, family, f"`{exception.op}`", note, seen))
    head = "Back-end", "Family", "Operation", "Reason", "Times seen"
    return "## Exceptions\n\n" + _table(head, rows)


def _absent(runs: Sequence[Run]) -> str:
    """By kernel: the back-ends agree on what it lacks."""
    kernels: dict[str, dict[tuple[str, str], Operation]] = defaultdict(dict)
    for run in runs:
        for each in run.operations:
            if each.status is Status.ABSENT:
                kernels[run.kernel][each.family, each.name] = each
    rows = []
    for kernel, found in kernels.items():
        by_error: dict[str, list[Operation]] = defaultdict(list)
        for each in found.values():
            by_error[each.note.split(" ")[0]].append(each)
        rows += [(kernel, error, _names(each)) for error, each in sorted(by_error.items())]
    return "## Not on these kernels\n\n" + _table(("Kernel", "errno", "Operations"), rows)


def _covered(runs: Sequence[Run]) -> str:
    best = max(runs, key=lambda run: len(run.operations), default=None)
    if best is None:
        return ""
    there = [each for each in best.operations if each.status is not Status.ABSENT]
    families: dict[str, list[str]] = defaultdict(list)
    for each in there:
        families[each.family].append(each.name)
    groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for family, names in families.items():
        groups[tuple(sorted(names))].append(family)
    rows = [(", ".join(found), len(names), " ".join(names)) for names, found in groups.items()]
    title = f"## What is run: {best.backend} on {best.kernel}\n\n"
    return title + _table(("Families", "Number", "Operations"), rows)
