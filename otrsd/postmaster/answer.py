"""Answer: the auto-response to a mail that made a ticket, under the loop guard.

Owed in the mail's own transaction, once the ticket has its number. Whatever keeps it
back — a machine's mail, a cap, a template that fails — is a history row with its
reason; it never keeps the mail back. The text is the site's alone: nothing that the
sender chose is in it (row K09), unless a site's own template names the title.
"""

from __future__ import annotations

from otrsd.desk import loops, outgoing, tickets
from otrsd.desk.letterhead import Letterhead
from otrsd.desk.loops import Kind, Question, Refusal
from otrsd.desk.outgoing import Outgoing
from otrsd.desk.tickets import Who
from otrsd.desk.unit import Unit
from otrsd.errors import PermanentError
from otrsd.mime.subject import clean_subject
from otrsd.model.changes import Changes
from otrsd.model.mail import Address
from otrsd.model.ticket import Ticket
from otrsd.postmaster.amend import Fold
from otrsd.postmaster.parts import Postmaster, Screened, Standing

_WHO = Who(actor="system", cause="auto-response")
#: The customer has not written to us, and the agent need not be told.
_FORWARDED = Refusal(reason="an agent has forwarded the mail")


def owe_auto_response(
    post: Postmaster,
    unit: Unit,
    screened: Screened,
    ticket: Ticket,
    fold: Fold,
    *,
    is_rejected: bool = False,
) -> None:
    """Owe the answer of the ticket's queue, if it has one.

    ``is_rejected``: to a mail that the queue takes no more, as its ticket is closed.
    """
    head = post.letterhead
    if head is None:
        return
    of_queue = head.of_queue(ticket.queue)
    template = of_queue.auto_reject if is_rejected else of_queue.auto_response
    if not template:
        return
    if fold.values.no_auto_reply:
        data = {"suppressed": "auto-response", "reason": "no_auto_reply"}
        who = Who(actor="system", cause=fold.owners["no_auto_reply"])
        tickets.remark(unit, ticket, "Misc", who, data)
        return
    kind = Kind.REJECT if is_rejected else Kind.RECEIVED
    unit.once_numbered(lambda: _answer(unit, head, screened, ticket.id, template, kind))


def _answer(
    unit: Unit,
    head: Letterhead,
    screened: Screened,
    ticket_id: int,
    template: str,
    kind: Kind,
) -> None:
    ticket = unit.ticket(ticket_id)
    if ticket is None:
        return
    author = screened.mail.author or Address(address="")
    question = Question(
        ticket=ticket,
        address=author.address,
        recognised=screened.recognised,
        kind=kind,
        dmarc_failed=screened.standing is Standing.DENIED,
    )
    is_forward = screened.original is not None
    refusal = _FORWARDED if is_forward else loops.why_not(unit, head, question)
    if refusal is not None:
        _suppress(unit, ticket, refusal.reason)
        if refusal.capped:
            text = f"No automatic answer to {author.address}: {refusal.reason}."
            tickets.change(unit, ticket, Changes(note=text), _WHO)
        return
    try:
        mail = _written(head, screened, ticket, author, template)
        outgoing.send(unit, head, ticket, mail, _WHO, event=kind.value)
    except PermanentError as error:
        _suppress(unit, ticket, str(error))
        return
    loops.count_answer(unit, question)


def _written(
    head: Letterhead,
    screened: Screened,
    ticket: Ticket,
    author: Address,
    template: str,
) -> Outgoing:
    language = head.language_of(ticket.queue)
    # The bare address: a name is text that the sender chose.
    customer = Address(address=author.address)
    rendered = head.letters.render(template, language, head.values(ticket, customer))
    subject = rendered.subject or f"Re: {clean_subject(ticket.title, head.hook)}"
    return Outgoing(
        to=(customer,),
        subject=subject,
        text=rendered.text,
        language=rendered.language,
        in_reply_to=screened.mail.message_id,
        references=screened.mail.references[::-1],
        automatic="auto-replied",
    )


def _suppress(unit: Unit, ticket: Ticket, reason: str) -> None:
    data = {"suppressed": "auto-response", "reason": reason}
    tickets.remark(unit, ticket, "LoopProtection", _WHO, data)
    outgoing.count(unit, "stopped")
