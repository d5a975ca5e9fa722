"""Back-test: what other rules would have made of the mails that came in.

In: two sets of rules and a time. Out: one :class:`Moved` for each stored original
that would land elsewhere. Nothing is written, nothing is sent, plugins are asked for
match fields alone. Of a mail that joined a ticket rules may say less
(docs/decisions/0003-rules-and-follow-ups.md), and so it is here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from otrsd.errors import NotFoundError
from otrsd.language.landing import Landing, landing
from otrsd.language.rules import Rules
from otrsd.language.trials import SWITCHES
from otrsd.model.mail import Mail
from otrsd.postmaster.again import read_again
from otrsd.postmaster.senders import Senders
from otrsd.store import articles, content, originals
from otrsd.store.engine import Connection, Database
from otrsd.store.originals import Original

#: What a rule may decide of a mail that joins a ticket.
_OF_FOLLOW_UPS = SWITCHES


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """One mail that the two sets of rules disagree about."""

    original: Original
    from_text: str
    subject: str
    before: Landing
    after: Landing
    #: What differs → (before, after), as text; empty for "not set".
    differs: Mapping[str, tuple[str, str]]


def backtest(
    database: Database,
    senders: Senders,
    before: Rules,
    after: Rules,
    since: datetime,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Iterator[Moved]:
    """Give each mail since then that lands elsewhere."""
    with database.read() as connection:
        total = originals.count(connection, since)
        for done, original in enumerate(originals.each(connection, since), start=1):
            try:
                octets = content.read(connection, original.sha256)
            except NotFoundError:
                # Purged meanwhile: there is nothing to try the rules on.
                continue
            text = _unsealed_text(connection, original)
            mail = read_again(senders, octets, original.envelope, original.facts, text)
            moved = _moved(before, after, original, mail)
            if moved is not None:
                yield moved
            progress(done, total)


def _unsealed_text(connection: Connection, original: Original) -> str:
    """Return what stood inside an encrypted mail; of nearly all mails nothing."""
    if "seal" not in original.facts:
        return ""
    article = articles.by_id(connection, original.article_id)
    return article.text if article else ""


def _moved(before: Rules, after: Rules, original: Original, mail: Mail) -> Moved | None:
    one, two = (
        _seen(landing(rules.run(mail, original.envelope)), original)
        for rules in (before, after)
    )
    differs = _differences(one, two)
    if not differs:
        return None
    return Moved(
        original=original,
        from_text=mail.from_text or original.envelope.mail_from,
        subject=mail.subject,
        before=one,
        after=two,
        differs=differs,
    )


def _seen(landed: Landing, original: Original) -> Landing:
    """Return what counts of it."""
    if not original.is_follow_up:
        return landed
    kept = {k: v for k, v in landed.values.items() if k in _OF_FOLLOW_UPS}
    return replace(landed, values=kept)


def _differences(one: Landing, two: Landing) -> dict[str, tuple[str, str]]:
    differs: dict[str, tuple[str, str]] = {}
    for name in sorted({*one.values, *two.values}):
        pair = str(one.values.get(name, "")), str(two.values.get(name, ""))
        if pair[0] != pair[1]:
            differs[name] = pair
    if set(one.tags) != set(two.tags):
        differs["tags"] = ", ".join(sorted(one.tags)), ", ".join(sorted(two.tags))
    for name in sorted({*one.fields, *two.fields}):
        pair = one.fields.get(name, ""), two.fields.get(name, "")
        if pair[0] != pair[1]:
            differs[f"fields.{name}"] = pair
    return differs
