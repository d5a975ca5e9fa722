"""Show otrsd at work: a throw-away installation takes mail and tells what it did.

In: the repository's otrsd.yaml, config/ and plugins/; out: what a user would see, on
standard output, in some twenty seconds. Ports are free ones and the state folder is a
temporary one, so it runs beside a daemon. Fails with exit 1 and the daemon's log where
something does not come about in time; whatever it started is stopped either way.

Started by ``scripts/run --demo``.
"""

from __future__ import annotations

import json
import os
import re
import signal
import smtplib
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
OTRSD = Path(sys.executable).parent / "otrsd"
#: Seconds that one thing may take to come about.
PATIENCE = 20.0
POLL = 0.1
CUSTOMER = "Jörg Müller <joerg.mueller@kunde.example>"


class DemoError(Exception):
    """Something did not come about; the text says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The throw-away installation."""

    folder: Path
    smtp_port: int

    @property
    def config(self) -> str:
        """Return the path of its otrsd.yaml."""
        return str(self.folder / "otrsd.yaml")

    def otrsd(self, *arguments: str) -> str:
        """Run a command and return what it prints."""
        command = [str(OTRSD), "-c", self.config, *arguments]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            told = (done.stderr or done.stdout).strip()
            raise DemoError(f"otrsd {' '.join(arguments)}: {told}")
        return done.stdout

    def show(self, *arguments: str) -> None:
        """Run a command as a user would, and print both."""
        told = " ".join(_quoted(one) for one in arguments)
        print(f"\n$ otrsd {told}", flush=True)
        # It writes to our own output: a terminal gets tables, a pipe gets TSV.
        done = subprocess.run([str(OTRSD), "-c", self.config, *arguments], check=False)
        if done.returncode != 0:
            raise DemoError(f"otrsd {told}: exit {done.returncode}")

    def json(self, *arguments: str) -> Any:
        """Run a command with ``--json`` and return what it means."""
        return json.loads(self.otrsd(*arguments, "--json"))

    def smtp(self, mail: EmailMessage) -> None:
        """Hand a mail over as a mail server does."""
        with smtplib.SMTP("127.0.0.1", self.smtp_port, "mx.example.org") as client:
            client.send_message(mail)
        print(f"  smtp  {mail['Subject']}", flush=True)

    def pipe(self, content: bytes, *arguments: str) -> None:
        """Hand a mail over as Nagios, procmail or /etc/aliases do."""
        command = [str(OTRSD), "pipe", "-c", self.config, *arguments]
        done = subprocess.run(command, check=False, input=content, capture_output=True)
        if done.returncode != 0:
            raise DemoError(f"otrsd pipe: exit {done.returncode}: {done.stdout!r}")
        subject = re.search(rb"^Subject: (.*)$", content, re.MULTILINE)
        print(f"  pipe  {subject[1].decode() if subject else '-'}", flush=True)


def main() -> int:
    """Run the demonstration; return the exit code."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="otrsd-")))
        site = make_site(folder)
        try:
            site.show("check")
            with daemon(site):
                play(site)
        except DemoError as error:
            print(f"error: {error}", file=sys.stderr)
            with suppress(OSError):
                print((folder / "daemon.log").read_text("utf-8"), file=sys.stderr)
            return 1
        print("\nThe daemon has stopped, and its folder is gone. Now: scripts/run")
    return 0


def make_site(folder: Path) -> Site:
    """Lay out the repository's own site on two free ports."""
    text = (ROOT / "otrsd.yaml").read_text("utf-8")
    smtp, lmtp = free_ports()
    for port, free in ((8025, smtp), (8024, lmtp)):
        text, found = re.subn(
            rf"^([^#\n]*\bport: *){port}\b", rf"\g<1>{free}", text, flags=re.MULTILINE
        )
        if found != 1:
            raise DemoError(f"otrsd.yaml does not name port {port} once")
    (folder / "otrsd.yaml").write_text(text, "utf-8")
    for name in ("config", "plugins"):
        (folder / name).symlink_to(ROOT / name)
    return Site(folder=folder, smtp_port=smtp)


def free_ports() -> tuple[int, int]:
    """Return two ports of loopback on which nobody listens now."""
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        return one.getsockname()[1], other.getsockname()[1]


@contextmanager
def daemon(site: Site) -> Iterator[None]:
    """Start the daemon, wait until it takes mail, and stop it in the end."""
    with (site.folder / "daemon.log").open("wb") as log:
        process = subprocess.Popen(
            [str(OTRSD), "-c", site.config, "run"], stdout=log, stderr=log
        )
        try:

            def takes_mail() -> bool:
                if process.poll() is not None:
                    raise DemoError(f"the daemon ended with exit {process.returncode}")
                with suppress(OSError):
                    socket.create_connection(("127.0.0.1", site.smtp_port), 1).close()
                    return True
                return False

            wait_for("the daemon takes mail", takes_mail)
            yield
            process.send_signal(signal.SIGTERM)
            if process.wait(30) != 0:
                raise DemoError(f"the daemon stopped with exit {process.returncode}")
        except subprocess.TimeoutExpired as error:
            raise DemoError("the daemon did not stop within 30 s") from error
        finally:
            if process.poll() is None:
                process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(10)
                process.kill()
                process.wait()


def wait_for(what: str, question: Callable[[], Any]) -> Any:
    """Ask again and again until there is an answer; return it."""
    pause = threading.Event()
    for _ in range(int(PATIENCE / POLL)):
        answer = question()
        if answer:
            return answer
        pause.wait(POLL)
    raise DemoError(f"not within {PATIENCE:.0f} s: {what}")


def play(site: Site) -> None:
    """Send the mails in the order of a day, and show what became of them."""
    print("\nMails come in:")
    question = customer_question()
    site.smtp(question)
    number = wait_for("the question is a ticket", lambda: ticket_of(site, "Drucker"))
    site.smtp(follow_up(question, number))
    site.smtp(spam())
    site.pipe(nagios("PROBLEM", "CRITICAL", "Connection refused"), *NAGIOS)
    site.pipe(registrar(), "-f", "noreply@registrar.example", "robots@example.com")
    alert = wait_for("the alarm is a ticket", lambda: ticket_of(site, "web1"))
    site.pipe(nagios("RECOVERY", "OK", "HTTP OK: 200 in 0.042 s"), *NAGIOS)
    wait_for("the alarm is over", lambda: is_closed(site, alert))
    wait_for("the words are found", lambda: site.otrsd("search", "tonerkassette"))
    site.show("ticket", "list")
    site.show("search", "mueller queue:support")
    site.show("ticket", "show", number)
    site.show("explain", number)
    site.show("ticket", "history", alert)
    site.show("trash", "list")
    site.show("status")


def ticket_of(site: Site, word: str) -> str:
    """Return the number of the ticket with this word in its title, or nothing."""
    rows = site.json("ticket", "list")
    return next((str(row["number"]) for row in rows if word in row["title"]), "")


def is_closed(site: Site, number: str) -> bool:
    """Tell whether the ticket's state is one of the closed ones."""
    rows = site.json("ticket", "list")
    states = [str(row["state"]) for row in rows if str(row["number"]) == number]
    # A list without a query may leave closed tickets out.
    return not states or states[0].startswith("closed")


def mail(sender: str, to: str, subject: str, text: str) -> EmailMessage:
    """Return a mail of today with an id of its own."""
    made = EmailMessage()
    made["From"] = sender
    made["To"] = to
    made["Subject"] = subject
    made["Date"] = formatdate(localtime=True)
    made["Message-ID"] = f"<{os.urandom(8).hex()}@mx.example.org>"
    made.set_content(text)
    return made


def customer_question() -> EmailMessage:
    """Return what a customer writes."""
    text = """Guten Tag,

seit heute früh druckt der Drucker im zweiten Stock nur noch grün. Die
Tonerkassette haben wir schon getauscht, und die Tür schließt auch wieder.
Könnten Sie bitte prüfen, ob wir die richtigen Kassetten geliefert bekommen?

Viele Grüße
Jörg Müller, Straßenbauamt Köln
"""
    subject = "Drucker druckt nur noch grün"
    return mail(CUSTOMER, "Support <support@example.com>", subject, text)


def follow_up(question: EmailMessage, number: str) -> EmailMessage:
    """Return what the same customer adds an hour later."""
    subject = f"Re: [Ticket#{number}] {question['Subject']}"
    text = "Nachtrag: Es ist das Modell LX-300 mit der Seriennummer K-47119.\n"
    made = mail(CUSTOMER, "support@example.com", subject, text)
    made["In-Reply-To"] = made["References"] = question["Message-ID"]
    return made


def spam() -> EmailMessage:
    """Return what a scanner has marked."""
    text = "You have been selected. Spin now, no deposit needed!\n"
    subject = "***SPAM*** Your casino bonus is waiting"
    made = mail("win@lucky.example", "support@example.com", subject, text)
    made["X-Spam-Flag"] = "YES"
    return made


#: How Nagios calls the pipe: the envelope names the source.
NAGIOS = ("-f", "nagios@mon1.example.com", "alerts@example.com")


def nagios(kind: str, state: str, output: str) -> bytes:
    """Return the stock mail of Nagios: no From, no Date, no Message-ID."""
    return f"""Subject: ** {kind} Service Alert: web1/HTTP is {state} **

***** Nagios *****

Notification Type: {kind}

Service: HTTP
Host: web1
Address: 192.0.2.10
State: {state}

Date/Time: {formatdate(localtime=True)}

Additional Info:

{output}
""".encode()


def registrar() -> bytes:
    """Return what a registrar's machine writes about a domain."""
    text = """Dear partner,

the transfer of the domain strassenbau-koeln.example was completed successfully.

Domain: strassenbau-koeln.example
Order: T-2026-118822
Status: completed
"""
    made = mail(
        "Domain Robot <noreply@registrar.example>",
        "robots@example.com",
        "[T-2026-118822] Transfer completed: strassenbau-koeln.example",
        text,
    )
    made["Auto-Submitted"] = "auto-generated"
    # Our MX has proved who wrote it, so the plugin acts on it.
    above = (
        "Authentication-Results: mx1.example.com; dkim=pass header.d=registrar.example",
        "Received: from robot.registrar.example by mx1.example.com with ESMTPS",
    )
    return "\n".join([*above, ""]).encode() + made.as_bytes()


def _quoted(argument: str) -> str:
    return f'"{argument}"' if " " in argument else argument


if __name__ == "__main__":
    sys.exit(main())
