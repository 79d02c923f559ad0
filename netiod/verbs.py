"""The methods of the control protocol, one function each; PROTOCOL.md says what they do.

What takes its time is a generator that yields wherever others may have their turn.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from netioctl import __version__
from netioctl.wire import PROTOCOL_VERSION, control
from netioctl.wire.errors import Code, NotHeld, RequestError, VersionMismatch
from netiod import asked, condition
from netiod.control import Connection
from netiod.gates import MAX_GATES
from netiod.holding import Holding
from netiod.holdings import COUNTERS
from netiod.objects import process
from netiod.requests import Later, Object, Rows, Steps
from netiod.selection import Interest
from netiod.selector import Selector, as_object, parse
from netiod.summary import summarize

if TYPE_CHECKING:
    from netiod.broker import Broker


def hello(broker: Broker, connection: Connection, _ident: Any, params: Object) -> Object:
    """Say who is who, and refuse a client that would misunderstand."""
    protocol = params.get("protocol")
    if protocol != PROTOCOL_VERSION:
        raise VersionMismatch(
            f"netiod {__version__} speaks protocol {PROTOCOL_VERSION}, this client {protocol}: "
            "install the same version of both"
        )
    return {
        "protocol": PROTOCOL_VERSION,
        "version": __version__,
        "layout": broker.kernel.layout.fingerprint,
        "operator": connection.caller.operator,
    }


def watch(broker: Broker, connection: Connection, ident: Any, params: Object) -> Steps:
    """Attach processes for as long as the connection lasts; answered when the stream is there."""
    stream, follow = asked.boolean(params, "stream", True), asked.boolean(params, "follow", False)
    selectors, failed = _selectors(broker, connection, params), asked.failed(params, broker.info)

    def attach(pid: int) -> Object:
        holding, fresh = broker.holdings.attach(connection.caller, pid, "watch")
        broker.holdings.lease(connection, holding, stream=stream, follow=follow, failed=failed)
        connection.holdings[holding] = None
        if follow:
            broker.selection.resume(connection, pid, stream, failed)
        return process(holding, fresh=fresh)

    missed = broker.missed()
    if selectors:
        interest = Interest(connection.caller, connection, stream, follow, failed)
        broker.selection.want(selectors, interest)
    done, errors = yield from asked.each(params, attach, none=bool(selectors))
    broker.selection.show()
    result = {
        "endpoint": None,
        "processes": done,
        "errors": errors,
        "missed": missed,
        "epoch": broker.epoch,
        "replaced": broker.publisher.replaced,
    }
    if not ((done or selectors) and stream):
        return _when_hooked(broker, connection, ident, result)

    def answer(endpoint: str | RequestError) -> None:
        if isinstance(endpoint, RequestError):
            if endpoint.code is Code.LIMIT_REACHED:
                broker.audit.limit(connection.caller, "gates", MAX_GATES)
            connection.answer(ident, endpoint)
        else:
            full = {**result, "endpoint": endpoint}
            if not isinstance(_when_hooked(broker, connection, ident, full), Later):
                connection.answer(ident, full)

    # `answer` is called from the loop, never from within open().
    broker.gates.open(connection, answer)
    return Later()


def sync(broker: Broker, connection: Connection, _ident: Any, params: Object) -> Object:
    """Send what the kernel has, then an empty frame, on the topic of each process watched."""
    broker.tell_missed()
    wanted = set(asked.pids(params, none=True))
    if any(interest.stream for interest in broker.selection.of(connection)) or any(
        connection in holding.followers for holding in connection.holdings
    ):
        # Where there may be no process yet, this tells that the stream is there.
        broker.publisher.send_empty(Holding(0, 0, "", 0, 0.0, leases={connection: True}))
    published = {}
    for holding in connection.holdings:
        if holding.pid in wanted and holding.exited is None:
            broker.publisher.send_empty(holding)
            published[str(holding.pid)] = holding.published
    return {"published": published}


def add(broker: Broker, connection: Connection, ident: Any, params: Object) -> Steps:
    """Attach processes until `remove` or their exit, and choose others until `remove`."""
    follow, selectors = (
        asked.boolean(params, "follow", False),
        _selectors(broker, connection, params),
    )

    def attach(pid: int) -> Object:
        holding, fresh = broker.holdings.attach(connection.caller, pid, "add")
        added = broker.holdings.add(connection.caller, holding, follow=follow)
        notice = None if added else f"process {pid} ({holding.comm}) was already added"
        return process(holding, fresh=fresh, notice=notice)

    new = []
    if selectors:
        interest = Interest(connection.caller, None, False, follow)
        new = broker.selection.want(selectors, interest)
    done, errors = yield from asked.each(params, attach, none=bool(selectors))
    broker.selection.show()
    result = {"processes": done, "errors": errors, "new": new}
    return _when_hooked(broker, connection, ident, result)


def remove(broker: Broker, connection: Connection, _ident: Any, params: Object) -> Steps:
    """Undo `add`."""
    selectors = _selectors(broker, connection, params)

    def detach(pid: int) -> Object:
        holding = broker.holdings.find(connection.caller, pid)
        broker.holdings.remove(connection.caller, holding)
        return process(holding)

    removed = []
    for selector in selectors:
        try:
            broker.selection.unwant(selector, connection.caller)
            removed.append(True)
        except NotHeld:
            removed.append(False)
    done, errors = yield from asked.each(params, detach, none=bool(selectors))
    broker.selection.show()
    return {"processes": done, "errors": errors, "removed": removed}


def list_(broker: Broker, connection: Connection, _ident: Any, _params: Object) -> Rows:
    """All processes that the caller may see and that are held, or exited not long ago."""
    found = broker.holdings.all(connection.caller)

    def rows() -> Iterator[Object]:
        for holding in found:
            if not broker.holdings.visible(connection.caller, holding):
                continue
            result["count"] += 1
            yield {
                **process(holding),
                "added_by": holding.added_by,
                "viewers": len(holding.leases),
                "exited": holding.exited,
                "total": broker.holdings.totals(holding),
                "lost": holding.lost,
            }

    selectors = [
        {
            **as_object(selector, broker.selection.cgroup(selector)),
            "added_by": interest.caller.uid,
            "follow": interest.follow,
        }
        for selector, interest in broker.selection.added(connection.caller)
    ]
    result: dict[str, Any] = {"count": 0, "selectors": selectors}
    return Rows(rows(), result, len(found))


def summary(broker: Broker, connection: Connection, _ident: Any, params: Object) -> Steps:
    """Totals and connections of processes since they were attached."""
    rows: list[Object] = []
    total = dict.fromkeys(COUNTERS, 0)
    since: list[float] = []
    done, errors = [], []
    for pid in asked.pids(params):
        try:
            holding = broker.holdings.find(connection.caller, pid, exited=True)
        except RequestError as error:
            errors.append(asked.failure(pid, error))
            yield
            continue
        own_total, own_rows = yield from summarize(broker.holdings, broker.connections, holding)
        rows.extend(own_rows)
        since.append(holding.since)
        for name in COUNTERS:
            total[name] += own_total[name]
        broker.holdings.refresh_lost(holding)
        own = {"published": holding.published, "lost": holding.lost}
        done.append({**process(holding), **own})
    missed = broker.missed()
    result = {
        "total": total,
        "processes": done,
        "errors": errors,
        "complete": missed == 0,
        "missed": missed,
        "since": min(since, default=None),
        "until": time.time(),
    }
    return Rows(rows, result, len(rows))


def describe(broker: Broker, connection: Connection, _ident: Any, params: Object) -> Rows:
    """What ids of connections in events mean, of processes that the caller may see."""
    ids = params.get("ids")
    if not isinstance(ids, list) or not all(type(number) is int for number in ids):
        raise RequestError("params.ids must be a list of numbers", Code.INVALID_PARAMS)
    if len(ids) > control.MAX_IDS_A_REQUEST:
        text = f"at most {control.MAX_IDS_A_REQUEST:,} ids in one request"
        raise RequestError(text, Code.INVALID_PARAMS)
    visible = {(h.pid, h.start): h for h in broker.holdings.all(connection.caller)}

    def rows() -> Iterator[Object]:
        for number in ids:
            holding = visible.get(broker.connections.process(number) or (0, 0))
            if holding is None or not broker.holdings.visible(connection.caller, holding):
                continue
            words = broker.connections.words(number)
            result["count"] += 1
            yield {"id": number, **words._asdict()}

    result = {"count": 0}
    return Rows(rows(), result)


def status(broker: Broker, connection: Connection, _ident: Any, _params: Object) -> Object:
    """How the daemon does; more for operators."""
    return condition.told_to(connection.caller, broker)


def _selectors(broker: Broker, connection: Connection, params: Object) -> dict[Selector, int]:
    levels = broker.kernel.layout.constants["NETIO_CGROUP_LEVELS"]
    return parse(connection.caller, params.get("selectors", []), levels)


def _when_hooked(broker: Broker, connection: Connection, ident: Any, result: Object) -> Any:
    """`result`; or Later, where hooks must be attached first for everything to be seen."""
    broker.need_hooks()
    waits = broker.demand.when_met(lambda: connection.answer(ident, result))
    return Later() if waits else result


Method = Callable[["Broker", Connection, Any, Object], Any]
#: The verbs: a new one is a function above and an entry here.
METHODS: dict[str, Method] = {
    "hello": hello,
    "watch": watch,
    "sync": sync,
    "add": add,
    "remove": remove,
    "list": list_,
    "summary": summary,
    "describe": describe,
    "status": status,
}
