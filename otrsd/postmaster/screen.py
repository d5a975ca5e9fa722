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
from otrsd.mime.compose import sendable
from otrsd.mime.forwarded import original_author
from otrsd.mime.parse import parse
from otrsd.mime.quotes import markers
from otrsd.mime.subject import forwarded_subject
from otrsd.model.envelope import Envelope
from otrsd.model.mail import Mail, is_control
from otrsd.model.verdict import Disposition, Verdict
from otrsd.postmaster.parts import ACCEPTED, Postmaster, Screened, Standing
from otrsd.postmaster.trace import Trace
from otrsd.spool import Claimed

#: Fields that otrsd or a plugin reads, each with a proof of its own: they take an
#: answer away, or come from a monitoring system or an MX of ours.
_READ = ("x-otrsd-loop", "x-otrs-loop", "x-otrsd-monitor", "x-otrsd-mx")
#: Names of ignored fields that are told.
_NAMED = 10


def screen(
    post: Postmaster, claimed: Claimed, off: frozenset[str] = frozenset()
) -> Screened:
    """Parse one mail and ask every ``screen_mail`` plugin that is not left out."""
    trace = Trace()
    envelope = claimed.envelope
    trace.note("accept", envelope.channel, f"{envelope.peer} {claimed.size} octets")
    mail = _marked(parse(claimed.content), envelope)
    if mail.defects:
        trace.note("parse", "otrsd", "; ".join(mail.defects))
    mail = _unsealed(post, claimed, _proved(post, claimed, mail, trace), trace)
    recognised = recognise(mail, envelope, claimed.content)
    if not recognised.is_human:
        trace.note("parse", "otrsd", f"{recognised.kind}: {recognised.mark}")
        mail = replace(mail, kind=recognised.kind)
    skip = off | claimed.without
    for plugin in sorted(skip):
        trace.note("screen", plugin, "left out of this journey")
    screened = Screened(
        claimed=claimed,
        mail=mail,
        verdict=ACCEPTED,
        recognised=recognised,
        standing=_standing(mail),
        skip=skip,
        lacking=off | (claimed.without if claimed.strikes else frozenset()),
        trace=trace,
    )
    if mail.hostile and not claimed.released:
        verdict = Verdict.hold(f"hostile structure: {mail.hostile}")
        trace.note("screen", "otrsd", f"hold: {verdict.reason}")
        return replace(screened, verdict=verdict)
    screened = with_original(post, _judged(post, screened))
    if screened.verdict.disposition is Disposition.DISCARD:
        return screened
    # Here, as nobody waits for it: inside the transaction all other writers would.
    return replace(screened, passages=markers(mail.text))


def _marked(mail: Mail, envelope: Envelope) -> Mail:
    """Name the control header fields that do not count on this channel (row K01)."""
    names = dict.fromkeys(
        each.name
        for each in mail.headers
        if is_control(each.name) and not each.name.lower().startswith(_READ)
    )
    if envelope.trusted or not names:
        return mail
    defect = f"ignored control header: {', '.join([*names][:_NAMED])}"
    return replace(mail, defects=(defect, *mail.defects))


def with_original(post: Postmaster, screened: Screened) -> Screened:
    """Name who wrote what an agent forwards, if it is proved to be the agent's mail."""
    mail, trace = screened.mail, screened.trace
    author = mail.author
    if author is None or not post.routes.is_agent(author.address):
        return screened
    if forwarded_subject(mail.subject, post.ticket_hook) is None:
        return screened
    if screened.standing is not Standing.PROVED:
        # Row K05: whoever writes an agent's address is a customer.
        trace.note("parse", "forward", "an agent's address, but nothing proves it")
        return screened
    found = original_author(screened.claimed.content, mail.text)
    if found is None or not _is_a_customer(post, found.address):
        trace.note("parse", "forward", "it does not tell whose mail was forwarded")
        return screened
    trace.note("parse", "forward", f"{author.address} forwards {found.address}")
    return replace(screened, original=found)


def _is_a_customer(post: Postmaster, address: str) -> bool:
    is_ours = post.routes.queue_of(address) is not None or post.routes.is_agent(address)
    return bool(sendable(address)) and not is_ours


def _standing(mail: Mail) -> Standing:
    """Return what is proved of whom From names."""
    if mail.author is not None and mail.seal.proves(mail.author.address):
        return Standing.PROVED
    if mail.auth.refutes:
        return Standing.DENIED
    if mail.author is not None and mail.auth.proves(mail.author.address):
        return Standing.PROVED
    return Standing.UNKNOWN


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
