"""``otrsd doctor --mta``: one mail through the MTA of this machine, until its ticket.

The mail goes to the first queue that has an address, from the null sender and marked as
automatic (RFC 3834), so that nobody and nothing answers it; its ticket stays, with a
title that says what it was.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import threading
from email.utils import format_datetime
from typing import TYPE_CHECKING

from otrsd.daemon.checks import Check, Level

if TYPE_CHECKING:
    from otrsd.app import App

_PLACES = ":/usr/sbin:/usr/lib:/usr/local/sbin"
_STEP = 0.25


def probe(app: App, seconds: float) -> Check:
    """Send the mail and wait for its ticket."""
    address = next((a for q in app.config.queues.values() for a in q.address), "")
    sendmail = shutil.which("sendmail", path=os.environ.get("PATH", "") + _PLACES)
    if not address or sendmail is None:
        lacking = "no queue has an address" if not address else "there is no sendmail"
        return _bad(lacking, "otrsd config get queues")
    token = secrets.token_hex(8)
    title = f"otrsd doctor probe {token}"
    began = app.clock.monotonic()
    sent = subprocess.run(  # noqa: S603 - the MTA's own program, by its full path
        [sendmail, "-i", "-f", "<>", "--", address],
        input=_mail(app, address, title),
        capture_output=True,
        timeout=seconds,
        check=False,
    )
    if sent.returncode:
        said = (sent.stderr or sent.stdout).decode("utf-8", "replace").strip()
        return _bad(f"{sendmail} refused it: {said}", f"{sendmail} -bv {address}")
    waiting = threading.Event()
    while app.clock.monotonic() - began < seconds:
        number = _ticket(app, title)
        if number:
            took = app.clock.monotonic() - began
            return Check(
                name="mta",
                text=f"a mail to {address} became ticket {number} in {took:.1f} s",
                figures={"seconds": round(took, 2)},
            )
        waiting.wait(_STEP)
    return _bad(
        f"a mail to {address} is no ticket after {seconds:g} s",
        "mailq; journalctl -u postfix; docs/howto/postfix.md",
    )


def _mail(app: App, address: str, title: str) -> bytes:
    sender = f"otrsd doctor <MAILER-DAEMON@{socket.gethostname()}>"
    fields = (
        f"From: {sender}",
        f"To: {address}",
        f"Date: {format_datetime(app.clock.now())}",
        f"Subject: {title}",
        f"Message-ID: <{secrets.token_hex(16)}@{socket.gethostname()}>",
        "Auto-Submitted: auto-generated",
        "Precedence: bulk",
    )
    text = "A probe of otrsd doctor --mta: mail gets here. Close this ticket.\n"
    return ("\n".join(fields) + "\n\n" + text).encode()


def _ticket(app: App, title: str) -> str:
    from otrsd.store import figures

    with app.database.read() as connection:
        return figures.number_of_title(connection, title)


def _bad(text: str, remedy: str) -> Check:
    return Check(name="mta", level=Level.CRITICAL, text=text, remedy=remedy)
