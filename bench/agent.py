"""An agent at work: changes tickets through the write door and times each change.

``python -m bench.agent CONFIG TICKETS`` is a process of its own beside the daemon. It
works until a line comes on standard input, then prints the seconds of every change
from the wish to the commit, as one JSON list.
"""

from __future__ import annotations

import json
import select
import sys
from pathlib import Path

from bench.waiting import CLOCK, pause
from otrsd.app import load
from otrsd.desk import tickets
from otrsd.desk.tickets import Who
from otrsd.desk.unit import Desk
from otrsd.model.changes import Changes

#: Seconds an agent needs to read, between two changes.
_THINKS = 0.02


def main(config: str, count: str) -> int:
    """Be the agent."""
    app = load(Path(config), {}, CLOCK)
    try:
        desk = app.desk()
        took = []
        number = 0
        while not select.select([sys.stdin], [], [], 0)[0]:
            number += 1
            took.append(change(desk, number % int(count) + 1, number))
            pause(_THINKS)
    finally:
        app.close()
    print(json.dumps(took), flush=True)
    return 0


def change(desk: Desk, ticket_id: int, number: int) -> float:
    """Change one ticket; return the seconds until it was committed."""
    began = CLOCK.monotonic()
    with desk.unit() as unit:
        ticket = unit.ticket(ticket_id)
        if ticket is not None:
            wanted = Changes(priority=1 + number % 5, fields={"seen": str(number)})
            tickets.change(unit, ticket, wanted, Who(actor="agent", cause="bench"))
    return CLOCK.monotonic() - began


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
