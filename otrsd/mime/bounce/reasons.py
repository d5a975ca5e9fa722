"""What a code, or the words beside it, say about an address (RFC 3463, RFC 5321 §4.2).

Mail systems give the same code for an address that does not exist and for a mail that
they did not like. So the words count before the code: the first row that has them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from otrsd.model.report import Action

#: Enhanced codes that speak of the address itself; C16 of features.md.
HARD = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10"})
_STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,2}\.\d{1,3})(?![\d.]*\d)")
_CODE = re.compile(r"(?<![\d.#-])([245][0-5]\d)(?=[ \t:;,<>\"'\])-]|\.?\Z)(?!-\d\d-\d)")


@dataclass(frozen=True, slots=True)
class Reason:
    """One row: subject and detail of the code, and the words that mean it."""

    detail: str
    #: Whether the address is the reason; ``None``: these words leave it to the code.
    hard: bool | None
    words: tuple[str, ...]


REASONS = (
    Reason(
        "2.2",
        hard=False,
        words=(
            *("mailbox full", "mailbox is full", "mailfolder is full", "inbox is full"),
            *("full mailbox", "over quota", "overquota", "quota exceeded", "quota is"),
            *("exceeded storage", "disk quota", "exceeds allowed size", "out of stor"),
            *("exceeding their quota", "exceeded their", "insufficient disk"),
            *("too much mail", "storage quota", "postfach voll", "postfach ist voll"),
        ),
    ),
    Reason(
        "1.8",
        hard=False,
        words=(
            *("sender address rejected", "sender rejected", "sender denied"),
            *("sender verify failed", "domain of sender", "unauthenticated sender"),
        ),
    ),
    Reason(
        "2.1",
        hard=False,
        words=(
            *("account has been disabled", "account is disabled", "mailbox disabled"),
            *("disabled or discontinued", "is inactive", "suspended", "deactivated"),
            *("not accepting mail", "account disabled", "is disabled"),
        ),
    ),
    Reason(
        "1.1",
        hard=True,
        words=(
            *("user unknown", "unknown user", "no such user", "unknown recipient"),
            *("no mailbox here by that name", "user not found", "user not known"),
            *("recipient unknown", "unknown local", "recipient not found"),
            *("unknown or illegal", "address unknown", "addressee unknown"),
            *("unknown address", "recipientnotfound", "recipnotfound"),
            *("no such recipient", "no such mailbox", "no such address"),
            *("no such person", "invalid recipient", "invalid mailbox"),
            *("invalid user", "invalid address", "not a valid mailbox"),
            *("mailbox not found", "mailbox unavailable", "mailbox does not exist"),
            *("does not have an account", "doesn't have a", "not listed in"),
            *("recipient name is not recognized", "tried to reach does not exist"),
            *("user doesn't exist", "user does not exist", "account does not exist"),
            *("address does not exist", "recipient does not exist", "no longer valid"),
            *("unknown mailbox", "address couldn't be found", "no such account"),
            *("user not exist", "recipient address rejected: access denied"),
            *("unbekannter empfänger", "empfänger unbekannt", "empfänger existiert"),
        ),
    ),
    Reason(
        "1.2",
        hard=True,
        words=(
            *("host unknown", "unknown host", "unrouteable", "unroutable address"),
            *("domain does not exist", "no such domain", "domain not found"),
            *("couldn't find any host", "name service error", "host not found"),
            *("no mx record", "nxdomain", "unrouteable mail domain", "bad domain"),
            *("couldn't find a mail exchanger", "unknown domain", "no matches to name"),
            *("name or service not known", "domain wasn't found", "invalid domain"),
            *("does not accept mail", "null mx", "nullmx"),
        ),
    ),
    Reason(
        "3.4",
        hard=False,
        words=(
            *("message too large", "message size exceeds", "too big", "size limit"),
            *(
                "message exceeds",
                "exceeds size",
                "maximum size",
                "message is too large",
            ),
        ),
    ),
    Reason(
        "4.6",
        hard=False,
        words=("mail loop", "hop count", "too many hops", "loops back", "routing loop"),
    ),
    Reason(
        "7.1",
        hard=False,
        words=(
            *("spam", "blacklist", "block list", "blocklist", "dnsbl", "dmarc"),
            *("unsolicited", "reputation", "too many recipients", "virus"),
        ),
    ),
    Reason(
        "4.7",
        hard=None,
        words=(
            *(
                "timed out",
                "timeout exceeded",
                "connection refused",
                "in the queue too",
            ),
            *("not reachable", "unreachable", "no route to host", "not responding"),
            *("able to establish an smtp connection", "connection reset", "expired"),
            *("connection was dropped", "unable to connect", "retry time", "giving up"),
        ),
    ),
    Reason(
        "7.1",
        hard=None,
        words=(
            *("blocked", "denied", "policy", "rejected", "not authorized"),
            *("not permitted", "relay", "prohibited", "refused", "not allowed"),
        ),
    ),
)


def status_in(text: str) -> str:
    """Return the first enhanced status code of a text that is no success."""
    return next((each for each in _STATUS.findall(text) if each[0] != "2"), "")


def code_in(text: str) -> str:
    """Return the first reply code of a text that is no success."""
    return next((each for each in _CODE.findall(text) if each[0] != "2"), "")


def judge(action: Action, status: str, code: str, text: str) -> tuple[str, bool]:
    """Return the status, found by the words where it is missing, and if it is hard."""
    lower = text.lower()
    reason = next((row for row in REASONS if any(w in lower for w in row.words)), None)
    if not status and action in {Action.FAILED, Action.DELAYED}:
        detail = reason.detail if reason else "0.0" if code else ""
        late = action is Action.DELAYED or code.startswith("4")
        status = f"{'4' if late else '5'}.{detail}" if detail else ""
    if action is not Action.FAILED or not status.startswith("5"):
        return status, False
    decided = reason.hard if reason else None
    return status, status in HARD if decided is None else decided
