"""What people use today to see what a process sends and receives, and the floor below it all.

bcc_child   what BCC's programs here have in common; floor, script run as processes of their own
floor       the cheapest hook there can be, and the cheapest that delivers events
script      what somebody writes with BCC in an afternoon
helpers     starts these two
attempt     what becomes of one that fails
tools       bpftrace, strace, perf trace, tcptop, nethogs
"""

from __future__ import annotations

from tests.bench.rivals import helpers, tools
from tests.bench.rivals.attempt import attempted

FLOOR = tuple(map(attempted, helpers.FLOOR))
RIVALS = tuple(map(attempted, (*helpers.SCRIPTS, *tools.TOOLS)))
