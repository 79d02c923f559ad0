"""What a request asks for: its params, checked."""

from __future__ import annotations

from collections.abc import Callable, Generator

from netioctl.wire import control
from netioctl.wire.errors import Code, RequestError
from netiod.requests import Object


def boolean(params: Object, name: str, default: bool) -> bool:
    """One that is true or false.

    Raises:
        RequestError: it is something else.
    """
    value = params.get(name, default)
    if not isinstance(value, bool):
        raise RequestError(f"params.{name} must be true or false", Code.INVALID_PARAMS)
    return value


def failed(params: Object, info: Object) -> bool:
    """Whether operations that fail are wanted; `info`: what the loader told.

    Raises:
        RequestError: this back-end does not see them.
    """
    wanted = boolean(params, "failed", False)
    if wanted and not info.get("tells_errors"):
        name = info["backend"]["name"]
        raise RequestError(
            f"back-end {name} does not see operations that fail, only tracepoint does (Linux 6.3 "
            "or later): leave out --errors",
            Code.INVALID_PARAMS,
        )
    return wanted


def each(
    params: Object, take: Callable[[int], Object], *, none: bool = False
) -> Generator[None, None, tuple[list[Object], list[Object]]]:
    """(results, error objects) of `take` for each PID of a request; `none`: there may be none."""
    done, errors = [], []
    for pid in pids(params, none=none):
        try:
            done.append(take(pid))
        except RequestError as error:
            errors.append(failure(pid, error))
        yield
    return done, errors


def failure(pid: int, error: RequestError) -> Object:
    """What is said of a PID for which that went wrong."""
    return {"pid": pid, "code": int(error.code), "message": str(error)}


def pids(params: Object, *, none: bool = False) -> list[int]:
    """The PIDs of a request, each once; `none`: there may be none.

    Raises:
        RequestError: they are not what the protocol allows.
    """
    given = params.get("pids")
    if none and not given:
        return []
    if not isinstance(given, list) or not given:
        raise RequestError("params.pids must be a list of PIDs", Code.INVALID_PARAMS)
    if len(given) > control.MAX_PIDS_A_REQUEST:
        text = f"at most {control.MAX_PIDS_A_REQUEST:,} PIDs in one request"
        raise RequestError(text, Code.INVALID_PARAMS)
    for pid in given:
        if isinstance(pid, bool) or not isinstance(pid, int) or not 0 < pid <= control.MAX_PID:
            text = f"a PID is an integer of 1 to {control.MAX_PID}"
            raise RequestError(text, Code.INVALID_PARAMS)
    return list(dict.fromkeys(given))
