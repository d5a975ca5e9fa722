"""One visit to a mailbox: list, fetch, store, and only then delete or move.

In: an open :class:`Mailbox`, the page of the book, the way into the spool. Out: what
was done, in :class:`Visit`. The order is what keeps mails: fetched → stored (the
spool's commit) → marked in the book → deleted or moved. A visit may end at any point;
the next one goes on (P04, P09). One mail never stops the others: what fails is tried
last, and put aside at the third time (P06).
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from otrsd.channels.events import Log, visible
from otrsd.channels.fetch.book import Page
from otrsd.channels.fetch.mailbox import (
    Listed,
    Mailbox,
    MailboxError,
    UnreadableError,
)
from otrsd.channels.fetch.wire import WireError
from otrsd.channels.intake import NotStoredError
from otrsd.failpoint import failpoint
from otrsd.ids import id_of
from otrsd.memory import LARGE

FAILED, OVERSIZE = "otrsd-failed", "otrsd-oversize"
#: Tries of one mail.
_TRIES = 3
#: Mails are stored so many at a time, or so many octets.
_GROUP, _GROUP_OCTETS = 20, LARGE
#: Seconds that a large mail waits for its turn, before it waits for the next visit.
_ROOM_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What is done with mails over there."""

    #: The account's name.
    name: str
    #: Leave them where they are.
    keep: bool
    #: Move them there; empty: delete them.
    move_to: str
    max_size: int


@dataclass(frozen=True, slots=True)
class Fetched:
    """One mail in memory."""

    mail: Listed
    content: bytes
    sha256: str


#: Stores mails under ids, all in one commit where that goes; what became of each.
Store = Callable[[Sequence[tuple[str, bytes]]], Sequence[BaseException | None]]
#: Tells the admin: what, reason, where to look.
Tell = Callable[[str, str, str], None]


@dataclass(slots=True, kw_only=True)
class Visit:
    """One visit, and what has come of it so far."""

    mailbox: Mailbox
    page: Page
    rules: Rules
    store: Store
    tell: Tell
    log: Log
    #: For large mails in memory, of all accounts.
    room: threading.Semaphore
    #: Whether to stop.
    stopping: Callable[[], bool]
    #: Mails stored.
    fetched: int = 0
    #: Mails over there that are not taken; ``None`` before anybody has looked.
    waiting: int | None = None
    _deleted: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Do it; raise TemporaryError where it has to end early."""
        mailbox, page = self.mailbox, self.page
        changed = page.open_at(mailbox.validity)
        if changed and mailbox.lasting:
            self.log.warning(
                "fetch.renumbered",
                account=self.rules.name,
                reason="the server has numbered all mails anew (UIDVALIDITY); those"
                " that are kept are read once more and known by their octets",
            )
        start = page.next if mailbox.growing and self.rules.keep else 1
        unsettled: list[int] = []
        for window in mailbox.windows(start):
            if self.waiting is None:
                self.waiting = mailbox.ahead
            first = not unsettled
            unsettled += self._window(window)
            if first:
                self._remember(window, unsettled)
        self.waiting = self.waiting or 0
        if self._deleted:
            # By POP3 this is what deletes.
            mailbox.finish()
            page.drop(self._deleted)
        if page.has_old and not self.waiting:
            page.forget_old()

    def _remember(self, window: Sequence[Listed], unsettled: Sequence[int]) -> None:
        """Note how far the book is right, so that it stays small."""
        if not self.mailbox.growing:
            if len(window) >= self.mailbox.ahead:
                self.page.keep_only([each.uid for each in window])
        elif self.rules.keep:
            self.page.settle_up_to(min(unsettled, default=window[-1].number + 1))

    def _window(self, window: Sequence[Listed]) -> list[int]:
        """Treat some mails; return the numbers of those that are left for later."""
        uids = [each.uid for each in window]
        taken, tries = self.page.taken(uids), self.page.tries(uids)
        left_over = [each for each in window if taken.get(each.uid)]
        self._settle(left_over)
        fresh = [each for each in window if each.uid not in taken and not each.deleted]
        self._count(-(len(window) - len(fresh)))
        hopeless = [each for each in fresh if tries.get(each.uid, 0) >= _TRIES]
        large = [each for each in fresh if each.size > self.rules.max_size]
        self._put_aside(hopeless, FAILED)
        self._put_aside([each for each in large if each not in hopeless], OVERSIZE)
        good = [each for each in fresh if each not in hopeless and each not in large]
        # What has failed before comes last.
        good.sort(key=lambda each: tries.get(each.uid, 0))
        left: list[int] = []
        for group in _groups(good):
            if group[0].size <= LARGE:
                left += self._group(group)
            elif self.room.acquire(timeout=_ROOM_SECONDS):
                try:
                    left += self._group(group)
                finally:
                    self.room.release()
            else:
                # Others fetch large mails now; our memory is theirs.
                left += [each.number for each in group]
        return left

    def _group(self, group: Sequence[Listed]) -> list[int]:
        """Fetch, store, mark and settle; return the numbers of what failed."""
        found: list[Fetched] = []
        left: list[int] = []
        for mail in group:
            try:
                found += self._fetched(mail)
            except (UnreadableError, WireError) as error:
                if self.stopping():
                    raise
                left += self._failed(mail, error)
                if isinstance(error, WireError):
                    # What is here already need not come once more.
                    self._take(found)
                    raise
            if _octets(found) > _GROUP_OCTETS:
                # A server may have told less than it sends.
                left += self._take(found)
                found = []
        return left + self._take(found)

    def _fetched(self, mail: Listed) -> list[Fetched]:
        if self.stopping():
            raise WireError("a stop was asked for")
        content = self.mailbox.fetch(mail, self.rules.max_size)
        if content is None:
            # Somebody else was quicker (P05).
            self._count(-1)
            return []
        return [Fetched(mail, content, hashlib.sha256(content).hexdigest())]

    def _take(self, found: Sequence[Fetched]) -> list[int]:
        """Store what was fetched; return the numbers of what could not be."""
        if not found:
            return []
        known = [each for each in found if self._is_known(each)]
        known += self._empty(found)
        new = [each for each in found if each not in known]
        failpoint("fetch.fetched")
        errors = self.store([(self._id_of(each), each.content) for each in new])
        stored = [e for e, error in zip(new, errors, strict=True) if error is None]
        failpoint("fetch.stored")
        self.page.mark({each.mail.uid: each.sha256 for each in stored})
        failpoint("fetch.marked")
        self.fetched += len(stored)
        for each in stored:
            self.log.info(
                "mail.stored",
                channel=self.mailbox.channel,
                account=self.rules.name,
                mail_id=self._id_of(each),
                uid=visible(each.mail.uid),
                size=len(each.content),
            )
        done = [each.mail for each in (*known, *stored)]
        self._count(-len(done))
        self._settle(done)
        return self._refused(new, errors)

    def _refused(
        self, new: Sequence[Fetched], errors: Sequence[BaseException | None]
    ) -> list[int]:
        """Count tries of mails that can't be stored; raise what all would meet."""
        failed: list[int] = []
        for each, error in zip(new, errors, strict=True):
            if isinstance(error, NotStoredError):
                failed += self._failed(each.mail, error)
            elif error is not None:
                raise error
        return failed

    def _empty(self, found: Sequence[Fetched]) -> list[Fetched]:
        """Return mails in which is nothing; they are told and not stored."""
        empty = [each for each in found if not each.content.strip()]
        self.page.mark({each.mail.uid: each.sha256 for each in empty})
        for each in empty:
            self.log.warning(
                "fetch.empty", account=self.rules.name, uid=visible(each.mail.uid)
            )
        return empty

    def _is_known(self, found: Fetched) -> bool:
        return self.page.has_old and self.page.inherit(found.mail.uid, found.sha256)

    def _id_of(self, found: Fetched) -> str:
        """Return the same spool id for the same mail of the same mailbox."""
        page = self.page
        what = (page.key, page.validity, found.mail.uid, found.sha256)
        return id_of("\0".join(what).encode())

    def _settle(self, mails: Sequence[Listed]) -> None:
        """Delete or move mails that are stored."""
        if not mails or self.rules.keep:
            return
        if self.rules.move_to:
            self.mailbox.move(mails, self.rules.move_to)
        else:
            self.mailbox.delete(mails)
        uids = [each.uid for each in mails]
        if self.mailbox.growing:
            self.page.drop(uids)
        else:
            # They are gone once QUIT was answered.
            self._deleted += uids

    def _failed(self, mail: Listed, error: Exception) -> list[int]:
        tries = self.page.fail(mail.uid)
        self.log.warning(
            "fetch.failed",
            account=self.rules.name,
            uid=visible(mail.uid),
            tries=tries,
            reason=str(error),
        )
        return [mail.number]

    def _put_aside(self, mails: Sequence[Listed], folder: str) -> None:
        """Take mails out of the way, and say so."""
        for mail in mails:
            place = self._moved(mail, folder)
            self._count(-1)
            reason = (
                f"could not be fetched or stored in {_TRIES} tries"
                if folder == FAILED
                else f"has {mail.size} octets, more than max_size"
            )
            named = f"mail {visible(mail.uid)} of account {self.rules.name}"
            told = f"{named} {reason}; {place}"
            self.log.error(
                "fetch.put_aside",
                account=self.rules.name,
                uid=visible(mail.uid),
                size=mail.size,
                reason=told,
            )
            self.tell("A mail can't be fetched", told, "otrsd status")

    def _moved(self, mail: Listed, folder: str) -> str:
        """Move a mail where nothing is kept; else note it; return where it is."""
        if self.mailbox.growing and not self.rules.keep:
            try:
                self.mailbox.move([mail], folder, ours=True)
            except MailboxError as error:
                self.page.mark({mail.uid: ""})
                return f"it stays where it is: {folder} can't be used: {error}"
            self.page.drop([mail.uid])
            return f"it is in the folder {folder} now"
        self.page.mark({mail.uid: ""})
        return "it stays where it is, and is not read again"

    def _count(self, change: int) -> None:
        self.waiting = max(0, (self.waiting or 0) + change)


def _octets(found: Sequence[Fetched]) -> int:
    return sum(len(each.content) for each in found)


def _groups(mails: Sequence[Listed]) -> Iterator[Sequence[Listed]]:
    """Yield mails in groups that fit into memory."""
    group: list[Listed] = []
    octets = 0
    for mail in mails:
        if group and (len(group) >= _GROUP or octets + mail.size > _GROUP_OCTETS):
            yield group
            group, octets = [], 0
        group.append(mail)
        octets += mail.size
    if group:
        yield group
