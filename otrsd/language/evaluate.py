"""What a condition means: trees run on a mail.

A tree is compiled once to plain functions; a :class:`View` holds one mail's fields,
each read and folded at most once. This evaluator *is* the meaning of the language:
translations to SQL or to an index are right where they agree with it.

Address fields: every test looks at the address alone, as names are free text that
anybody can write; only ``contains`` looks at the name too. ``from`` is
``Mail.author``, so a doubtful From field has no address at all.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping

from otrsd.language.regex import Pattern, glob
from otrsd.language.tree import And, Not, Op, Test, Tree
from otrsd.mime.htmltext import html_to_text
from otrsd.mime.quotes import reply_text
from otrsd.model.envelope import Envelope
from otrsd.model.mail import Address, Mail, is_control

#: A plugin's field: the mail → a value, several, or none.
MatchField = Callable[[Mail], object]
#: Holds or not; named groups of a match are put into the map.
Check = Callable[["View", dict[str, str]], bool]


def fold(text: str) -> str:
    """Return the form in which texts are compared."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", text).casefold()


class View:
    """One mail as conditions see it; a field is read when it is first asked for."""

    def __init__(
        self,
        mail: Mail,
        envelope: Envelope,
        match_fields: Mapping[str, MatchField] | None = None,
    ) -> None:
        self._mail = mail
        self._envelope = envelope
        self._match_fields = match_fields or {}
        self._texts: dict[str, tuple[str, ...]] = {}
        self._folded: dict[str, tuple[str, ...]] = {}
        self._octets: dict[str, tuple[bytes, ...]] = {}
        self._headers: dict[str, list[str]] | None = None

    def texts(self, name: str) -> tuple[str, ...]:
        """Return the values of a field as they are."""
        found = self._texts.get(name)
        if found is None:
            found = self._texts[name] = self._read(name)
        return found

    def folded(self, name: str) -> tuple[str, ...]:
        """Return the values of a field, folded."""
        found = self._folded.get(name)
        if found is None:
            found = self._folded[name] = tuple(map(fold, self.texts(name)))
        return found

    def octets(self, name: str) -> tuple[bytes, ...]:
        """Return the values of a field as UTF-8."""
        found = self._octets.get(name)
        if found is None:
            found = tuple(t.encode(errors="replace") for t in self.texts(name))
            self._octets[name] = found
        return found

    def _read(self, name: str) -> tuple[str, ...]:
        reader = _READERS.get(name)
        if reader is not None:
            return reader(self._mail, self._envelope)
        if name.startswith("header."):
            return tuple(self._header_map().get(name.removeprefix("header."), ()))
        if name in self._match_fields:
            return _as_texts(self._match_fields[name](self._mail))
        return ()

    def _header_map(self) -> dict[str, list[str]]:
        if self._headers is None:
            self._headers = {}
            for header in self._mail.headers:
                if is_control(header.name) and not self._envelope.trusted:
                    continue
                self._headers.setdefault(header.name.lower(), []).append(header.value)
        return self._headers


def _addresses(*mailboxes: Address | None) -> tuple[str, ...]:
    return tuple(mailbox.address for mailbox in mailboxes if mailbox is not None)


def _shown(mailboxes: Iterable[Address]) -> tuple[str, ...]:
    return tuple(f"{m.name} <{m.address}>" for m in mailboxes)


def _has(mail: Mail) -> tuple[str, ...]:
    there = (
        ("attachment", any(part.is_attachment for part in mail.parts)),
        ("encryption", bool(mail.seal.encrypted)),
        ("signature", mail.seal.signed == "valid"),
    )
    return tuple(name for name, is_there in there if is_there)


def _bodies(mail: Mail) -> tuple[str, ...]:
    """Return what a reader may see: the text and, where it differs, the HTML's."""
    # Programs disagree which alternative to show (CWE-436), so rules ask both.
    shown = html_to_text(mail.html) if mail.html else mail.text
    return (mail.text,) if shown == mail.text else (mail.text, shown)


#: Field → its values. ``shown.X`` is what ``contains`` sees of an address field.
_READERS: Mapping[str, Callable[[Mail, Envelope], tuple[str, ...]]] = {
    "from": lambda mail, _: _addresses(mail.author),
    "to": lambda mail, _: _addresses(*mail.to),
    "cc": lambda mail, _: _addresses(*mail.cc),
    "shown.from": lambda mail, _: (mail.from_text,) if mail.from_text else (),
    "shown.to": lambda mail, _: _shown(mail.to),
    "shown.cc": lambda mail, _: _shown(mail.cc),
    "subject": lambda mail, _: (mail.subject,),
    "body": lambda mail, _: _bodies(mail),
    "new_text": lambda mail, _: tuple(map(reply_text, _bodies(mail))),
    "envelope.from": lambda _, envelope: (
        "" if envelope.is_from_null else envelope.mail_from,
    ),
    "envelope.to": lambda _, envelope: envelope.rcpt_tos,
    "has": lambda mail, _: _has(mail),
    "auth.dkim": lambda mail, _: (mail.auth.dkim,),
    "auth.spf": lambda mail, _: (mail.auth.spf,),
    "auth.dmarc": lambda mail, _: (mail.auth.dmarc,),
    "auth.arc": lambda mail, _: (mail.auth.arc,),
    "kind": lambda mail, _: (mail.kind,),
}


def _as_texts(value: object) -> tuple[str, ...]:
    """Return a plugin's answer as texts; ``None`` and ``False`` are absence."""
    if value is None or value is False:
        return ()
    if isinstance(value, str):
        return (value,)
    if isinstance(value, Iterable):
        return tuple(str(item) for item in value)
    return ("true",) if value is True else (str(value),)


def compile_tree(tree: Tree) -> Check:
    """Return ``tree`` as a function."""
    if isinstance(tree, Test):
        return _TESTS[tree.op](tree)
    if isinstance(tree, Not):
        return _not(compile_tree(tree.part))
    parts = tuple(compile_tree(part) for part in tree.parts)
    return _and(parts) if isinstance(tree, And) else _or(parts)


def _and(parts: tuple[Check, ...]) -> Check:
    def holds(view: View, groups: dict[str, str]) -> bool:
        for part in parts:  # noqa: SIM110 - a generator costs twice as much
            if not part(view, groups):
                return False
        return True

    return holds


def _or(parts: tuple[Check, ...]) -> Check:
    def holds(view: View, groups: dict[str, str]) -> bool:
        for part in parts:  # noqa: SIM110 - a generator costs twice as much
            if part(view, groups):
                return True
        return False

    return holds


def _not(part: Check) -> Check:
    # Groups of what must not match are nobody's business.
    return lambda view, _groups: not part(view, {})


def _folded_test(
    test: Test, compare: Callable[[str, str], bool], name: str = ""
) -> Check:
    field, value = name or test.field, fold(str(test.value))

    def holds(view: View, _groups: dict[str, str]) -> bool:
        for text in view.folded(field):  # noqa: SIM110 - see _and
            if compare(text, value):
                return True
        return False

    return holds


def _contains(test: Test) -> Check:
    shown = f"shown.{test.field}"
    return _folded_test(
        test, lambda text, value: value in text, shown if shown in _READERS else ""
    )


def _equals(test: Test) -> Check:
    return _folded_test(test, lambda text, value: text == value)


def _domain(test: Test) -> Check:
    return _folded_test(test, lambda text, value: text.rpartition("@")[2] == value)


def _domain_tree(test: Test) -> Check:
    def within(text: str, value: str) -> bool:
        domain = text.rpartition("@")[2]
        return domain == value or domain.endswith("." + value)

    return _folded_test(test, within)


def _glob(test: Test) -> Check:
    pattern = Pattern(glob(fold(str(test.value))))
    return _folded_test(
        test, lambda text, _: pattern.search(text.encode(errors="replace")) is not None
    )


def _regex(test: Test) -> Check:
    pattern, field = Pattern(str(test.value)), test.field

    def holds(view: View, groups: dict[str, str]) -> bool:
        for octets in view.octets(field):
            found = pattern.search(octets)
            if found is not None:
                for name, value in found.items():
                    groups.setdefault(name, value)
                return True
        return False

    return holds


def _present(test: Test) -> Check:
    return lambda view, _groups: bool(view.texts(test.field))


def _unknown(test: Test) -> Check:
    raise ValueError(f"'{test.op}' can't be asked of a mail")


#: How each op is asked of a mail.
_TESTS: Mapping[Op, Callable[[Test], Check]] = {
    **dict.fromkeys(Op, _unknown),
    Op.CONTAINS: _contains,
    Op.EQUALS: _equals,
    Op.STARTS: lambda test: _folded_test(test, str.startswith),
    Op.ENDS: lambda test: _folded_test(test, str.endswith),
    Op.GLOB: _glob,
    Op.REGEX: _regex,
    Op.ADDRESS: _equals,
    Op.DOMAIN: _domain,
    Op.DOMAIN_TREE: _domain_tree,
    Op.PRESENT: _present,
}
