"""Clients like MTAs: 8 by SMTP, 2 by LMTP, 2 by pipe, that retry until acknowledged.

``python -m bench.senders SPEC`` is a process of its own, never killed by the tests.
SPEC is JSON: ``smtp`` and ``lmtp`` (ports), ``imap`` and ``pop3`` (ports on which it is
to be a mailbox, 0 for none), ``config`` (for the pipe), ``ledger``,
``seed``, ``pace`` (seconds each client rests after a mail) and ``give_up`` (seconds of
retries after the end). It makes mails until a line comes on standard input, then
retries what is open, and ends. What was not acknowledged is sent again with the same
octets. Mails are of all kinds: questions, answers, spam, alerts, some to be held.
"""

from __future__ import annotations

import hashlib
import json
import random
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from bench.ledger import ACK, BOUNCE, INTENT, LATER, Mail, Writer
from bench.mailboxes import PROTOCOLS, fill, mailboxes
from bench.mails import Vocabulary, own_word
from bench.waiting import CLOCK, NotInTimeError, pause

CLIENTS = {"smtp": 8, "lmtp": 2, "pipe": 2}
HOLD = "bitte festhalten"
#: Seconds between two tries of one mail, and that an answer may take.
RETRY, PATIENCE = 0.15, 20.0
_ROOT = Path(__file__).parent.parent
#: What the site needs so that some mails are held.
RULE = f"""rules:
  torture holds:
    when: {{subject: "{HOLD}"}}
    then: {{hold: a person is to look}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What the process is told."""

    smtp: int
    lmtp: int
    config: str
    ledger: str
    seed: int
    imap: int = 0
    pop3: int = 0
    pace: float = 0.08
    give_up: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """One mail on its way."""

    message_id: str
    sender: str
    recipients: tuple[str, ...]
    content: bytes

    @property
    def key(self) -> tuple[str, str]:
        """Return what the ledger knows it by."""
        return self.message_id, hashlib.sha256(self.content).hexdigest()


#: Sends a mail once: the reply by its code; empty where the connection broke.
Channel = Callable[[Spec, Parcel], str]


def by_smtp(spec: Spec, parcel: Parcel) -> str:
    """Send by SMTP; return the reply to the content."""
    return _dialogue(spec.smtp, b"EHLO client.example\r\n", parcel, answers=1)


def by_lmtp(spec: Spec, parcel: Parcel) -> str:
    """Send by LMTP; return the worst of the replies."""
    count = len(parcel.recipients)
    return _dialogue(spec.lmtp, b"LHLO client.example\r\n", parcel, answers=count)


def by_pipe(spec: Spec, parcel: Parcel) -> str:
    """Send by ``otrsd pipe``; return its exit code as a reply."""
    command = [str(Path(sys.executable).parent / "otrsd"), "pipe", "-c", spec.config]
    done = subprocess.run(
        [*command, "-f", parcel.sender, *parcel.recipients],
        check=False,
        input=parcel.content,
        capture_output=True,
    )
    if done.returncode == 0:
        return "250 exit 0"
    if done.returncode < 0:
        return ""
    kind = 4 if done.returncode == 75 else 5
    return f"{kind}00 exit {done.returncode} {done.stdout.decode('utf-8', 'replace')}"


CHANNELS: dict[str, Channel] = {"smtp": by_smtp, "lmtp": by_lmtp, "pipe": by_pipe}


def _dialogue(port: int, hello: bytes, parcel: Parcel, *, answers: int) -> str:
    commands = [
        (b"", "220"),
        (hello, "250"),
        (f"MAIL FROM:<{parcel.sender}>\r\n".encode(), "250"),
        *((f"RCPT TO:<{to}>\r\n".encode(), "250") for to in parcel.recipients),
        (b"DATA\r\n", "354"),
    ]
    content = parcel.content.replace(b"\r\n.", b"\r\n..") + b".\r\n"
    try:
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
            replies = connection.makefile("rb")
            for command, wanted in commands:
                connection.sendall(command)
                reply = _reply(replies.readline)
                if not reply.startswith(wanted):
                    return reply
            connection.sendall(content)
            found = [_reply(replies.readline) for _ in range(answers)]
            connection.sendall(b"QUIT\r\n")
    except OSError:
        # Nobody listens, or he who did is dead: the sender does not know.
        return ""
    return max(found) if all(found) else ""


def _reply(readline: Callable[[], bytes]) -> str:
    while True:
        line = readline()
        if not line.endswith(b"\r\n"):
            return ""
        if line[3:4] != b"-":
            return line.decode("utf-8", "replace").strip()


class Author:
    """Writes one client's mails."""

    def __init__(
        self, vocabulary: Vocabulary, name: str, seed: int, number: int
    ) -> None:
        self._vocabulary = vocabulary
        self._name = name
        self._number = number
        self._chance = random.Random(f"{seed}/{name}")
        self._run = f"{random.SystemRandom().getrandbits(40):010x}"
        self._count = 0
        #: What can be answered: it was acknowledged.
        self._known: list[Parcel] = []

    def acknowledged(self, parcel: Parcel) -> None:
        """Note that a mail has arrived."""
        if parcel.recipients[0].startswith("support"):
            self._known = [*self._known[-20:], parcel]

    def posted(self) -> tuple[Mail, bytes, Callable[[], None]]:
        """Return the next mail for a mailbox: key, content, what is done at its end."""
        parcel = self.write()
        return parcel.key, parcel.content, partial(self.acknowledged, parcel)

    def write(self) -> Parcel:
        """Return the next mail."""
        self._count += 1
        kinds = [self._question, self._answer, self._spam, self._held, self._alert]
        (kind,) = self._chance.choices(kinds, (70, 17, 5, 2, 6))
        return kind()

    def _question(self) -> Parcel:
        both = ("support@example.com", "billing@example.com")
        to = both if self._chance.random() < 0.3 else both[:1]
        return self._parcel(f"{self._name}-{self._count}@people.example", to, "")

    def _answer(self) -> Parcel:
        if not self._known:
            return self._question()
        answered = self._chance.choice(self._known)
        fields = f"References: {answered.message_id}\r\n"
        return self._parcel(answered.sender, answered.recipients[:1], "Re: ", fields)

    def _spam(self) -> Parcel:
        to = ("support@example.com",)
        return self._parcel("win@lucky.example", to, "***SPAM*** ")

    def _held(self) -> Parcel:
        return self._parcel("odd@people.example", ("billing@example.com",), HOLD + " ")

    def _alert(self) -> Parcel:
        host = self._chance.randint(1, 40)
        subject = f"** PROBLEM Service Alert: web{host}/HTTP is CRITICAL ** "
        text = (
            f"***** Nagios *****\r\n\r\nNotification Type: PROBLEM\r\n\r\n"
            f"Service: HTTP\r\nHost: web{host}\r\nAddress: 192.0.2.{host}\r\n"
            "State: CRITICAL\r\n\r\nAdditional Info:\r\n\r\n"
            f"no answer {self._count}\r\n"
        )
        to = ("alerts@example.com",)
        return self._parcel("nagios@mon1.example.com", to, subject, text=text)

    def _own_word(self) -> str:
        """Return a word that no other mail of this run has."""
        clients = sum(CLIENTS.values()) + len(PROTOCOLS)
        return own_word(self._count * clients + self._number)

    def _parcel(
        self,
        sender: str,
        recipients: tuple[str, ...],
        subject: str,
        fields: str = "",
        text: str = "",
    ) -> Parcel:
        words = self._vocabulary.some(self._chance, self._chance.randint(10, 200))
        message_id = f"<{self._run}.{self._count}.{self._name}@clients.example>"
        title = subject if text else subject + " ".join(words[:5])
        # One long line would be no mail: ten words a line.
        lines = [" ".join(words[n : n + 10]) for n in range(0, len(words), 10)]
        content = (
            f"From: <{sender}>\r\nTo: {', '.join(recipients)}\r\n"
            f"Subject: {title.encode('ascii', 'replace').decode()}\r\n"
            f"Message-ID: {message_id}\r\n{fields}"
            "Date: Mon, 23 Nov 2026 10:00:00 +0100\r\n"
            "Content-Type: text/plain; charset=utf-8\r\n"
            "Content-Transfer-Encoding: 8bit\r\n\r\n"
            f"{text}Kennwort {self._own_word()}.\r\n.a line with a dot\r\n"
            + "\r\n".join(lines)
            + "\r\n"
        )
        return Parcel(
            message_id=message_id,
            sender=sender,
            recipients=recipients,
            content=content.encode(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """One client: writes, sends, retries, keeps the ledger."""

    name: str
    channel: str
    spec: Spec
    author: Author
    ledger: Writer
    finish: threading.Event

    def run(self) -> None:
        """Work until the end is asked for and nothing is open."""
        while not self.finish.is_set():
            parcel = self.author.write()
            self.ledger.write(INTENT, parcel.key, self.channel)
            self._send(parcel)
            self.finish.wait(self.spec.pace)

    def _send(self, parcel: Parcel) -> None:
        send = CHANNELS[self.channel]
        gives_up = 0.0
        while not gives_up or CLOCK.monotonic() < gives_up:
            reply = send(self.spec, parcel)
            if reply.startswith("2"):
                self.ledger.write(ACK, parcel.key, self.channel, reply)
                self.author.acknowledged(parcel)
                return
            if reply.startswith("5"):
                self.ledger.write(BOUNCE, parcel.key, self.channel, reply)
                return
            if reply:
                self.ledger.write(LATER, parcel.key, self.channel, reply)
            pause(RETRY)
            if self.finish.is_set() and not gives_up:
                gives_up = CLOCK.monotonic() + self.spec.give_up


class Senders:
    """The process, seen from the test."""

    def __init__(self, spec: Spec, environ: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.senders", json.dumps(asdict(spec))],
            cwd=_ROOT,
            env=environ,
            stdin=subprocess.PIPE,
        )
        self._give_up = spec.give_up

    def finish(self) -> None:
        """Let it retry what is open, and wait for its end."""
        try:
            self._process.communicate(b"finish\n", self._give_up + 2 * PATIENCE)
        except subprocess.TimeoutExpired as error:
            raise NotInTimeError("the clients did not end") from error
        finally:
            self.kill()
        if self._process.returncode:
            raise NotInTimeError(f"the clients died: exit {self._process.returncode}")

    def kill(self) -> None:
        """End it whatever it does."""
        with suppress(ProcessLookupError):
            self._process.kill()
        with suppress(ValueError):
            self._process.communicate()


def main(arguments: Sequence[str]) -> int:
    """Be the clients."""
    spec = Spec(**json.loads(arguments[0]))
    vocabulary = Vocabulary(spec.seed, words=3000)
    ledger = Writer(Path(spec.ledger))
    finish = threading.Event()
    threads: list[threading.Thread] = []
    for channel, count in CLIENTS.items():
        for number in range(count):
            name = f"{channel}{number}"
            client = Client(
                name=name,
                channel=channel,
                spec=spec,
                author=Author(vocabulary, name, spec.seed, len(threads)),
                ledger=ledger,
                finish=finish,
            )
            threads.append(threading.Thread(target=client.run, name=name))
    with mailboxes((spec.imap, spec.pop3), ledger, spec.seed) as boxes:
        for box in boxes:
            author = Author(vocabulary, box.protocol, spec.seed, len(threads))
            fills = partial(fill, box, author.posted, finish, spec.pace * 2)
            threads.append(threading.Thread(target=fills, name=box.protocol))
        for thread in threads:
            thread.start()
        sys.stdin.readline()
        finish.set()
        for thread in threads:
            thread.join()
        for box in boxes:
            box.drain(spec.give_up)
    ledger.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
