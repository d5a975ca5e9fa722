"""Follow-up: what a mail may do to the ticket that was found for it.

In: a :class:`~otrsd.postmaster.parts.Found`. Out: the same, or what the site's policy
and the sender's proof make of it. A closed ticket takes mail as its queue says:
*possible* (append, reopen), *reject* (append, answer, change nothing), *new_ticket* (a
new one, linked). What a machine tells about a mail of ours is filed whatever the policy
says, and a plugin that names a ticket has decided by itself. A participant whose domain
disowns the mail (reliability.md §3.4) is heard, and changes nothing.
"""

from __future__ import annotations

from dataclasses import replace

from otrsd.desk.unit import Unit
from otrsd.mime.automatic import QUIET
from otrsd.model.ticket import Ticket
from otrsd.postmaster.parts import (
    FollowUp,
    Found,
    Policy,
    Postmaster,
    Screened,
    Standing,
)
from otrsd.store import tickets

#: How a ticket was found where the sender has to be somebody, or to have something.
_BY_PROOF = frozenset({"token", "follow-up"})
UNVERIFIED = "the sender is unverified: his domain disowns the mail (DMARC)"


def judge(post: Postmaster, unit: Unit, screened: Screened, found: Found) -> Found:
    """Return what becomes of a mail for which a ticket was found."""
    ticket = found.ticket
    if ticket is None or found.by not in _BY_PROOF:
        return found
    by_policy = _by_policy(post, unit, screened, found, ticket)
    is_disowned = screened.standing is Standing.DENIED
    if by_policy.ticket is None or not is_disowned or found.by == "token":
        return by_policy
    screened.trace.note("find", "follow-up", UNVERIFIED)
    return replace(by_policy, inert=by_policy.inert or UNVERIFIED, is_unverified=True)


def _by_policy(
    post: Postmaster, unit: Unit, screened: Screened, found: Found, ticket: Ticket
) -> Found:
    """Ask the ticket's queue, if the ticket is closed and a person writes."""
    is_filed = found.completes or screened.recognised.kind in QUIET
    if ticket.is_active or is_filed:
        return found
    policy, why = _policy(unit, post.follow_ups.get(ticket.queue, FollowUp()), ticket)
    if policy is Policy.POSSIBLE:
        return found
    reason = f"{ticket.number} is {ticket.state}, and queue {ticket.queue} {why}"
    screened.trace.note("find", "follow-up", reason)
    if policy is Policy.REJECT:
        return replace(found, inert=reason, is_rejected=True)
    return Found(continues=ticket, inert=reason)


def _policy(unit: Unit, of_queue: FollowUp, ticket: Ticket) -> tuple[Policy, str]:
    """Return the policy and why it is this one."""
    if of_queue.policy is Policy.POSSIBLE and of_queue.within is not None:
        closed = tickets.closed_at(unit.connection, ticket.id)
        if closed is not None and unit.at - closed > of_queue.within:
            days = of_queue.within.total_seconds() / 86_400
            return Policy.NEW_TICKET, f"takes no mail after {days:g} days"
    return of_queue.policy, "takes no mail to closed tickets"
