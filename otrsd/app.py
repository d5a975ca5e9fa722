"""The composition root: configuration → plugins → language → database → App.

Everything a process needs hangs on one :class:`App`, made by :func:`load`; tests
make their own. Nothing is opened by making it: databases, the spool and the index
are opened at their first use, so that a process may fork afterwards.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from otrsd.clock import Clock
from otrsd.config.load import examine as examine_files
from otrsd.config.models import Config
from otrsd.config.problem import LocatedError, Problem, Severity
from otrsd.config.routes import Routes
from otrsd.desk.letterhead import Letterhead, QueueLetters
from otrsd.desk.numbers import Numbers
from otrsd.desk.tokens import Tokens
from otrsd.desk.unit import Desk
from otrsd.errors import ConfigError
from otrsd.hooks import Hooks, load_plugins
from otrsd.language.letters import Letters, compile_letters
from otrsd.language.rules import Rules, compile_rules
from otrsd.language.trying import Tried, run_trials
from otrsd.mime.dns import Resolver
from otrsd.mime.sender_checks import SenderChecks
from otrsd.postmaster.parts import FollowUp, Policy, Postmaster
from otrsd.postmaster.senders import Senders
from otrsd.postmaster.unseal import Keys, Unsealer
from otrsd.relay.submission import Smarthost
from otrsd.search.whoosh import WhooshIndex
from otrsd.spool import Spool
from otrsd.spool.room import Floors
from otrsd.store.engine import Database
from otrsd.trust import Trust

#: Octets of a key of ours.
KEY_OCTETS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """One site, composed."""

    config: Config
    clock: Clock
    hooks: Hooks
    rules: Rules
    letters: Letters
    routes: Routes
    database: Database
    spool: Spool
    index: WhooshIndex

    @property
    def state(self) -> Path:
        """Return the folder of everything this node keeps."""
        return self.config.state

    def desk(self) -> Desk:
        """Return the desk; makes the history's key where there is none yet."""
        site = self.config.site
        return Desk(
            database=self.database,
            clock=self.clock,
            numbers=Numbers(system_id=site.system_id, timezone=site.timezone),
            node=socket.gethostname()[:64],
            key=history_key(self.state),
            observers=self.hooks.plugins_with("on_event"),
            reads_attachments=site.read_attachments,
        )

    def letterhead(self) -> Letterhead:
        """Return how this site writes; makes the tokens' key if there is none yet."""
        config = self.config
        site, send = config.site, config.send
        return Letterhead(
            name=site.name,
            url=site.url,
            hook=site.ticket_hook,
            language=site.language,
            host=config.site_domain() or socket.getfqdn(),
            tokens=Tokens(key_of(self.state, "token")),
            queues={
                name: QueueLetters(
                    address=next(iter(queue.address), ""),
                    auto_response=queue.auto_response,
                    auto_reject=queue.auto_reject,
                    signature=queue.signature,
                    language=queue.language,
                )
                for name, queue in config.queues.items()
            },
            address=send.from_address if send is not None else "",
            admin=site.admin,
            delimiter=site.recipient_delimiter,
            letters=self.letters,
            is_ours=lambda address: self.routes.queue_of(address) is not None,
        )

    def smarthost(self) -> Smarthost | None:
        """Return who takes our mail; ``None``: nobody, what is owed waits."""
        send = self.config.send
        if send is None:
            return None
        return Smarthost(
            host=send.host,
            port=send.port,
            tls=send.tls,
            ca_file=str(self.config.root / send.ca_file) if send.ca_file else "",
            username=send.username,
            password=send.password,
            hostname=send.hostname or socket.getfqdn(),
        )

    def postmaster(self) -> Postmaster:
        """Return the parts of a worker."""
        config = self.config
        return Postmaster(
            desk=self.desk(),
            hooks=self.hooks,
            rules=self.rules,
            routes=self.routes,
            queues=tuple(config.queues),
            ticket_hook=config.site.ticket_hook,
            trash_keep=config.trash.keep,
            letterhead=self.letterhead(),
            senders=self.senders(),
            unsealer=self.unsealer(),
            follow_ups={
                name: FollowUp(
                    policy=Policy(queue.follow_up), within=queue.follow_up_within
                )
                for name, queue in config.queues.items()
            },
            unknown_senders={
                name: queue.unknown_sender for name, queue in config.queues.items()
            },
            one_ticket_per_queue=config.site.one_ticket_per_queue,
            snapshot=config.snapshot,
            files=config.files,
        )

    def senders(self) -> Senders:
        """Return whose word counts about a mail's sender."""
        site, smtp = self.config.site, self.config.listen.smtp
        own = None
        if site.check_senders:
            checks = SenderChecks(
                Resolver(self.clock).within,
                smtp.trusted_cidr if smtp is not None else (),
            )
            own = checks.check
        mode = site.authserv_position if site.authserv_id else "none"
        return Senders(trust=Trust(mode=mode, mx=site.authserv_id), own=own)

    def unsealer(self) -> Unsealer:
        """Return what verifies and decrypts with this site's keys."""
        crypto, root = self.config.crypto, self.config.root

        def path(name: str) -> str:
            return str(root / name) if name else ""

        return Unsealer(
            Keys(
                smime_keys=tuple(path(each) for each in crypto.smime_keys),
                smime_ca=path(crypto.smime_ca),
                pgp_home=path(crypto.pgp_home),
            )
        )

    def trials(self) -> tuple[Tried, ...]:
        """Run the tests that stand beside the rules."""
        root = self.config.root
        return run_trials(self.rules, lambda name: (root / name).read_bytes())

    def apart(self) -> App:
        """Return the same site with connections of its own, for another thread."""
        return replace(
            self,
            database=Database(self.database.url.render_as_string(hide_password=False)),
            spool=_spool(self.config, self.clock),
            index=WhooshIndex(self.config.state / "index", self.clock),
        )

    def close(self) -> None:
        """Close what this process has opened."""
        self.database.close()
        self.spool.close()
        self.index.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What came of examining a site: an App unless something is an error."""

    app: App | None
    problems: tuple[Problem, ...]


def load(
    path: Path, environ: Mapping[str, str], clock: Clock, *, tried: bool = False
) -> App:
    """Return the site of ``path``; raise ConfigError with every problem."""
    examined = examine(path, environ, clock, tried=tried)
    if examined.app is None:
        errors = [p for p in examined.problems if p.severity is Severity.ERROR]
        raise LocatedError(errors)
    return examined.app


def examine(
    path: Path, environ: Mapping[str, str], clock: Clock, *, tried: bool = False
) -> Examined:
    """Read, load and compile everything; never raise for what stands in it.

    ``tried``: also run the tests that stand beside the rules.
    """
    files = examine_files(path, environ)
    config = files.config
    if config is None:
        return Examined(app=None, problems=files.problems)
    loaded = load_plugins(config, shipped=shipped_plugins())
    hooks = Hooks(loaded.plugins)
    fields = {
        name: field
        for answer in hooks.match_fields()
        for name, field in (answer.value or {}).items()
    }
    rules = compile_rules(config.rules, queues=config.queues, match_fields=fields)
    letters = compile_letters(config.templates, queues=config.queue_nodes)
    found = (files, loaded, rules, letters)
    problems = tuple(dict.fromkeys(p for part in found for p in part.problems))
    if any(problem.severity is Severity.ERROR for problem in problems):
        return Examined(app=None, problems=problems)
    try:
        database = Database(config.site.database or _sqlite(config.state))
    except ConfigError as error:
        problem = Problem(file=path.name, text=str(error))
        return Examined(app=None, problems=(*problems, problem))
    app = App(
        config=config,
        clock=clock,
        hooks=hooks,
        rules=rules,
        letters=letters,
        routes=Routes(config),
        database=database,
        spool=_spool(config, clock),
        index=WhooshIndex(config.state / "index", clock),
    )
    failed = tuple(t.problem for t in app.trials() if t.problem) if tried else ()
    return Examined(app=None if failed else app, problems=(*problems, *failed))


def shipped_plugins() -> Path | None:
    """Return the folder of the plugins that come with otrsd (wheel, working tree)."""
    package = Path(__file__).resolve().parent
    for folder in (package / "_site" / "plugins", package.parent / "plugins"):
        if folder.is_dir():
            return folder
    return None


def history_key(state: Path) -> bytes:
    """Return the key of the history's chain; make it where there is none."""
    return key_of(state, "history")


def key_of(state: Path, name: str) -> bytes:
    """Return a key of this site (``history``, ``token``); make it if it is absent."""
    path = state / "keys" / f"{name}.key"
    try:
        return path.read_bytes()
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{path}: the key can't be read: {error}") from error
    # Linked into place, so that of two processes one wins and none reads half.
    fresh = path.with_name(f"{name}.{os.getpid()}.new")
    fresh.write_bytes(os.urandom(KEY_OCTETS))
    fresh.chmod(0o600)
    try:
        os.link(fresh, path)
    except FileExistsError:
        return path.read_bytes()
    finally:
        fresh.unlink()
    return path.read_bytes()


def _spool(config: Config, clock: Clock) -> Spool:
    floors = Floors(max_size=config.spool.max_size, min_free=config.spool.min_free)
    return Spool(config.state / "spool.db", clock, floors=floors)


def _sqlite(state: Path) -> str:
    return f"sqlite:///{state / 'desk.db'}"
