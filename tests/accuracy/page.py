"""docs/ACCURACY.md, and its short form for the terminal."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from tests.accuracy.exceptions import KNOWN, NO_PEER, Known, known, known_peer
from tests.accuracy.results import Book, Operation, Run, Status, SystemTests, series

_HEAD = """\
# Accuracy

Does netio count every byte once? A generator, a C program of its own, moves known numbers of bytes
through sockets, one operation at a time: every system call that can do it, AIO and io_uring,
through every family of sockets, in both directions. What the calls returned is compared with what
netio counted for that process meanwhile. Helpers that fill and empty the other end are processes
of their own and are not counted.

`sudo ./netio accuracy` does this on the machine's own kernel, `sudo ./netio kernels` on Debian's
kernels in virtual machines, where some of the system tests run, too. With `--write` both write this
page, from docs/accuracy.json. Do not edit it.

## Kernels and back-ends

*Exact*: operations whose every byte was counted, once, for the right process, or of which none had
to be counted (looks, errors). *Known*: not exact, as [Exceptions](#exceptions) says. *Off*: not
exact, and not listed. *Not there*: this kernel refuses the call, or lacks the family. *Loss told*:
under load some was missed, and `netioctl status` says rightly how many operations. A series of
kernels (6.1, 6.12) has one row for each back-end and version of BCC, of the build that ran last.
"""

_RERUN = """\
## Run it again

    sudo ./netio accuracy                  # all back-ends, on this kernel
    sudo ./netio accuracy --write          # and renew this page
    sudo ./netio accuracy --backend syscall --only udp4 '*splice*' attribution/exec
    sudo ./netio accuracy --json FILE      # keep the results elsewhere
    python3 -m tests.accuracy --merge FILE... --write    # and add them to this page
    sudo ./netio kernels --write           # on Debian's kernels
    sudo ./netio kernels --only 6.1 sid    # on some of them

The exit status is 1 if anything is off.
"""


def brief(runs: Sequence[Run]) -> str:
    """What it comes to: a line for each back-end."""
    return "\n".join(f"{run.backend}: {line(run)}" for run in runs)


def line(run: Run) -> str:
    """How many operations of a back-end came out how."""
    if run.failure:
        return "does not run"
    counts = run.counts()
    return ", ".join(f"{counts[status]} {status.value}" for status in Status if counts.get(status))


def why(run: Run) -> str:
    """Why a back-end does not run, without the words that netiod's message begins with."""
    _, _, text = run.failure.partition(f"no back-end could be attached: {run.backend}: ")
    return text or run.failure


def document(book: Book) -> str:
    """The page."""
    runs = book.runs
    parts = [_HEAD, _summary(runs), *_off(runs), *_tests(book.tests), _exceptions(runs)]
    return "\n".join([*parts, _absent(runs), _covered(runs), _RERUN])


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines) + "\n"


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def _summary(runs: Sequence[Run]) -> str:
    rows: list[tuple[object, ...]] = []
    for run in runs:
        name = (f"{run.kernel} {run.machine}", run.backend)
        if run.failure:
            rows.append((*name, f"does not run: {why(run)}", "", "", "", "", run.bcc, run.date))
            continue
        counts = run.counts()
        exact = counts.get(Status.EXACT, 0) + counts.get(Status.SPARED, 0)
        rest = (Status.KNOWN, Status.OFF, Status.LOSS_TOLD, Status.ABSENT)
        rows.append((*name, exact, *(counts.get(each, 0) for each in rest), run.bcc, run.date))
    head = "Kernel", "Back-end", "Exact", "Known", "Off", "Loss told", "Not there", "BCC", "Date"
    return _table(head, rows)


def _tests(tests: Sequence[SystemTests]) -> list[str]:
    """What the system tests said, by kernel."""
    if not tests:
        return []
    rows = []
    for each in tests:
        by_reason: dict[str, list[str]] = defaultdict(list)
        for name, reason in each.skipped:
            by_reason[reason].append(f"`{name}`")
        skipped = "; ".join(f"{', '.join(names)}: {why}" for why, names in by_reason.items())
        failed = "; ".join(f"`{name}`: {reason}" for name, reason in each.failed)
        rows.append((each.kernel, each.bcc, each.passed, failed or "none", skipped or "none"))
    head = "Kernel", "BCC", "Passed", "Failed", "Skipped"
    text = "## System tests\n\nThose that depend on the kernel, in the same virtual machines.\n"
    return [text, _table(head, rows)]


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
    """A row for each reason."""
    groups: dict[str, list[Known]] = defaultdict(list)
    for exception in (*KNOWN, *NO_PEER):
        groups[exception.reason].append(exception)
    seen: Counter[str] = Counter()
    spared: dict[str, Counter[str]] = defaultdict(Counter)
    for run in runs:
        for each in run.operations:
            names = run.backend, each.family, each.name
            found = known(*names) or known_peer(*names)
            if found and each.status is Status.KNOWN:
                seen[found.reason] += 1
            elif found and each.status is Status.SPARED:
                spared[found.reason][f"{run.backend} on {series(run.kernel)}"] += 1
    rows = []
    for reason, group in groups.items():
        columns = (
            ", ".join("all" if name == "*" else mark.format(name) for name in dict.fromkeys(column))
            for mark, column in zip(("{}", "`{}`", "`{}`"), zip(*(each[:3] for each in group)))
        )
        times = (f"{count} times with {where}" for where, count in spared[reason].items())
        rows.append((*columns, reason, seen[reason], ", ".join(times)))
    head = "Back-end", "Family", "Operation", "Reason", "Times seen", "Exact after all"
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
