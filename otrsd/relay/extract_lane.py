"""The extract lane: gets the words of attachments into the index, after the commit.

Owed in the transaction of a mail with such parts (kind ``extract``); a child process
reads them (:mod:`.extractor`). What it finds is stored in ``part_text`` and owed to the
index, in one transaction with the row that is paid: a crash before it repeats the work,
which is harmless. A part that can't be read costs its words and nothing else; why is
logged, and stands beside the part in ``otrsd ticket show``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from otrsd.clock import Clock
from otrsd.control import Control, Work
from otrsd.errors import NotFoundError
from otrsd.failpoint import failpoint
from otrsd.mime import words
from otrsd.relay.extractor import DEATHS, SECONDS, Extractor, Words
from otrsd.relay.turns import take_turns
from otrsd.store import articles, content, index_todo, outbox, part_text
from otrsd.store.engine import Database
from otrsd.store.outbox import Owed
from otrsd.store.text import storable

#: The lane's name in the outbox.
KIND = outbox.EXTRACT
#: Rows leased at once, and for how long.
BATCH, LEASE = 5, timedelta(minutes=10)
#: Seconds after which a child without work is ended.
IDLE = 60.0
#: Seconds that one article takes at most; beyond that this process hangs.
LIMIT = DEATHS * SECONDS + 30.0
#: Characters of a path that a row can hold.
_PATH = 190


@dataclass(slots=True, kw_only=True)
class ExtractLane:
    """One relay process for the words of attachments."""

    database: Database
    clock: Clock
    control: Control
    log: Any
    extractor: Extractor
    _busy: float = field(default=0.0, init=False)

    def run(self) -> None:
        """Extract until a stop is asked for."""
        try:
            take_turns(self.control, self.log, self.turn)
        finally:
            self.extractor.close()

    def turn(self) -> bool:
        """Pay one batch; tell whether there was one."""
        now = self.clock.now()
        with self.database.read() as connection:
            is_due = outbox.is_any_due(connection, KIND, now)
        if not is_due:
            if self.clock.monotonic() - self._busy > IDLE:
                self.extractor.close()
            return False
        with self.database.write() as connection:
            owed = outbox.lease(connection, KIND, now, LEASE, BATCH)
        failpoint("relay.leased")
        for each in owed:
            self.control.note(Work(stage="extract", alone=True, limit=LIMIT))
            self._pay(each)
            self.control.note(Work())
            if self.control.stopping():
                break
        self._busy = self.clock.monotonic()
        return bool(owed)

    def _pay(self, owed: Owed) -> None:
        article_id = int(owed.payload)
        found = self._read(article_id)
        with self.database.write() as connection:
            if found:
                part_text.replace(connection, article_id, found)
            if any(each.text for each in found):
                index_todo.add(connection, [article_id], self.clock.now())
            outbox.done(connection, [owed.id])
        self._tell(article_id, found)

    def _tell(self, article_id: int, found: Sequence[part_text.PartText]) -> None:
        """Say which parts have no words: one line a reason, whatever a mail brings."""
        mute: dict[str, list[str]] = defaultdict(list)
        for each in found:
            if each.reason:
                mute[each.reason].append(each.path)
        for reason, paths in mute.items():
            self.log.warning(
                "words.missing",
                article_id=article_id,
                part=paths[0],
                parts=len(paths),
                reason=reason,
            )

    def _read(self, article_id: int) -> list[part_text.PartText]:
        with self.database.read() as connection:
            article = articles.by_id(connection, article_id)
            facts = articles.facts(connection, article_id)
            if article is None:
                return []
            try:
                octets = content.read(connection, article.content_sha256)
            except NotFoundError:
                return []
        parts = [
            (part["path"], kind)
            for part in facts.get("parts", ())
            if (kind := words.kind_of(part["type"], part["name"]))
            and len(part["path"]) <= _PATH
        ]
        found = self.extractor.words(octets, parts[: words.PARTS])
        found += [
            Words(path=path, reason=f"only {words.PARTS} parts of a mail are read")
            for path, _ in parts[words.PARTS :]
        ]
        return list(_within_room(found))


def _within_room(found: list[Words]) -> list[part_text.PartText]:
    """Cut what is more than an article may bring."""
    room = words.ARTICLE_CHARACTERS
    kept = []
    for each in found:
        text = storable(each.text)[:room]
        room -= len(text)
        kept.append(
            part_text.PartText(
                path=each.path, text=text, reason=storable(each.reason, 200)
            )
        )
    return kept
