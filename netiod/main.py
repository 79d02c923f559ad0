"""The command netiod: options, settings, prerequisites, then the supervisor."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Sequence
from enum import IntEnum
from typing import NoReturn

from netioctl import __version__
from netioctl.wire.errors import (
    AlreadyRunning,
    ConfigError,
    NetioError,
    PrerequisiteError,
    UsageError,
)
from netiod import children, fdstore, logs, prerequisites, settings
from netiod.supervisor import Supervisor, netio_programs
from netiod.systemd import Notifier

_LOG = logging.getLogger("netiod.main")


class ExitStatus(IntEnum):
    """How netiod ends."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    PREREQUISITE = 3
    ALREADY_RUNNING = 4
    INTERRUPTED = 130


_STATUS: tuple[tuple[type[NetioError], ExitStatus], ...] = (
    (UsageError, ExitStatus.USAGE),
    (ConfigError, ExitStatus.USAGE),
    (PrerequisiteError, ExitStatus.PREREQUISITE),
    (AlreadyRunning, ExitStatus.ALREADY_RUNNING),
    (NetioError, ExitStatus.FAILURE),
)

_DESCRIPTION = """\
Count in the kernel what processes send and receive, and stream it to viewers
(netioctl). Runs in the foreground, as root, until SIGTERM or Ctrl+C.

examples:
  sudo netiod
  sudo netiod -v --run-dir /tmp/netio       beside another: netioctl --run-dir
  sudo netiod --ring-size 64M --max-connections 500000
  sudo systemctl start netiod               as a service"""

_EPILOG = f"""\
The same settings, with underscores for dashes, may stand in
{settings.DEFAULT_CONFIG}; options win over the environment, and that
over the file.

environment:
  {settings.RUN_DIR_VARIABLE}        run directory, for netiod and netioctl

exit status:
  0  ended by a signal
  1  failed
  2  wrong option or setting
  3  something that netiod needs is missing
  4  another netiod serves the run directory
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line instead of the usage."""
        raise UsageError(f"{message}; netiod --help lists the options")


def main(argv: Sequence[str] | None = None) -> int:
    """Run netiod with `argv` (None: the command line); its exit status."""
    logs.configure(verbose=False)
    try:
        _run(argv)
    except NetioError as error:
        status = next(status for kind, status in _STATUS if isinstance(error, kind))
        text = str(error) or "failed"
        # What others than root are told already says what to do.
        if status in (ExitStatus.PREREQUISITE, ExitStatus.FAILURE) and os.geteuid() == 0:
            text += "; see: netioctl doctor"
        for line in text.splitlines():
            _LOG.error("%s", line)
        _LOG.debug("where it came from:", exc_info=True)
        return status
    except KeyboardInterrupt:
        return ExitStatus.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - no traceback without -v
        _LOG.error("unexpected %s: %s; -v tells where", type(error).__name__, error)
        _LOG.debug("where it came from:", exc_info=True)
        return ExitStatus.FAILURE
    return ExitStatus.OK


def _run(argv: Sequence[str] | None) -> None:
    options = vars(parser().parse_args(argv))
    config = options.pop("config")
    if options["verbose"]:
        logs.configure(verbose=True)
    prerequisites.check_root()
    chosen = settings.load(options, os.environ, config)
    logs.configure(chosen.verbose)
    prerequisites.check()
    children.set_name("netiod")
    left = fdstore.inherited(os.environ)
    Supervisor(chosen, netio_programs(), Notifier(os.environ), left).run()


def parser() -> argparse.ArgumentParser:
    """The command line; the manual page is made from it, too."""
    made = _Parser(
        prog="netiod",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    default = settings.Settings()
    add = made.add_argument
    add("--version", action="version", version=f"netiod {__version__}")
    add(
        "-v",
        "--verbose",
        action="store_true",
        default=None,
        help="log each hook attached, each that could not be and why, and tracebacks",
    )
    add(
        "--run-dir",
        metavar="DIR",
        help=f"where control and stream sockets are (default {default.run_dir})",
    )
    add(
        "--cache-dir",
        metavar="DIR",
        help="where compiled programs are kept, so that the next start need not compile; losing "
        f"it costs a second (default {default.cache_dir})",
    )
    add(
        "--group",
        metavar="NAME",
        help="its members are operators, who may watch every process; all others watch "
        f"their own (default {default.group})",
    )
    add(
        "--user",
        metavar="NAME",
        help=f"whom the processes without privileges run as (default {default.user}, "
        "or nobody if that does not exist)",
    )
    add(
        "--backend",
        metavar="NAME",
        help=f"how the kernel is hooked: auto, {', '.join(settings.BACKENDS)} (default auto: "
        "the most exact one that this kernel allows)",
    )
    add(
        "--ring-size",
        metavar="BYTES",
        help="the kernel's buffer of live events, a power of two; K, M and G are understood "
        f"(default {default.ring_size >> 20}M)",
    )
    add(
        "--max-connections",
        metavar="N",
        help=f"connections counted one by one at a time (default {default.max_connections})",
    )
    add(
        "--max-pids",
        metavar="N",
        help=f"processes that can be watched at a time (default {default.max_pids})",
    )
    add(
        "--netlink",
        action="store_true",
        default=None,
        help="count netlink sockets too, which talk to the kernel and not to a network",
    )
    add(
        "--no-splice",
        dest="splice",
        action="store_false",
        default=None,
        help="do not count splice(2) from TCP and unix sockets where that takes hooks of its own",
    )
    add(
        "--config",
        metavar="FILE",
        help=f"read this file (default {settings.DEFAULT_CONFIG}, if it exists)",
    )
    return made
