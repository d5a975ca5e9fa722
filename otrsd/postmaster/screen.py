"""Parse and screen: what is known of a mail before it may touch a ticket.

No transaction is open here; plugins may do I/O. The most severe verdict wins
(discard > hold > accept). A ``screen_mail`` plugin that fails has given no verdict,
and no verdict is not a clean one: the mail waits and is held in the end. That is
decided by the worker; here it is only told (``Screened.unscreened``).
"""

from __future__ import annotations

from dataclasses import replace

from otrsd.hooks import Answer
from otrsd.mime.automatic import recognise
from otrsd.mime.parse import parse
from otrsd.model.mail import Mail
from otrsd.model.verdict import Disposition, Verdict
from otrsd.postmaster.parts import ACCEPTED, Postmaster, Screened
from otrsd.postmaster.trace import Trace
from otrsd.spool import Claimed


def screen(
    post: Postmaster, claimed: Claimed, off: frozenset[str] = frozenset()
) -> Screened:
    """Parse one mail and ask every ``screen_mail`` plugin that is not left out."""
    trace = Trace()
    envelope = claimed.envelope
    trace.note("accept", envelope.channel, f"{envelope.peer} {claimed.size} octets")
    mail = parse(claimed.content)
    if mail.defects:
        trace.note("parse", "otrsd", "; ".join(mail.defects))
    mail = _unsealed(post, claimed, _proved(post, claimed, mail, trace), trace)
    recognised = recognise(mail, envelope, claimed.content)
    if not recognised.is_human:
        trace.note("parse", "otrsd", f"{recognised.kind}: {recognised.mark}")
    skip = off | claimed.without
    for plugin in sorted(skip):
        trace.note("screen", plugin, "left out of this journey")
    screened = Screened(
        claimed=claimed,
        mail=mail,
        verdict=ACCEPTED,
        recognised=recognised,
        skip=skip,
        lacking=off | (claimed.without if claimed.strikes else frozenset()),
        trace=trace,
    )
    if mail.hostile and not claimed.released:
        verdict = Verdict.hold(f"hostile structure: {mail.hostile}")
        trace.note("screen", "otrsd", f"hold: {verdict.reason}")
        return replace(screened, verdict=verdict)
    return _judged(post, screened)


def _proved(post: Postmaster, claimed: Claimed, mail: Mail, trace: Trace) -> Mail:
    """Add what is proved about the sender."""
    auth = post.senders.auth(mail, claimed.envelope, claimed.content)
    if auth is mail.auth or auth == mail.auth:
        return mail
    if auth.by:
        trace.note("screen", "otrsd", f"sender: {auth}")
    for note in auth.notes:
        trace.note("screen", "otrsd", note)
    return replace(mail, auth=auth)


def _unsealed(post: Postmaster, claimed: Claimed, mail: Mail, trace: Trace) -> Mail:
    """Verify and decrypt it; nearly no mail is sealed."""
    if mail.hostile:
        return mail
    opened = post.unsealer.unseal(mail, claimed.content)
    if opened.seal.kind:
        trace.note("screen", "otrsd", str(opened.seal))
    return opened


def _judged(post: Postmaster, screened: Screened) -> Screened:
    """Fold the plugins' verdicts into one."""
    claimed, trace = screened.claimed, screened.trace
    verdict, cause = ACCEPTED, "otrsd"
    tags: list[str] = []
    unscreened: dict[str, str] = {}
    answers = post.hooks.screen(screened.mail, claimed.envelope, skip=screened.skip)
    for answer in answers:
        if answer.failure:
            unscreened[answer.plugin] = answer.failure
            trace.failed("screen", answer.plugin, answer.failure)
            continue
        trace.answered.add(answer.plugin)
        _note(trace, answer)
        opinion = answer.value
        if opinion is None:
            continue
        tags += opinion.tags
        if claimed.released and opinion.disposition is Disposition.HOLD:
            continue
        if opinion.disposition > verdict.disposition:
            verdict, cause = opinion, f"plugin:{answer.plugin}"
    return replace(
        screened,
        verdict=verdict,
        cause=cause,
        tags=tuple(tags),
        unscreened=unscreened,
    )


def _note(trace: Trace, answer: Answer[Verdict]) -> None:
    if answer.value is not None:
        what = f"{answer.value.disposition.name.lower()}: {answer.value.reason}"
        trace.note("screen", answer.plugin, what, answer.seconds)


def defects(mail: Mail) -> tuple[str, ...]:
    """Return what is stored of a mail's defects: a hostile one names thousands."""
    return mail.defects[:20]
