"""``otrsd rules``: which there are, do their tests hold, what would a change do."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from otrsd.cli.output import counted, print_json, print_table, say, tell
from otrsd.cli.site import Site
from otrsd.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from otrsd.app import App
    from otrsd.language.rules import Rules
    from otrsd.postmaster.backtest import Moved


@click.group()
def rules() -> None:
    """List and test rules; try changed ones on past mail."""


@rules.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@click.pass_obj
def list_(site: Site, *, as_json: bool) -> None:
    """List the rules in the order in which they are asked."""
    with site.app(schema=False) as app:
        values = [
            {"name": each.name, "origin": each.origin, "tests": len(each.trials)}
            for each in app.rules.rules
        ]
    if as_json:
        print_json(values)
    else:
        print_table(("name", "at", "tests"), [list(each.values()) for each in values])


@rules.command()
@click.argument("names", metavar="[RULE]...", nargs=-1)
@click.option(
    "--save",
    "mail",
    metavar="MAIL",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Print this mail as a test, its addresses made anonymous.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@click.pass_obj
def test(site: Site, names: Sequence[str], *, mail: Path | None, as_json: bool) -> int:
    """Run the tests that stand beside the rules; exit 1 where one fails.

    `otrsd check` and `otrsd reload` run them, too.
    """
    with site.app(schema=False) as app:
        if mail is not None:
            click.echo(_as_test(app, mail.read_bytes()), nl=False)
            return 0
        known = {each.name for each in app.rules.rules}
        for name in names:
            if name not in known:
                raise NotFoundError(f"there is no rule {name!r}. Try: otrsd rules list")
        tried = [t for t in app.trials() if not names or t.trial.rule in names]
    failed = [each.problem for each in tried if each.problem]
    if as_json:
        print_json(
            [
                {
                    "rule": each.trial.rule,
                    "origin": each.trial.node.origin,
                    "ok": each.problem is None,
                    "text": each.problem.text if each.problem else "",
                }
                for each in tried
            ]
        )
        return 1 if failed else 0
    for problem in failed:
        click.echo(problem.render())
    click.echo(f"{counted(len(tried), 'test')}, {counted(len(failed), 'failure')}")
    return 1 if failed else 0


def _as_test(app: App, octets: bytes) -> str:
    from otrsd.language.anonymous import as_test

    return as_test(octets, app.rules)


@rules.command()
@click.option(
    "--since", default="30d", show_default=True, help="How far back: 12h, 30d, 8w."
)
@click.option(
    "--rules",
    "file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="YAML with a 'rules' section, to be tried in place of all of the site's.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=50,
    show_default=True,
    help="Mails that are printed; the sums count all.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def backtest(
    site: Site, *, since: str, file: Path | None, limit: int, as_json: bool
) -> None:
    """Tell which past mails changed rules would send elsewhere; change nothing.

    Without --rules, the files as they stand are compared with the rules that the last
    mail met: edit config/, look, then `otrsd reload`. With it, FILE is compared with
    the files as they stand.
    """
    length = _length(since)
    with site.app() as app:
        before, after = _both(app, file)
        moved, total = _moved(app, before, after, length)
    if as_json:
        print_json({"mails": total, "moved": [_value(each) for each in moved]})
        return
    rows = [_row(each) for each in moved[:limit]]
    print_table(("number", "differs", "from", "subject"), rows)
    if len(moved) > limit:
        tell(f"{len(moved) - limit} more; --limit {len(moved)} shows all")
    for (name, one, two), count in _sums(moved).most_common():
        say(f"{count:>6}  {name}: {one or '-'} -> {two or '-'}")
    say(f"{counted(total, 'mail')}, {len(moved)} would land elsewhere")


def _length(text: str) -> timedelta:
    from otrsd.config.values import duration

    try:
        length = duration(text)
    except ValueError as error:
        raise InputError(f"--since {error}, not {text!r}; such as 30d") from None
    if not isinstance(length, timedelta):
        raise TypeError(text)
    return length


def _both(app: App, file: Path | None) -> tuple[Rules, Rules]:
    """Return the rules as they are or were, and the changed ones."""
    if file is not None:
        return app.rules, _of_file(app, file)
    from otrsd.config.load import recall
    from otrsd.language.rules import compile_rules
    from otrsd.store import traces

    with app.database.read() as connection:
        name = traces.last_snapshot(connection)
        files = traces.read_snapshot(connection, name) if name else None
    if files is None:
        raise NotFoundError(
            "no mail has met a rule yet, so there is nothing to compare with. "
            "Name the changed rules: otrsd rules backtest --rules FILE"
        )
    then = recall(json.dumps(files, ensure_ascii=False))
    fields = app.rules.match_fields
    before = compile_rules(then.rules, queues=then.queues, match_fields=fields)
    return before, app.rules


def _of_file(app: App, file: Path) -> Rules:
    from otrsd.config.problem import LocatedError, Source
    from otrsd.config.yaml import read
    from otrsd.language.rules import compile_rules

    try:
        text = file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: can't be read: {error}") from error
    document = read(Source(name=str(file), text=text))
    node = (document.root.map or {}).get("rules")
    if node is None or node.map is None:
        problems = document.problems or (
            document.root.problem(
                "there are no rules in this file", "write 'rules:' and the rules below"
            ),
        )
        raise LocatedError(problems)
    named = {name: each.named_by(node.keys[name]) for name, each in node.map.items()}
    made = compile_rules(
        named, queues=app.config.queues, match_fields=app.rules.match_fields
    )
    errors = [*document.problems, *(p for p in made.problems if p.is_error)]
    if errors:
        raise LocatedError(errors)
    return made


def _moved(
    app: App, before: Rules, after: Rules, length: timedelta
) -> tuple[list[Moved], int]:
    from otrsd.cli.progress import shown
    from otrsd.postmaster.backtest import backtest as run

    seen = [0]
    with shown("mails") as progress:

        def count(done: int, total: int) -> None:
            seen[0] = done
            progress(done, total)

        since = app.clock.now() - length
        senders = app.senders()
        moved = list(run(app.database, senders, before, after, since, count))
        return moved, seen[0]


def _value(moved: Moved) -> dict[str, Any]:
    original = moved.original
    return {
        "spool_id": original.spool_id,
        "number": original.number,
        "follow_up": original.is_follow_up,
        "from": moved.from_text,
        "subject": moved.subject,
        "before": moved.before.plain(),
        "after": moved.after.plain(),
    }


def _row(moved: Moved) -> tuple[str, ...]:
    differs = "; ".join(
        f"{name}: {one or '-'} -> {two or '-'}"
        for name, (one, two) in moved.differs.items()
    )
    where = moved.original.number or "trash"
    return where, differs, moved.from_text, moved.subject


def _sums(moved: Sequence[Moved]) -> Counter[tuple[str, str, str]]:
    return Counter(
        (name, one, two) for each in moved for name, (one, two) in each.differs.items()
    )
