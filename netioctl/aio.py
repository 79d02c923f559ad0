"""A session in asyncio. Public Python API; imported only when it is used."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from netioctl.session import Session
from netioctl.watching import Item


async def items(session: Session) -> AsyncIterator[Item]:
    """What Session.read() returns, as it comes, until the session has ended.

    The session is attached and open. While this waits, the loop does other things; whoever stops
    iterating ends the waiting. Errors are those of Session.read().
    """
    while True:
        for item in session.read():
            yield item
        if session.ended:
            return
        await _readable(session)


async def _readable(session: Session) -> None:
    """Until read() may have something to return."""
    left = session.due()
    if left is not None and left <= 0:
        await asyncio.sleep(0)
        return
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    # Anew each time: the daemon's sockets become others when it is replaced.
    descriptors = session.descriptors()
    for descriptor in descriptors:
        loop.add_reader(descriptor, ready.set)
    try:
        await asyncio.wait_for(ready.wait(), left)
    except asyncio.TimeoutError:
        pass
    finally:
        for descriptor in descriptors:
            loop.remove_reader(descriptor)
