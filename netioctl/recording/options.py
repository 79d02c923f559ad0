"""--from, --since and --until, which every verb that shows something takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from netioctl.targets import Targets
from netioctl.wire.errors import UsageError

if TYPE_CHECKING:
    from netioctl.recording.parts import Parts
    from netioctl.recording.replay import Replay
    from netioctl.recording.stepped import Stepped

F = TypeVar("F", bound=Callable[..., Any])
_SECOND = 1_000_000_000
_ALL = Targets()
#: Where a context's `meta` has --from.
FROM = "netioctl.from"


class Source(NamedTuple):
    """A recording to show instead of what happens now, and which part of it; of one path also the
    files beside it that are of the same recording."""

    paths: tuple[str, ...]
    since: str | None
    until: str | None

    def reader(self) -> Parts:
        """The recording; says on stderr what is worth knowing of it.

        Raises:
            RecordingError: there is none that can be read.
        """
        from netioctl.output import say
        from netioctl.recording.parts import Parts

        reader = Parts(self.paths)
        for line in reader.notices:
            say(f"netioctl: {line}")
        return reader

    def replay(
        self,
        targets: Targets = _ALL,
        *,
        speed: float | None = None,
        seconds: float | None = None,
    ) -> Replay:
        """The recording as a session; of `targets`, if there are some, and so many seconds.

        Raises:
            RecordingError: there is none that can be read.
            UsageError: --since or --until is no moment.
        """
        from netioctl.recording.choose import pids
        from netioctl.recording.replay import Replay

        reader = self.reader()
        try:
            since, until = self._part(reader, seconds)
            return Replay(reader, pids(reader, targets), since=since, until=until, speed=speed)
        except BaseException:
            reader.close()
            raise

    def stepped(
        self,
        targets: Targets,
        interval: float,
        *,
        speed: float | None = None,
        seconds: float | None = None,
    ) -> Stepped:
        """The recording by intervals of so many seconds; else as replay()."""
        from netioctl.recording.choose import pids
        from netioctl.recording.stepped import Stepped

        reader = self.reader()
        try:
            since, until = self._part(reader, seconds)
            chosen = pids(reader, targets)
            return Stepped(reader, chosen, seconds=interval, since=since, until=until, speed=speed)
        except BaseException:
            reader.close()
            raise

    def _part(self, reader: Parts, seconds: float | None) -> tuple[int | None, int | None]:
        """moments(), of which so many seconds."""
        since, until = self.moments(reader)
        if seconds is not None:
            last = (reader.began if since is None else since) + round(seconds * _SECOND)
            until = last if until is None else min(last, until)
        return since, until

    def moments(self, reader: Parts) -> tuple[int | None, int | None]:
        """--since and --until, in ns since the epoch.

        Raises:
            UsageError: one is no moment, or they are in the wrong order.
        """
        from netioctl.recording.moments import moment

        since, until = (
            None if text is None else moment(text, reader.began, reader.until)
            for text in (self.since, self.until)
        )
        if since is not None and until is not None and until < since:
            raise UsageError(f"--until {self.until} is before --since {self.since}")
        return since, until


def source(function: F) -> F:
    """--from FILE, --since, --until, as Source named `source`; None where there is no --from."""

    def gather(*arguments: Any, **more: Any) -> Any:
        paths, since, until = (more.pop(name) for name in ("from_", "since", "until"))
        chosen = Source(paths, since, until) if paths else None
        return function(*arguments, source=chosen, **more)

    gather.__name__, gather.__doc__ = function.__name__, function.__doc__
    gather.__dict__.update(function.__dict__)
    wrapped: Any = gather
    for option in (
        click.option(
            "--until",
            metavar="MOMENT",
            callback=_of_a_recording,
            help="With --from: nothing after it.",
        ),
        click.option(
            "--since",
            metavar="MOMENT",
            callback=_of_a_recording,
            help="With --from: nothing before 22:30:45, 2026-01-31T22:30, @1732384245 (epoch), "
            "+10s (from the beginning) or -5m (from the end).",
        ),
        click.option(
            "--from",
            "from_",
            metavar="FILE",
            # PIDs, which are looked at after it, need not be given then.
            is_eager=True,
            multiple=True,
            callback=_keep,
            help="Show a recording (netioctl record) instead of what happens now, with FILE.1, "
            "FILE.2 ... of --max-files. Several times: just these of its files.",
        ),
    ):
        wrapped = option(wrapped)
    result: F = wrapped
    return result


def replay_speed(function: F) -> F:
    """--replay-speed, None where it is not given."""
    return click.option(
        "--replay-speed",
        type=click.FloatRange(min=0, min_open=True),
        metavar="X",
        callback=_of_a_recording,
        help="With --from: 1 as fast as it happened, 10 ten times as fast.",
    )(function)


def _keep(
    context: click.Context, _parameter: click.Parameter, value: tuple[str, ...]
) -> tuple[str, ...]:
    if value:
        context.meta[FROM] = value
    return value


def _of_a_recording(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    if value is not None and FROM not in context.meta:
        name = (parameter.name or "").replace("_", "-")
        raise click.UsageError(f"--{name} is for a recording: --from FILE", context)
    return value


def problems(lines: Sequence[str]) -> bool:
    """Say what could not be read; whether there was something."""
    from netioctl.output import say

    for line in lines:
        say(f"netioctl: {line}")
    return bool(lines)
