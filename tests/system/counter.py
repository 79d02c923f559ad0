"""A viewer that counts: `python3 -m tests.system.counter RUN_DIR PID FILE`.

It says "ready" when its stream has begun, and when the process has exited one line of JSON: events
read, and those that it was told are lost, by stage. FILE begins with the events read so far, as
eight little-endian bytes.
"""

from __future__ import annotations

import json
import os
import sys

from netioctl.client import Client
from netioctl.session import Session
from netioctl.stream import Events, Lost
from netioctl.watching import Interrupted


def main() -> None:
    found = {"events": 0, "kernel": 0, "stream": 0, "interrupted": 0, "gaps": 0}
    with Client(sys.argv[1], timeout=20) as client, Session(client, [int(sys.argv[2])]) as session:
        session.attach()
        session.open()
        progress = os.open(sys.argv[3], os.O_WRONLY | os.O_CREAT, 0o600)
        print("ready", flush=True)
        while not session.ended:
            session.wait(None)
            for item in session.read():
                if isinstance(item, Events):
                    found["events"] += item.number
                elif isinstance(item, Lost):
                    found[item.stage] += item.events
                    found["gaps"] += 1
                elif isinstance(item, Interrupted):
                    found["interrupted"] += item.events or 0
            os.pwrite(progress, found["events"].to_bytes(8, "little"), 0)
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
