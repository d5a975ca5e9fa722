"""What only two values together can get wrong: names that must exist, or be alone.

In: a configuration whose single values are fine, and its located sections. Out:
problems. Queue names inside rules are checked by the language, which reads rules.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from shutil import which

from otrsd.config.models import Config, FetchAccount
from otrsd.config.problem import Problem, did_you_mean
from otrsd.config.values import is_loopback
from otrsd.config.yaml import Node

_DATABASES = ("sqlite", "postgresql", "mysql", "mariadb", "oracle")
_NAME_LENGTH = 190


def check_cross(config: Config, sections: Mapping[str, Node]) -> Iterator[Problem]:
    """Yield every problem between values."""
    yield from _queue_references(config, sections)
    yield from _database(config, sections)
    yield from _queue_names(sections)
    yield from _addresses(config, sections)
    yield from _listeners(config, sections)
    yield from _sending(config, sections)
    yield from _packages(config, sections)
    yield from _keys(config, sections)
    yield from _fetching(config, sections)
    yield from _people(config, sections)
    yield from _closed(config, sections)


def _at(sections: Mapping[str, Node], *path: str) -> Node | None:
    """Return the node at ``path``, ``None`` where the files don't have it."""
    node = sections.get(path[0])
    for name in path[1:]:
        node = (node.map or {}).get(name) if node is not None else None
    return node


def _queue_references(
    config: Config, sections: Mapping[str, Node]
) -> Iterator[Problem]:
    for key in ("default_queue", "catch_all"):
        name = getattr(config.site, key)
        node = _at(sections, "site", key)
        if node is not None and name and name not in config.queues:
            yield node.problem(
                f"queue '{name}' does not exist", did_you_mean(name, config.queues)
            )


def _database(config: Config, sections: Mapping[str, Node]) -> Iterator[Problem]:
    node = _at(sections, "site", "database")
    scheme, found, _ = config.site.database.partition("://")
    kind = scheme.partition("+")[0]
    if node is None or not config.site.database:
        return
    if not found:
        yield node.problem(
            "'site.database' wants a URL",
            "write sqlite:///tickets.db or postgresql://…",
        )
    elif kind not in _DATABASES:
        yield node.problem(
            f"no database is called '{kind}'", did_you_mean(kind, _DATABASES)
        )


def _queue_names(sections: Mapping[str, Node]) -> Iterator[Problem]:
    queues = sections.get("queues")
    seen: dict[str, str] = {}
    for name, key in queues.keys.items() if queues is not None else ():
        folded = unicodedata.normalize("NFKC", name).casefold()
        if folded in seen:
            yield key.problem(
                f"queue '{name}' differs from '{seen[folded]}' by case only"
            )
        seen[folded] = name
        if not all(part and part == part.strip() for part in name.split("::")):
            yield key.problem(
                f"queue '{name}' has an empty or padded part", "write Parent::Child"
            )
        if not name.isprintable() or len(name) > _NAME_LENGTH or "," in name:
            yield key.problem(
                "a queue's name has no comma or control character, and at most "
                f"{_NAME_LENGTH} characters"
            )


def _addresses(config: Config, sections: Mapping[str, Node]) -> Iterator[Problem]:
    owner: dict[str, str] = {}
    for name, queue in config.queues.items():
        node = _at(sections, "queues", name, "address")
        for position, address in enumerate(queue.address):
            other = owner.setdefault(address.lower(), name)
            if node is None or other == name:
                continue
            place = node.list[position] if node.list is not None else node
            yield place.problem(
                f"'{address}' is the address of queue '{other}' already"
            )


def _listeners(config: Config, sections: Mapping[str, Node]) -> Iterator[Problem]:
    seen: dict[tuple[str, int], str] = {}
    for kind in ("smtp", "lmtp", "health"):
        listener = getattr(config.listen, kind)
        node = _at(sections, "listen", kind)
        if listener is None or node is None:
            continue
        place = _at(sections, "listen", kind, "address") or node
        if not is_loopback(listener.address):
            said = f"listen.{kind} is open to the network on {listener.address}"
            if "allow" not in (node.map or {}):
                hint = "say who may connect: 'allow: [10.0.0.0/8]'"
                yield place.problem(said, hint)
            elif not any(queue.address for queue in config.queues.values()):
                # A catch_all without them would take mail for the whole world.
                yield place.problem(
                    f"{said}, and no queue has an address to take mail for",
                    "write 'queues: {support: {address: support@example.com}}'",
                )
        bound = (listener.address, listener.port)
        if listener.port and bound in seen:
            yield (_at(sections, "listen", kind, "port") or node).problem(
                f"listen.{kind} has the port of listen.{seen[bound]}"
            )
        seen[bound] = kind


def _sending(config: Config, sections: Mapping[str, Node]) -> Iterator[Problem]:
    """A mail, and even more a password, does not cross a network in clear."""
    send, node = config.send, sections.get("send")
    if send is None or node is None:
        return
    if send.tls != "required" and not is_loopback(send.host):
        yield (_at(sections, "send", "tls") or node).problem(
            f"'send.tls: {send.tls}' is for a host on loopback, not for '{send.host}'",
            "write 'tls: required', or send to 127.0.0.1",
        )
    if send.username and send.tls != "required":
        yield (_at(sections, "send", "username") or node).problem(
            "a login needs 'tls: required'", "take 'username' away, or use TLS"
        )
    password = _at(sections, "send", "password")
    # A secret that could not be read is told of already.
    is_unread = (
        password is not None and password.style == "secret" and not send.password
    )
    if bool(send.username) != bool(send.password) and not is_unread:
        yield node.problem("'username' and 'password' come together in 'send'")
    yield from _certificates(config.root, _at(sections, "send", "ca_file"))
    if not send.hostname and not config.site_domain():
        yield node.problem(
            "'send' does not know in which domain it writes",
            "give a queue an address, or write 'hostname: tickets.example.com'",
        )


def _certificates(root: Path, node: Node | None) -> Iterator[Problem]:
    """Without them no mail comes or goes, and only what waits would say so."""
    if node is None or not node.value:
        return
    import ssl  # noqa: PLC0415 - a tenth of a command's start, for few sites

    path = root / str(node.value)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError:
        yield node.problem(f"there is no certificate in {path}", "it wants to be PEM")
    except OSError as error:
        yield node.problem(f"can't read {path}: {error.strerror}")


def _closed(config: Config, sections: Mapping[str, Node]) -> Iterator[Problem]:
    for name, queue in config.queues.items():
        node = _at(sections, "queues", name, "follow_up_within")
        if node is not None and queue.follow_up != "possible":
            yield node.problem(
                f"'follow_up_within' is of no use with 'follow_up: {queue.follow_up}'",
                "take one of them away",
            )


def _fetching(config: Config, sections: Mapping[str, Node]) -> Iterator[Problem]:
    """An account knows who it is, and tells it to nobody in clear."""
    for name, account in config.fetch.items():
        node = _at(sections, "fetch", name)
        if node is None:
            continue
        for key, text, suggestion in _of_account(account, config):
            place = _at(sections, "fetch", name, key) or node
            yield place.problem(text, suggestion)
        yield from _certificates(config.root, _at(sections, "fetch", name, "ca_file"))
        if not name.isprintable() or len(name) > _NAME_LENGTH:
            yield (
                sections["fetch"]
                .keys[name]
                .problem("an account's name has no control character")
            )


def _of_account(
    account: FetchAccount, config: Config
) -> Iterator[tuple[str, str, str]]:
    """Yield key, text and suggestion of each problem of one account."""
    if account.tls == "none" and not is_loopback(account.host):
        yield (
            "tls",
            f"'tls: none' is for a host on loopback, not for '{account.host}'",
            "write 'tls: required' (TLS from the first octet) or 'tls: starttls'",
        )
    tokens = bool(account.token) + bool(account.token_command)
    if account.auth == "xoauth2" and (tokens != 1 or account.password):
        yield (
            "auth",
            "'auth: xoauth2' wants either 'token_command' or 'token', and no password",
            "write 'token_command: [curl, …]'; see docs/howto/fetch.md",
        )
    if account.auth == "password" and (tokens or not account.password):
        yield (
            "password",
            "'auth: password' wants 'password', and no token",
            "write 'password: {$credential: NAME}', or 'auth: xoauth2'",
        )
    if account.protocol == "pop3" and account.move_to:
        yield "move_to", "POP3 knows no folders", "use 'protocol: imap'"
    if account.keep and account.move_to:
        yield "move_to", "what is kept is not moved", "take 'keep' or 'move_to' away"
    if account.move_to and account.move_to == account.folder:
        yield "move_to", "mails would be moved where they are", ""
    if account.queue and account.queue not in config.queues:
        yield (
            "queue",
            f"queue '{account.queue}' does not exist",
            did_you_mean(account.queue, config.queues),
        )


def _people(config: Config, sections: Mapping[str, Node]) -> Iterator[Problem]:
    node = _at(sections, "site", "admin")
    ours = {each.lower() for queue in config.queues.values() for each in queue.address}
    agents = _at(sections, "site", "agents")
    for address in config.site.agents if agents is not None else ():
        if agents is not None and address.lower() in ours:
            yield agents.problem(
                f"'{address}' is the address of a queue, not of an agent",
                "name the mailbox of a person",
            )
    if node is not None and config.site.admin.lower() in ours:
        yield node.problem(
            "'site.admin' is the address of a queue: such mails would make tickets",
            "name the mailbox of a person",
        )


def _packages(config: Config, sections: Mapping[str, Node]) -> Iterator[Problem]:
    node = _at(sections, "site", "check_senders")
    lacking = [name for name in ("dkim", "spf", "dns") if find_spec(name) is None]
    if node is not None and config.site.check_senders and lacking:
        yield node.problem(
            f"'site.check_senders' needs what is not installed: {', '.join(lacking)}",
            "try: pip install 'otrsd[auth]', or let your MTA check (site.authserv_id)",
        )


def _keys(config: Config, sections: Mapping[str, Node]) -> Iterator[Problem]:
    """Files of keys must be there, and so must the program that uses them."""
    crypto = config.crypto
    wanted = (
        ("smime_keys", crypto.smime_keys, "openssl"),
        ("smime_ca", (crypto.smime_ca,), "openssl"),
        ("pgp_home", (crypto.pgp_home,), "gpg"),
    )
    for key, names, program in wanted:
        node = _at(sections, "crypto", key)
        if node is None or not any(names):
            continue
        for name in names:
            if not (config.root / name).exists():
                yield node.problem(f"'crypto.{key}': there is no {config.root / name}")
        if which(program) is None:
            yield node.problem(
                f"'crypto.{key}' needs {program}, which is not installed",
                f"try: apt install {'gnupg' if program == 'gpg' else program}",
            )
