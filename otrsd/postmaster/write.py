"""Write: put what was decided into the transaction."""

from __future__ import annotations

from dataclasses import replace

from otrsd.desk import loops, tickets
from otrsd.desk.tickets import NewArticle, Who
from otrsd.desk.unit import Unit
from otrsd.mime.automatic import QUIET
from otrsd.mime.compose import REFERENCES_LIMIT
from otrsd.model.article import ArticleKind, SenderType
from otrsd.model.changes import THIS_TICKET, Changes
from otrsd.model.ticket import Ticket
from otrsd.postmaster.amend import Fold, defaults, reopened
from otrsd.postmaster.answer import owe_auto_response
from otrsd.postmaster.find import sender
from otrsd.postmaster.parts import Fate, Found, Outcome, Postmaster, Screened
from otrsd.postmaster.screen import defects
from otrsd.store import ledger, plugin_state, trash
from otrsd.store.articles import Known
from otrsd.store.history import Change
from otrsd.store.text import ADDRESS, storable
from otrsd.store.trash import Discarded


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
        ticket, article_id = _create(post, unit, screened, fold)
        if found.quoted is not None:
            _link(unit, ticket, found.quoted, screened)
        owe_auto_response(post, unit, screened, ticket)
    else:
        ticket, article_id = _append(post, unit, screened, found, fold)
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
        ticket = tickets.change(unit, ticket, changes, Who(actor="system", cause=who))
    _remember(unit, who, changes, ticket.id if ticket else None)
    return ticket


def _create(
    post: Postmaster, unit: Unit, screened: Screened, fold: Fold
) -> tuple[Ticket, int]:
    base = defaults(post, fold, screened, Found())
    values = replace(
        fold.values,
        queue=base.queue,
        title=base.title,
        state=base.state,
        priority=base.priority,
    )
    customer = sender(screened) or screened.claimed.envelope.mail_from
    ticket, article_id = tickets.create(
        unit,
        values,
        _article(post, screened),
        _who(screened),
        customer=customer if len(customer) <= ADDRESS else "",
    )
    for who, changes in fold.accepted:
        if changes.note:
            note = Changes(note=changes.note)
            ticket = tickets.change(unit, ticket, note, Who(actor="system", cause=who))
    return ticket, article_id


def _append(
    post: Postmaster, unit: Unit, screened: Screened, found: Found, fold: Fold
) -> tuple[Ticket, int]:
    ticket = found.ticket
    if ticket is None:
        raise AssertionError("append needs a ticket")
    article = _joining(_article(post, screened), found)
    who = _who(screened)
    event = "Bounce" if found.by == "report" else "FollowUp"
    article_id = tickets.append(unit, ticket, article, who, event=event)
    if found.bounced:
        loops.count_bounce(unit, found.bounced)
    # A machine's word about absence or delivery is filed and changes nothing.
    is_quiet = screened.recognised.kind in QUIET
    state = None if is_quiet else reopened(ticket.state_type)
    if found.is_stranger:
        ticket = tickets.change(unit, ticket, Changes(tags=("new-person",)), who)
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
                changes.fields,
                changes.note,
            )
        ):
            cause = Who(actor="system", cause=name)
            ticket = tickets.change(unit, ticket, changes, cause)
            changed = True
    if state and "state" not in fold.owners:
        reopen = Changes(state=state)
        cause = Who(actor="system", cause="follow-up")
        ticket = tickets.change(unit, ticket, reopen, cause)
    elif not changed:
        ticket = tickets.change(unit, ticket, Changes(), who)
    return ticket, article_id


def _joining(article: NewArticle, found: Found) -> NewArticle:
    """Return the article as it joins a ticket, by how it was found."""
    if found.completes:
        article = replace(article, subject=f"{article.subject} (complete copy)")
    if found.is_stranger:
        # Whoever has our token may write, but takes part only once an agent says so.
        article = replace(article, participants=())
    if found.by == "report":
        article = replace(
            article,
            sender_type=SenderType.SYSTEM,
            visible_to_customer=False,
            participants=(),
        )
    return article


def _link(unit: Unit, ticket: Ticket, quoted: Ticket, screened: Screened) -> None:
    """Relate a stranger's ticket to the one he quotes, and say so inside."""
    who = Who(actor="system", cause="follow-up")
    tickets.link(unit, ticket, quoted, "quotes", who)
    text = (
        f"This mail quotes ticket {quoted.number}, but its sender "
        f"{sender(screened) or '(no identity)'} takes no part in that ticket."
    )
    tickets.change(unit, ticket, Changes(note=text), who)


def _article(post: Postmaster, screened: Screened) -> NewArticle:
    mail, claimed = screened.mail, screened.claimed
    envelope = claimed.envelope
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
