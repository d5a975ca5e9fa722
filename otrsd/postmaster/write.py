"""Write: put what was decided into the transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from otrsd.desk import loops, tickets
from otrsd.desk.merging import followed
from otrsd.desk.tickets import NewArticle, Who
from otrsd.desk.unit import Unit
from otrsd.mime.automatic import QUIET, Kind
from otrsd.mime.compose import REFERENCES_LIMIT
from otrsd.mime.subject import without_tags
from otrsd.model.article import ArticleKind, SenderType
from otrsd.model.changes import THIS_TICKET, Changes
from otrsd.model.ticket import Ticket
from otrsd.postmaster.amend import Fold, defaults, reopened
from otrsd.postmaster.answer import owe_auto_response
from otrsd.postmaster.find import sender
from otrsd.postmaster.follow_up import UNVERIFIED
from otrsd.postmaster.parts import Fate, Found, Outcome, Postmaster, Screened
from otrsd.postmaster.relate import FOLLOW_UP, relate
from otrsd.postmaster.screen import defects
from otrsd.store import ledger, plugin_state, trash
from otrsd.store.articles import Known
from otrsd.store.history import Change
from otrsd.store.text import ADDRESS, storable
from otrsd.store.trash import Discarded

#: Recipients of a report that the history names.
_TOLD = 5


def discard(
    post: Postmaster, unit: Unit, screened: Screened, cause: str, reason: str
) -> Outcome:
    """Put the mail into the trash: no ticket, no number, restorable."""
    claimed, mail = screened.claimed, screened.mail
    screened.trace.note("write", cause, f"discarded: {reason}")
    trash_id = trash.add(
        unit.connection,
        Discarded(
            id=0,
            spool_id=claimed.id,
            content_sha256=claimed.sha256,
            envelope=claimed.envelope,
            from_text=mail.from_text or claimed.envelope.mail_from,
            subject=mail.subject,
            cause=cause,
            reason=reason,
            created_at=unit.at,
            expires_at=unit.at + post.trash_keep,
        ),
    )
    who = _who(screened)
    data = {"trash_id": trash_id, "spool_id": claimed.id, "reason": reason}
    unit.record(Change(type="Discarded", actor=who.actor, cause=cause, data=data))
    _enter(unit, screened, ledger.TRASH, trash_id=trash_id)
    return _outcome(screened, Fate.TRASH, reason=reason)


def duplicate(unit: Unit, screened: Screened, known: Known) -> Outcome:
    """Drop a second copy; the history of its ticket names it."""
    ticket = unit.ticket(known.ticket_id)
    screened.trace.note("write", "otrsd", "a copy of a mail that is here")
    if ticket is not None:
        data = {"spool_id": screened.claimed.id, "article_id": known.article_id}
        tickets.remark(unit, ticket, "Duplicate", _who(screened), data)
    _enter(
        unit,
        screened,
        ledger.DUPLICATE,
        ticket_id=known.ticket_id,
        article_id=known.article_id,
    )
    return _outcome(screened, Fate.DUPLICATE, ticket_id=known.ticket_id)


def write(
    post: Postmaster, unit: Unit, screened: Screened, found: Found, fold: Fold
) -> Outcome:
    """Make the ticket or append to it, with everything that was folded."""
    if found.ticket is None:
        ticket, article_id = _create(post, unit, screened, found, fold)
        relate(unit, ticket, found, screened)
        owe_auto_response(post, unit, screened, ticket, fold)
    else:
        ticket, article_id = _append(post, unit, screened, found, fold)
        if found.is_rejected:
            owe_auto_response(post, unit, screened, ticket, fold, is_rejected=True)
    for who, changes in fold.accepted:
        _remember(unit, who, changes, ticket.id)
    for who, changes in fold.others:
        change_other(unit, who, changes)
    _enter(unit, screened, ledger.ARTICLE, ticket_id=ticket.id, article_id=article_id)
    return replace(
        _outcome(screened, Fate.ARTICLE, ticket_id=ticket.id),
        is_new=found.ticket is None,
        article_id=article_id,
        queue=ticket.queue,
    )


def remember_only(unit: Unit, fold: Fold) -> None:
    """Write plugins' memory for a mail that makes no article."""
    for who, changes in fold.accepted:
        _remember(unit, who, changes, None)
    for who, changes in fold.others:
        change_other(unit, who, changes)


def change_other(unit: Unit, who: str, changes: Changes) -> Ticket | None:
    """Apply a plugin's proposal to another ticket than this mail's."""
    ticket = unit.ticket(changes.ticket_id or 0)
    if ticket is not None:
        ticket = followed(unit, ticket)
        ticket = tickets.change(unit, ticket, changes, Who(actor="system", cause=who))
    _remember(unit, who, changes, ticket.id if ticket else None)
    return ticket


def _create(
    post: Postmaster, unit: Unit, screened: Screened, found: Found, fold: Fold
) -> tuple[Ticket, int]:
    base = defaults(post, fold, screened, Found())
    article = _article(post, screened)
    if found.continues is not None:
        # The old number would bring the answer back to the old ticket.
        subject = without_tags(article.subject, post.ticket_hook)
        article = replace(article, subject=subject)
    values = replace(
        fold.values,
        queue=base.queue,
        title=base.title,
        state=base.state,
        priority=base.priority,
    )
    customer = sender(screened) or screened.claimed.envelope.mail_from
    if screened.original is not None:
        customer = screened.original.address
        article = _forwarded(article, customer)
    ticket, article_id = tickets.create(
        unit,
        values,
        article,
        _who(screened),
        customer=customer if len(customer) <= ADDRESS else "",
    )
    for who, changes in fold.accepted:
        if changes.note:
            note = Changes(note=changes.note)
            ticket = tickets.change(unit, ticket, note, Who(actor="system", cause=who))
    return ticket, article_id


def _forwarded(article: NewArticle, customer: str) -> NewArticle:
    """Return an agent's forward: his own words are not for the customer."""
    return replace(
        article,
        sender_type=SenderType.AGENT,
        visible_to_customer=False,
        participants=(customer, *article.participants),
    )


def _append(
    post: Postmaster, unit: Unit, screened: Screened, found: Found, fold: Fold
) -> tuple[Ticket, int]:
    ticket = found.ticket
    if ticket is None:
        raise AssertionError("append needs a ticket")
    article = _joining(_article(post, screened), screened, found)
    who = _who(screened)
    event, data = _event(screened, found)
    article_id = tickets.append(unit, ticket, article, who, event=event, data=data)
    for address in found.bounced:
        loops.count_bounce(unit, address, ticket)
    state = _reopened(unit, ticket, found, screened)
    if marks := _marks(found):
        ticket = tickets.change(unit, ticket, Changes(tags=marks), who)
    changed = False
    for name, changes in fold.accepted:
        if any(
            (
                changes.state,
                changes.priority,
                changes.queue,
                changes.title,
                changes.owner,
                changes.open_key,
                changes.tags,
                changes.untag,
                changes.fields,
                changes.note,
            )
        ):
            cause = Who(actor="system", cause=name)
            ticket = tickets.change(unit, ticket, changes, cause)
            changed = True
    if state and "state" not in fold.owners:
        ticket = tickets.change(unit, ticket, Changes(state=state), FOLLOW_UP)
    elif not changed:
        ticket = tickets.change(unit, ticket, Changes(), who)
    return ticket, article_id


def _event(screened: Screened, found: Found) -> tuple[str, Mapping[str, Any]]:
    """Return what the history calls a mail that joins, and says of it."""
    recognised = screened.recognised
    if found.by != "report":
        return "FollowUp", {}
    event = "Bounce" if recognised.kind is Kind.BOUNCE else "DeliveryReport"
    report = recognised.report.plain() if recognised.report else {}
    told = report.get("recipients", ())[:_TOLD]
    return event, {"about": found.about, "recipients": told}


def _joining(article: NewArticle, screened: Screened, found: Found) -> NewArticle:
    """Return the article as it joins a ticket, by how it was found."""
    if found.completes:
        article = replace(article, subject=f"{article.subject} (complete copy)")
    if found.is_stranger or found.is_unverified:
        # Whoever has our token may write, but takes part only once an agent says so;
        # nor does anybody by the word of a mail that its domain disowns.
        article = replace(article, participants=())
    if found.is_unverified:
        defects = [UNVERIFIED, *article.mail.get("defects", ())]
        article = replace(article, mail={**article.mail, "defects": defects})
    if found.by == "report" or screened.recognised.kind in QUIET:
        # A machine's word is for agents, and makes nobody a participant.
        article = replace(
            article,
            sender_type=SenderType.SYSTEM,
            visible_to_customer=False,
            participants=(),
        )
    if found.about is not None and "report" in article.mail:
        report = {**article.mail["report"], "about": found.about}
        article = replace(article, mail={**article.mail, "report": report})
    return article


def _reopened(
    unit: Unit, ticket: Ticket, found: Found, screened: Screened
) -> str | None:
    """Return the state the mail brings a ticket to; write down why it brings none."""
    state = reopened(ticket.state_type)
    recognised = screened.recognised
    reason = found.inert
    if recognised.kind in QUIET:
        # A machine's word about absence or delivery is filed and changes nothing.
        reason = reason or f"{recognised.kind}: {recognised.mark}"
    if not reason or not (state or found.inert):
        return state
    data = {"suppressed": "reopening" if state else "changes", "reason": reason}
    tickets.remark(unit, ticket, "Misc", FOLLOW_UP, data)
    return None


def _marks(found: Found) -> tuple[str, ...]:
    """Return the tags that tell agents of a doubtful sender."""
    marks = {
        "new-person": found.is_stranger,
        "unverified-sender": found.is_unverified,
    }
    return tuple(tag for tag, is_so in marks.items() if is_so)


def _article(post: Postmaster, screened: Screened) -> NewArticle:
    mail, claimed = screened.mail, screened.claimed
    envelope, report = claimed.envelope, screened.recognised.report
    everybody = [sender(screened), *(each.address for each in (*mail.to, *mail.cc))]
    return NewArticle(
        kind=ArticleKind.MAIL_IN,
        sender_type=SenderType.CUSTOMER,
        visible_to_customer=True,
        subject=mail.subject,
        text=mail.text,
        from_text=mail.from_text or envelope.mail_from,
        to_text=", ".join(each.address for each in mail.to),
        cc_text=", ".join(each.address for each in mail.cc),
        message_id=mail.message_id,
        dedup_key=mail.dedup_key,
        content_sha256=claimed.sha256,
        spool_id=claimed.id,
        mail={
            "parts": [
                {
                    "path": p.path,
                    "type": p.content_type,
                    "name": p.filename,
                    "size": p.size,
                }
                for p in mail.parts
                if p.is_attachment
            ],
            "defects": defects(mail),
            "envelope": envelope.plain(),
            # Where an answer goes, and the thread it continues.
            "reply_to": [each.address for each in mail.reply_to[:10]],
            "references": list(mail.references[::-1][:REFERENCES_LIMIT]),
            **screened.facts(),
            # What of the text is quoted, signed or appended; mostly nothing is.
            **({"passages": screened.passages} if screened.passages else {}),
            **({"report": report.plain()} if report else {}),
        },
        participants=tuple(
            address
            for address in everybody
            if address
            and len(address) <= ADDRESS
            and address == storable(address)
            and post.routes.queue_of(address) is None
        ),
    )


def _remember(unit: Unit, who: str, changes: Changes, ticket_id: int | None) -> None:
    """Write a plugin's rows; ``THIS_TICKET`` becomes the ticket's id."""
    if not changes.plugin_state:
        return
    states = {
        key: replace(state, ticket_id=ticket_id)
        if state is not None and state.ticket_id == THIS_TICKET
        else state
        for key, state in changes.plugin_state.items()
    }
    plugin_state.write(unit.connection, who.removeprefix("plugin:"), states)


def _enter(
    unit: Unit,
    screened: Screened,
    outcome: str,
    *,
    ticket_id: int | None = None,
    article_id: int | None = None,
    trash_id: int | None = None,
) -> None:
    unit.outcome(
        ledger.Entry(
            spool_id=screened.claimed.id,
            sha256=screened.claimed.sha256,
            outcome=outcome,
            ticket_id=ticket_id,
            article_id=article_id,
            trash_id=trash_id,
            part=screened.part,
        )
    )


def _outcome(
    screened: Screened, fate: Fate, *, reason: str = "", ticket_id: int | None = None
) -> Outcome:
    return Outcome(
        spool_id=screened.claimed.id,
        fate=fate,
        reason=reason,
        ticket_id=ticket_id,
        failures=screened.trace.failures,
        answered=tuple(screened.trace.answered),
    )


def _who(screened: Screened) -> Who:
    actor = sender(screened) or screened.claimed.envelope.mail_from or "system"
    cause = f"mail:{screened.claimed.envelope.channel}"
    return Who(actor=actor, cause=cause)
