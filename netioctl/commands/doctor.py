"""`netioctl doctor`: what is wrong with this installation, and what to do."""

from __future__ import annotations

import click

from netioctl.client import run_directory
from netioctl.commands import options
from netioctl.exit_status import ExitStatus
from netioctl.output import Output, say


@click.command(short_help="Check what netio needs, and say what to do.")
@options.as_json
@options.run_dir
def command(as_json: bool) -> ExitStatus:
    """Check kernel, libraries, configuration, service, run directory, daemon and your rights;
    say what is wrong, and what to do.

    \b
    Examples:
      netioctl doctor
      sudo netioctl doctor                   also what only root can see
      netioctl doctor --json | jq -r 'select(.result == "fail") | .remedy'

    Each line is ok, warn (netio works, but not in every respect), FAIL, or a question mark for
    what only root can look at. It changes nothing.

    Exit status is 1 if something fails, else 0.
    """
    from netioctl import doctor
    from netioctl.render import findings

    output = Output()
    counts = dict.fromkeys(doctor.Result, 0)
    for finding in doctor.examine(run_directory(options.chosen_run_dir())):
        counts[finding.result] += 1
        text = findings.as_json(finding) if as_json else findings.text(finding, output.width())
        output.write(text)
    failed, warned = counts[doctor.Result.FAIL], counts[doctor.Result.WARN]
    say(findings.verdict(failed, warned, counts[doctor.Result.UNKNOWN]))
    return ExitStatus.FAILURE if failed else ExitStatus.OK
