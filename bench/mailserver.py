"""A mailbox that speaks IMAP and POP3 on loopback, in memory, for those who test.

Well-behaved unless its :class:`~bench.mailbox.Box` is told otherwise. Not a server for
mail that matters.
"""

# ruff: noqa: D102 - the verbs are those of the RFCs

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from bench.mailbox import Box, Kept, Server, Session
from bench.site import free_ports
from bench.waiting import pause


class ImapSession(Session):
    """IMAP4rev1, as far as a fetching client needs it."""

    def greet(self) -> None:
        self.folder = "INBOX"
        #: How many mails the client believes there are.
        self.told = 0
        self.box.fault("greeting")
        if self.box.drip:
            while True:
                self.wfile.write(b"*")
                pause(self.box.drip)
        self.say(f"* OK [CAPABILITY {self.box.capabilities}] ready")

    def obey(self, text: str) -> None:
        tag, _, rest = text.partition(" ")
        verb, _, given = rest.partition(" ")
        verb = verb.upper()
        if verb == "UID":
            verb, _, given = given.partition(" ")
            verb = f"UID {verb.upper()}"
        odd = next((o for key, o in self.box.odd.items() if rest.startswith(key)), None)
        if odd is not None:
            self.wfile.write(odd.replace(b"TAG", tag.encode()))
            return
        handler = getattr(self, "do_" + verb.lower().replace(" ", "_"), None)
        if handler is None:
            self.say(f"{tag} BAD what?")
            return
        done = handler(given)
        self.say(f"{tag} {done or 'OK done'}")
        if verb == "STARTTLS":
            self.start_tls()

    @property
    def mails(self) -> list[Kept]:
        return self.box.folders[self.folder]

    def do_capability(self, _: str) -> None:
        self.say(f"* CAPABILITY {self.box.capabilities}")

    def do_noop(self, _: str) -> None:
        """Nothing."""

    def do_starttls(self, _: str) -> str | None:
        return None if self.box.context else "NO no TLS here"

    def do_login(self, given: str) -> str | None:
        right = given.endswith(f'"{self.box.password}"')
        return None if right else "NO [AUTHENTICATIONFAILED] wrong"

    def do_authenticate(self, _: str) -> str | None:
        self.say("+ ")
        right = self.is_right(self.rfile.readline().decode())
        return None if right else "NO [AUTHENTICATIONFAILED] wrong"

    def do_logout(self, _: str) -> None:
        self.say("* BYE")
        self.is_open = False

    def do_select(self, given: str) -> str | None:
        name = given.strip('"')
        if name not in self.box.folders:
            return "NO [NONEXISTENT] no such folder"
        self.folder = name
        self.told = len(self.mails)
        self.say(f"* {self.told} EXISTS")
        self.say(f"* OK [UIDVALIDITY {self.box.validity}] ok")
        self.say(f"* OK [UIDNEXT {self.box.next_uid}] ok")
        return "OK [READ-WRITE] selected"

    def do_examine(self, given: str) -> str | None:
        return (self.do_select(given) or "").replace("WRITE", "ONLY")

    def do_list(self, given: str) -> None:
        for name in self.box.folders:
            if given.endswith(f'"{name}"'):
                self.say(f'* LIST () "/" "{name}"')

    def do_create(self, given: str) -> None:
        self.box.folders.setdefault(given.strip('"'), [])

    def do_fetch(self, given: str) -> None:
        numbers, _, items = given.partition(" ")
        with self.box.lock:
            wanted = _numbers(numbers, len(self.mails))
            found = [(n, self.mails[n - 1]) for n in wanted if n <= len(self.mails)]
        for number, kept in found:
            self._tell(number, kept, items)

    def do_uid_fetch(self, given: str) -> str | None:
        numbers, _, items = given.partition(" ")
        for number, kept in self._by_uid(numbers):
            self._tell(number, kept, items)
        self.box.fault("fetched")
        return None

    def do_uid_search(self, _: str) -> None:
        marked = [str(each.uid) for each in self.mails if r"\Deleted" in each.flags]
        self.say(" ".join(["* SEARCH", *marked]))

    def do_uid_store(self, given: str) -> None:
        self.box.fault("storing")
        for _, kept in self._by_uid(given.partition(" ")[0]):
            kept.flags.add(r"\Deleted")
        self.box.fault("flagged")

    def do_uid_expunge(self, given: str) -> None:
        self.box.fault("expunging")
        self._expunge([each for _, each in self._by_uid(given)])
        self.box.fault("expunged")

    def do_expunge(self, _: str) -> None:
        self._expunge(list(self.mails))

    def do_uid_copy(self, given: str) -> str | None:
        numbers, _, folder = given.partition(" ")
        return self._copy(numbers, folder)

    def do_uid_move(self, given: str) -> str | None:
        numbers, _, folder = given.partition(" ")
        self.box.fault("moving")
        answer = self._copy(numbers, folder)
        if answer is None:
            with self.box.lock:
                self.box.remove([each for _, each in self._by_uid(numbers)])
        self.box.fault("moved")
        return answer

    def do_idle(self, _: str) -> None:
        self.box.fault("idling")
        with self.box.news:
            if len(self.mails) != self.told:
                # It came since the folder was opened, and may be said before the "+".
                self.say(f"* {len(self.mails)} EXISTS")
                self.say("+ idling")
            else:
                self.say("+ idling")
                if self.box.news.wait_for(lambda: len(self.mails) != self.told, 20):
                    self.say(f"* {len(self.mails)} EXISTS")
        self.rfile.readline()

    def _copy(self, numbers: str, folder: str) -> str | None:
        name = folder.strip('"')
        if name not in self.box.folders:
            return "NO [TRYCREATE] no such folder"
        self.box.deliver(*(k.content for _, k in self._by_uid(numbers)), folder=name)
        return None

    def _expunge(self, mails: list[Kept]) -> None:
        with self.box.lock:
            self.box.remove([each for each in mails if r"\Deleted" in each.flags])

    def _by_uid(self, numbers: str) -> list[tuple[int, Kept]]:
        with self.box.lock:
            wanted = set(_numbers(numbers, self.box.next_uid))
            found = enumerate(self.mails, 1)
            return [(n, each) for n, each in found if each.uid in wanted]

    def _tell(self, number: int, kept: Kept, items: str) -> None:
        flags = " ".join(kept.flags)
        told = f"UID {kept.uid} FLAGS ({flags}) RFC822.SIZE {len(kept.content)}"
        if "BODY" in items:
            head = (
                f"* {number} FETCH (UID {kept.uid} BODY[] {{{len(kept.content)}}}\r\n"
            )
            self.wfile.write(head.encode() + kept.content)
            self.say(")")
        else:
            self.say(f"* {number} FETCH ({told})")


class Pop3Session(Session):
    """POP3, as far as a fetching client needs it."""

    def greet(self) -> None:
        self.box.fault("greeting")
        self.marked: set[int] = set()
        with self.box.lock:
            self.mails = list(self.box.inbox)
        self.say("+OK ready")

    def obey(self, text: str) -> None:
        verb, _, given = text.partition(" ")
        odd = next((o for key, o in self.box.odd.items() if text.startswith(key)), None)
        if odd is not None:
            self.wfile.write(odd)
            return
        handler: Any = getattr(self, "do_" + verb.lower(), None)
        if handler is None:
            self.say("-ERR what?")
            return
        handler(given)

    def do_stls(self, _: str) -> None:
        if self.box.context is None:
            self.say("-ERR no TLS here")
            return
        self.say("+OK")
        self.start_tls()

    def do_user(self, _: str) -> None:
        self.say("+OK")

    def do_pass(self, given: str) -> None:
        self.say("+OK" if given == self.box.password else "-ERR [AUTH] wrong")

    def do_auth(self, _: str) -> None:
        self.say("+ ")
        right = self.is_right(self.rfile.readline().decode())
        self.say("+OK" if right else "-ERR [AUTH] wrong")

    def do_stat(self, _: str) -> None:
        octets = sum(len(each.content) for each in self.mails)
        self.say(f"+OK {len(self.mails)} {octets}")

    def do_list(self, given: str) -> None:
        self._listed(given, lambda kept: str(len(kept.content)))

    def do_uidl(self, given: str) -> None:
        if not self.box.has_uidl:
            self.say("-ERR no UIDL here")
            return
        self._listed(given, lambda kept: f"v{self.box.validity}-{kept.uid}")

    def do_retr(self, given: str) -> None:
        content = self.mails[int(given) - 1].content
        stuffed = re.sub(rb"^\.", b"..", content, flags=re.MULTILINE)
        self.say("+OK")
        self.wfile.write(stuffed)
        self.say(b"." if stuffed.endswith(b"\r\n") or not stuffed else b"\r\n.")
        self.box.fault("fetched")

    def do_dele(self, given: str) -> None:
        self.box.fault("storing")
        self.marked.add(int(given) - 1)
        self.say("+OK")
        self.box.fault("flagged")

    def do_quit(self, _: str) -> None:
        self.box.fault("expunging")
        self.box.remove([self.mails[number] for number in sorted(self.marked)])
        self.box.fault("expunged")
        self.say("+OK bye")
        self.is_open = False

    def _listed(self, given: str, tell: Callable[[Kept], str]) -> None:
        if given:
            self.say(f"+OK {given} {tell(self.mails[int(given) - 1])}")
            return
        self.say("+OK")
        for number, kept in enumerate(self.mails, 1):
            self.say(f"{number} {tell(kept)}")
        self.say(".")


def _numbers(text: str, last: int) -> list[int]:
    found: list[int] = []
    for part in text.split(","):
        low, _, high = part.replace("*", str(last)).partition(":")
        found += range(int(low), int(high or low) + 1)
    return found


@contextmanager
def serving(box: Box, protocol: str, port: int = 0) -> Iterator[int]:
    """Serve ``box`` by ``imap`` or ``pop3`` inside the block; give the port."""
    session = ImapSession if protocol == "imap" else Pop3Session
    port = port or free_ports(1)[0]
    server = Server(port, session, box)
    thread = threading.Thread(target=server.serve_forever, args=(0.005,), daemon=True)
    thread.start()
    try:
        yield port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
