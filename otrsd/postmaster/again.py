"""Again: a stored mail as its journey saw it, for whoever asks rules about it later.

In: the octets, the envelope, and what its article keeps of it. Out: the mail with its
kind, with what was proved of its sender and with the text that was inside a seal: as
rules saw it then. Nobody outside is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from otrsd.mime.automatic import recognise
from otrsd.mime.parse import parse
from otrsd.model.auth import Auth
from otrsd.model.envelope import Envelope
from otrsd.model.mail import Mail
from otrsd.model.seal import Seal
from otrsd.postmaster.senders import Senders


def read_again(
    senders: Senders,
    octets: bytes,
    envelope: Envelope,
    facts: Mapping[str, Any],
    text: str = "",
) -> Mail:
    """Return the mail; ``facts`` and ``text`` are its article's, if it has one."""
    mail = parse(octets)
    auth = Auth.from_plain(facts["auth"]) if "auth" in facts else senders.told(mail)
    seal = Seal.from_plain(facts.get("seal", {}))
    kind = recognise(mail, envelope, octets).kind
    mail = replace(mail, kind=kind, auth=auth, seal=seal)
    if text and seal.encrypted == "opened":
        mail = replace(mail, text=text, html="")
    return mail
