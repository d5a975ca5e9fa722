"""What a mail system reports about the delivery of a mail (RFC 3464)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Action(StrEnum):
    """What became of a recipient's copy (RFC 3464 §2.3.3), the worst first."""

    FAILED = "failed"
    DELAYED = "delayed"
    RELAYED = "relayed"
    EXPANDED = "expanded"
    DELIVERED = "delivered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """One recipient of the mail that is reported about."""

    #: As the report writes it; empty where it names nobody.
    address: str = ""
    action: Action = Action.FAILED
    #: Enhanced status code (RFC 3463), such as ``5.1.1``; empty if none was found.
    status: str = ""
    #: The reply code of SMTP, such as ``550``.
    code: str = ""
    #: What the other side said, on one line.
    diagnostic: str = ""
    #: Whether the address itself is the reason: writing there again is in vain.
    is_hard: bool = False

    @property
    def news(self) -> str:
        """Return it for a person: ``undeliverable to X: 5.1.1 User unknown``."""
        reason = self.diagnostic
        if self.status and self.status not in reason:
            reason = f"{self.status} {reason}"
        whom = self.address or "somebody"
        return f"{_NEWS[self.action]} {whom}: {reason.strip() or 'no reason given'}"


_NEWS = {
    Action.FAILED: "undeliverable to",
    Action.DELAYED: "not yet delivered to",
    Action.RELAYED: "passed on to",
    Action.EXPANDED: "passed on to the members of",
    Action.DELIVERED: "delivered to",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report about one mail."""

    #: The Message-ID and the subject of the mail that it is about, if it tells them.
    message_id: str = ""
    subject: str = ""
    recipients: tuple[Recipient, ...] = ()

    @property
    def action(self) -> Action:
        """Return the worst that it tells; a report that tells nothing is of a failure.

        One report may be about several recipients.
        """
        told = {each.action for each in self.recipients}
        return next((each for each in Action if each in told), Action.FAILED)

    @staticmethod
    def from_plain(value: Mapping[str, Any]) -> Report:
        """Read the stored form; what it lacks is empty."""
        return Report(
            message_id=value.get("message_id", ""),
            recipients=tuple(
                Recipient(
                    address=each.get("address", ""),
                    action=Action(each.get("action", Action.FAILED)),
                    status=each.get("status", ""),
                    code=each.get("code", ""),
                    diagnostic=each.get("diagnostic", ""),
                    is_hard=each.get("hard", False),
                )
                for each in value.get("recipients", ())
            ),
        )

    def plain(self) -> dict[str, Any]:
        """Return the stored form as a JSON value."""
        return {
            "message_id": self.message_id,
            "action": str(self.action),
            "recipients": [
                {
                    "address": each.address,
                    "action": str(each.action),
                    "status": each.status,
                    "code": each.code,
                    "diagnostic": each.diagnostic,
                    "hard": each.is_hard,
                }
                for each in self.recipients
            ],
        }
