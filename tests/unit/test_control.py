"""Lines of the control socket."""

from __future__ import annotations

import pytest

from netioctl.wire import control
from netioctl.wire.errors import Code, NoSuchProcess, ProtocolError, RequestError, from_code


def test_there_and_back() -> None:
    message = control.request(7, "watch", {"pids": [1, 2], "text": "zwölf\n\x1b"})
    line = control.encode(message)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert line.isascii()
    assert control.decode(line) == message


@pytest.mark.parametrize(
    "line",
    [b"", b"\n", b"{", b"[]", b"1", b'"x"', b"null", b"\xff\xfe{}", b"[" * 60000, b'{"a":' * 9000],
)
def test_what_is_no_message_is_refused(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        control.decode(line)


def test_a_full_piece_of_rows_fits_a_line() -> None:
    name = "\\x00" * 108
    row = {
        "pid": control.MAX_PID,
        "family": "unix",
        "proto": "seqpacket",
        "local": name,
        "remote": name,
        **dict.fromkeys(("sent_bytes", "recv_bytes", "send_ops", "recv_ops"), 1 << 63),
    }
    rows = {"id": 1 << 31, "rows": [row] * control.ROWS_A_LINE}
    assert len(control.encode(control.notification("rows", rows))) <= control.MAX_LINE


def test_most_pids_fit_a_line() -> None:
    pids = [control.MAX_PID] * control.MAX_PIDS_A_REQUEST
    assert len(control.encode(control.request(1, "watch", {"pids": pids}))) <= control.MAX_LINE


def test_errors_come_back_as_what_they_were() -> None:
    assert isinstance(from_code(Code.NO_SUCH_PROCESS, "x"), NoSuchProcess)
    assert from_code(Code.INVALID_PARAMS, "x").code is Code.INVALID_PARAMS
    unknown = from_code(-1, "x")
    assert type(unknown) is RequestError
    assert str(unknown) == "x"
