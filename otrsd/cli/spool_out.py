"""``otrsd spool … --out``: the mails of ours that are not sent yet.

They stand in the desk's outbox, not in the spool; a person looks at both in one place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from otrsd.cli.ask import ALL, DECLINED, SOME_FAILED, Asked, do_each
from otrsd.cli.finding import is_id, zone_of
from otrsd.cli.output import print_json, print_table, tell
from otrsd.cli.site import Site
from otrsd.errors import NotFoundError

if TYPE_CHECKING:
    from otrsd.app import App
    from otrsd.desk.outgoing import Waiting

#: Why everything waits where no smarthost is named.
UNSENT = "there is no 'send:' in the configuration"
_HEADING = ("id", "recipient", "subject", "next try", "reason")


def print_waiting(site: Site, *, as_json: bool, jsonl: bool, limit: int) -> None:
    """Print the mails that are not sent yet, the oldest first."""
    with site.app() as app:
        found = _all(app)
        mails = [_value(app, mail) for mail in found[:limit]]
        if jsonl:
            for mail in mails:
                print_json(mail)
        elif as_json:
            print_json(mails)
        else:
            rows = [_row(app, mail) for mail in found[:limit]]
            print_table(_HEADING, rows, zone_of(app))
        if len(found) > limit:
            tell("there are more; take a greater -n")
        if app.config.send is None and found:
            tell(f"nothing is sent: {UNSENT} (docs/howto/send.md)")


def retry(site: Site, names: Sequence[str], asked: Asked) -> int:
    """Let the relay try mails now; ALL: every one."""
    from otrsd.desk import outgoing

    def deed(app: App, row_id: int) -> str:
        with app.desk().unit() as unit:
            outgoing.retry(unit, row_id)
        waits = "" if app.config.send else f"; it waits on: {UNSENT}"
        return f"retry {row_id}: it is due now{waits}"

    return _change(site, names, asked, ("retry", lambda _: True), deed)


def discard(site: Site, names: Sequence[str], asked: Asked) -> int:
    """Never send mails; ALL: those that are given up."""
    from otrsd.desk import outgoing

    def deed(app: App, row_id: int) -> str:
        with app.desk().unit() as unit:
            outgoing.drop(unit, row_id, site.who)
        return f"discarded {row_id}: it will never be sent"

    return _change(site, names, asked, ("discard", lambda mail: mail.is_dead), deed)


def _change(
    site: Site,
    names: Sequence[str],
    asked: Asked,
    what: tuple[str, Callable[[Waiting], bool]],
    deed: Callable[[App, int], str],
) -> int:
    """Find the mails, ask, do it to each; ``what``: the verb, and whom ALL means."""
    verb, meant = what
    with site.app() as app:
        waiting = {str(mail.id): mail for mail in _all(app)}
        if ALL in names:
            chosen = [name for name, mail in waiting.items() if meant(mail)]
        else:
            chosen = [name for name in dict.fromkeys(names) if name in waiting]
        missing = [n for n in dict.fromkeys(names) if n not in waiting and n != ALL]
        if not chosen and missing:
            raise _absent(missing[0])
        if not chosen:
            tell(f"nothing to do: there is no outgoing mail to {verb}")
            return 0
        if not asked.agrees(verb, [_line(waiting[name]) for name in chosen]):
            return 0 if asked.dry_run else DECLINED
        code = do_each(chosen, lambda name: deed(app, int(name)))
        for name in missing:
            tell(str(_absent(name)))
        return SOME_FAILED if missing else code


def _all(app: App) -> tuple[Waiting, ...]:
    from otrsd.desk.outgoing import outgoing

    with app.database.read() as connection:
        return outgoing(connection)


def _absent(name: str) -> NotFoundError:
    what = f"outgoing mail {name}" if is_id(name) else f"outgoing mail {name!r}"
    return NotFoundError(f"there is no {what}. Try: otrsd spool list --out")


def _reason(app: App, mail: Waiting) -> str:
    """Return why a mail is still here, also before its first try."""
    if mail.is_dead or app.config.send is not None:
        return mail.reason
    return f"{UNSENT}; {mail.reason}" if mail.reason else UNSENT


def _row(app: App, mail: Waiting) -> tuple[object, ...]:
    # A mail that nobody will try has no next time, and the column says so.
    next_try = "given up" if mail.is_dead else mail.next_at
    return (mail.id, mail.rcpt_tos, mail.subject, next_try, _reason(app, mail))


def _line(mail: Waiting) -> str:
    reason = f"  ({mail.reason})" if mail.reason else ""
    return f"{mail.id}  to {', '.join(mail.rcpt_tos)}  {mail.subject!r}{reason}"


def _value(app: App, mail: Waiting) -> dict[str, Any]:
    return {**asdict(mail), "reason": _reason(app, mail), "given_up": mail.is_dead}
