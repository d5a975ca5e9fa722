"""Authentication-Results fields (RFC 8601) → :class:`~otrsd.model.auth.Auth`.

In: the fields that count as our own MTA's by their place, and its authserv-ids; the
caller knows both. Out: what they say. Values are read raw: an encoded word in one is
a sender's trick. Comments and quoted strings hold what the sender likes, so nothing
in them is a result; only the policy is read from a comment of the DMARC result, as
most MTAs write it there. A method that is reported twice where it can stand only once
is believed nowhere. Never raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from otrsd.model.auth import METHODS, Auth, Said, said
from otrsd.model.mail import HeaderField

#: The field's name in lower case.
FIELD = "authentication-results"
#: Characters of one field that are read.
_LONGEST = 64 * 1024
#: Fields that are read; a mail can't ask for more work.
_MOST = 20
_MARK = re.compile(r'"(?:[^"\\]|\\.)*"?|\\.|[();]|[^"();\\]+|\\', re.DOTALL)
#: In a comment a quote is a character like any other (RFC 5322 §3.2.2).
_ASIDE = re.compile(r"\\.|[()]|[^()\\]+|\\", re.DOTALL)
_RESULT = re.compile(
    r"\s*([a-z]+)\s*(?:/\s*\d+\s*)?=\s*([a-z]+)\b(.*)", re.IGNORECASE | re.DOTALL
)
_PROPERTY = re.compile(r"\b([a-z]+)\s*\.\s*([a-z-]+)\s*=\s*([^\s;]+)", re.IGNORECASE)
_POLICY = re.compile(r"\b(?:p|policy)\s*=\s*(none|quarantine|reject)\b", re.IGNORECASE)
#: What a quoted string may not pretend to be.
_SPECIALS = re.compile(r"[^\w.@-]")


@dataclass(slots=True)
class _Result:
    """One method's result in one field."""

    method: str
    word: Said
    properties: dict[str, str]
    policy: str = ""
    #: Which of the fields it stands in.
    n: int = 0


@dataclass(slots=True)
class _Gathered:
    by: str = ""
    results: list[_Result] = field(default_factory=list)


def read_results(
    headers: Iterable[HeaderField], ids: Iterable[str], author_domain: str = ""
) -> Auth:
    """Return what the fields of the MTAs called ``ids`` say.

    ``author_domain``: the domain of From, for a DMARC result that names none.
    """
    ours = {each.lower() for each in ids}
    gathered = _Gathered()
    mine = (h for h in headers if h.name.lower() == FIELD)
    for n, header in zip(range(_MOST), mine, strict=False):
        server, *results = _pieces(header.value[:_LONGEST])
        words = server[0].split()
        if not words or words[0].lower() not in ours:
            continue
        gathered.by = gathered.by or words[0].lower()
        gathered.results += [
            r for text, aside in results for r in _read(text, aside, n)
        ]
    return _auth(gathered, author_domain)


def _pieces(value: str) -> Iterator[tuple[str, str]]:
    """Split at semicolons; give each piece, and what its comments say."""
    text, aside, depth, at = "", "", 0, 0
    while found := (_ASIDE if depth else _MARK).match(value, at):
        mark, at = found[0], found.end()
        if mark == "(":
            depth += 1
        elif mark == ")":
            depth = max(0, depth - 1)
            text += "" if depth else " "
        elif depth:
            aside += mark
        elif mark == ";":
            yield text, aside
            text = aside = ""
        elif mark[0] == '"':
            text += _SPECIALS.sub("_", mark.strip('"'))
        else:
            text += mark
    yield text, aside


def _read(text: str, aside: str, n: int) -> Iterator[_Result]:
    found = _RESULT.match(text)
    if found is None or found[1].lower() not in METHODS:
        return
    properties: dict[str, str] = {}
    for kind, name, value in _PROPERTY.findall(found[3]):
        properties.setdefault(f"{kind}.{name}".lower(), value.lower())
    policy = properties.get("policy.dmarc") or properties.get("polrec.p", "")
    written = _POLICY.search(aside) or _POLICY.fullmatch(f"p={policy}")
    yield _Result(
        method=found[1].lower(),
        word=said(found[2]),
        properties=properties,
        policy=written[1].lower() if written else "",
        n=n,
    )


def _auth(gathered: _Gathered, author_domain: str) -> Auth:
    if not gathered.by:
        return Auth()
    notes: list[str] = []
    kept: dict[str, list[_Result]] = {}
    for method in METHODS:
        found = [r for r in gathered.results if r.method == method]
        # One field may tell of several signatures; all else stands once.
        many = len({r.n for r in found}) if method == "dkim" else len(found)
        if many > 1:
            notes.append(f"{gathered.by} reports {method} twice: not believed")
            found = []
        kept[method] = found
    passed = [r for r in kept["dkim"] if r.word is Said.PASS]
    dmarc = kept["dmarc"][0] if kept["dmarc"] else None
    about = _domain(dmarc, "header.from") if dmarc else ""
    return Auth(
        by=gathered.by,
        dkim=Said.PASS if passed else _word(kept["dkim"]),
        spf=_word(kept["spf"]),
        dmarc=_word(kept["dmarc"]),
        arc=_word(kept["arc"]),
        signers=tuple(
            dict.fromkeys(
                domain
                for r in passed
                if (domain := _domain(r, "header.d") or _domain(r, "header.i"))
            )
        ),
        spf_domain=next(
            (
                domain
                for r in kept["spf"]
                for name in ("smtp.mailfrom", "smtp.helo")
                if (domain := _domain(r, name))
            ),
            "",
        ),
        domain=(about or author_domain.lower()) if dmarc else "",
        policy=dmarc.policy if dmarc else "",
        notes=tuple(notes),
    )


def _word(results: list[_Result]) -> Said:
    return results[0].word if results else Said.NONE


def _domain(result: _Result, name: str) -> str:
    return result.properties.get(name, "").rpartition("@")[2].strip("<>.")
