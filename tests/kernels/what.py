"""What is run in every kernel besides the matrix, and which back-ends have to be there.

A daemon takes some ten seconds there to compile and load, so most tests share one, with the
back-end that netiod chooses: what differs between back-ends, bytes and peers, the matrix compares.
What only Python does, as answers to bad input, is tested on the machine itself alone.
"""

from __future__ import annotations

from tests.accuracy.results import version

#: The first kernel that has what a back-end needs; those that are not here run on every kernel.
SINCE = {"tracepoint": (6, 3)}

#: What each of a kernel's machines does; they run beside one another. kprobe and fexit patch the
#: same functions, which they never do together elsewhere.
PARTS = (("kprobe",), ("tests",), ("fexit", "syscall"), ("tracepoint",))

_TOTALS = "tests/system/test_totals.py"
_ACCESS = "tests/system/test_access.py"
_LIFECYCLE = "tests/system/test_lifecycle.py"
_VIEWERS = "tests/system/test_viewers.py"
_SELECTORS = "tests/system/test_selectors.py"
TESTS = (
    f"{_TOTALS}::test_tcp_sides_and_ports",
    f"{_TOTALS}::test_unconnected_udp_names_the_peers",
    f"{_TOTALS}::test_unix_sockets_are_named",
    f"{_TOTALS}::test_abstract_unix_sockets_are_named",
    f"{_TOTALS}::test_a_socketpair_names_the_peers_pid",
    f"{_TOTALS}::test_totals_stay_after_the_exit",
    f"{_ACCESS}::test_who_talks_to_strangers_has_no_privileges",
    f"{_LIFECYCLE}::test_sigterm_ends_it_clean",
    f"{_LIFECYCLE}::test_a_killed_broker_comes_back_with_totals_and_what_was_added",
    f"{_VIEWERS}::test_several_processes_in_one_stream",
    f"{_SELECTORS}::test_children_are_followed_from_their_first_byte",
    f"{_SELECTORS}::test_who_becomes_another_user_is_not_the_first_ones",
    f"{_SELECTORS}::test_cgroups_units_and_containers",
)


def expected(backend: str, kernel: str) -> bool:
    """Must this kernel have this back-end?"""
    return version(kernel) >= SINCE.get(backend, ())
