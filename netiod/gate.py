"""A gate: passes the broker's frames to the viewers of one user, over ZeroMQ.

It runs as user netio with no capabilities, opens no file, and knows nothing but its sockets:
whoever breaks it has broken their own stream.
"""

from __future__ import annotations

import os
import resource
import socket
import threading
import time
from typing import TYPE_CHECKING

import zmq

from netioctl.wire.errors import NetioError
from netiod.channel import LENGTH, MAX_DATA

#: Bytes of address space. 32 viewers who have all stopped hold 32 x 64 frames of 64 KiB.
MEMORY_LIMIT = 512 << 20
#: Descriptors, one for each viewer.
VIEWERS_LIMIT = 1024

#: Messages of the broker's that are passed on before subscriptions are looked at again.
_BATCH = 32
#: Frames in a row after which libzmq's thread gets time to send them, and how much (seconds): more
#: than SNDHWM at once would be lost to viewers that are not behind at all.
_BURST, _REST = 32, 0.0002
_OPTIONS = (
    # Subscriptions are all that viewers may send.
    (zmq.MAXMSGSIZE, 4096),
    (zmq.RCVHWM, 10),
    # Frames that wait for a slow viewer; what comes after them is lost to that viewer alone.
    (zmq.SNDHWM, 64),
    # ms: a viewer that does not speak ZMTP, or has stopped, is let go.
    (zmq.HANDSHAKE_IVL, 2000),
    (zmq.HEARTBEAT_IVL, 1000),
    (zmq.HEARTBEAT_TIMEOUT, 3000),
    (zmq.LINGER, 0),
)


if TYPE_CHECKING:
    Context = zmq.Context[zmq.Socket[bytes]]


def make_context() -> Context:
    """libzmq, while it can still read the files that it looks for. It starts no thread yet."""
    return zmq.Context(io_threads=1)


def run(listener: socket.socket, path: str, data: socket.socket, context: Context) -> int:
    """Publish every message that comes from `data` until its end; the exit status.

    Args:
        listener: bound to `path` and listening; viewers come in there.
        data: the broker's frames, SOCK_SEQPACKET, in messages as channel.py says.
        context: from make_context().
    """
    _limit(resource.RLIMIT_AS, MEMORY_LIMIT)
    _limit(resource.RLIMIT_NOFILE, VIEWERS_LIMIT)
    with context:
        _try_a_thread()
        with context.socket(zmq.PUB) as pub:
            _serve(pub, listener, path, data)
    return 0


def _try_a_thread() -> None:
    """libzmq, which starts two, aborts where it cannot.

    Raises:
        NetioError: there can be none.
    """
    try:
        thread = threading.Thread(target=int)
        thread.start()
    except RuntimeError:
        raise NetioError(
            f"no thread can be started: uid {os.getuid()} has as many processes as it may "
            "(RLIMIT_NPROC), or the service has (TasksMax): end some, or raise that"
        ) from None
    thread.join()


def _serve(pub: zmq.Socket[bytes], listener: socket.socket, path: str, data: socket.socket) -> None:
    for option, value in _OPTIONS:
        pub.setsockopt(option, value)
    # libzmq closes what it is given.
    pub.setsockopt(zmq.USE_FD, listener.dup().detach())
    pub.bind(f"ipc://{path}")
    data.setblocking(False)
    poller = zmq.Poller()
    poller.register(data, zmq.POLLIN)
    # Also where no frame comes, so that viewers who come and go leave nothing behind.
    poller.register(pub.FD, zmq.POLLIN)
    buffer = bytearray(MAX_DATA)
    while True:
        poller.poll()
        # Makes libzmq look at what has come: subscriptions hold from the next frame on.
        pub.get(zmq.EVENTS)
        if not _pass_on(data, pub, buffer):
            return


def _pass_on(data: socket.socket, pub: zmq.Socket[bytes], buffer: bytearray) -> bool:
    """Send the frames that are there; False: the broker is gone."""
    view = memoryview(buffer)
    receive, send, flags = data.recv_into, pub.send, zmq.NOBLOCK
    length, passed = LENGTH.unpack_from, 0
    try:
        for _ in range(_BATCH):
            size = receive(buffer)
            if not size:
                return False
            at = 0
            while at < size:
                begin = at + LENGTH.size
                at = begin + length(buffer, at)[0]
                # A PUB socket drops for a viewer that is behind; it never blocks.
                send(view[begin:at], flags)
                passed += 1
                if passed % _BURST == 0:
                    time.sleep(_REST)
                    # Else libzmq hears that there is room again only after a millisecond.
                    pub.get(zmq.EVENTS)
    except BlockingIOError:
        pass
    except ConnectionResetError:
        return False
    return True


def _limit(what: int, most: int) -> None:
    hard = resource.getrlimit(what)[1]
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(what, (most, most))
