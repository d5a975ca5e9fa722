"""What ``otrsd pipe`` was asked: options, settings and the envelope.

In: arguments, environment, ``<state>/pipe.json``, the content's header section; out:
the envelope as JSON. Raises :class:`~otrsd.pipe.answer.Refusal`.
"""

from __future__ import annotations

import os
import time

from otrsd.pipe.answer import EX_NOUSER, EX_TEMPFAIL, Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MAX_RECIPIENTS = 1000
#: So much of a content is searched for header fields.
_HEADER_SECTION = 256 * 1024
_PLACES = ("otrsd.yaml", "/etc/otrsd/otrsd.yaml")
#: Options that take a value, with their names below.
_OPTIONS = {
    "-f": "sender",
    "--sender": "sender",
    "-c": "config",
    "--config": "config",
    "--profile": "profile",
}


class Request:
    """Arguments and settings together (a dataclass would cost 5 ms to import)."""

    def __init__(self) -> None:
        #: ``None``: not named by an option.
        self.sender: str | None = None
        self.config = ""
        self.profile = ""
        self.strict = False
        self.recipients: list[str] = []
        # From pipe.json, with what holds until it is read.
        self.drop = self.socket = ""
        self.max_size = 25 * 1024 * 1024
        self.max_received = 50
        self.min_free = 0
        self.accept: list[str] = []
        self.accept_any = False


def read_request(request: Request, arguments: list[str]) -> None:
    """Fill ``request`` from the arguments and from pipe.json."""
    _parse(request, arguments)
    path = _pipe_json(request.config)
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        raise Refusal(
            EX_TEMPFAIL,
            f"4.3.5 no {path}; run `otrsd check` there once, or name the"
            " configuration with -c",
        ) from None
    for name, value in _load(text).items():
        setattr(request, name, value)


def _parse(request: Request, arguments: list[str]) -> None:
    """Read the options; argparse alone would cost 1.27 times the bare start."""
    rest = iter(arguments)
    for argument in rest:
        name, equals, value = argument.partition("=")
        if argument == "--":
            request.recipients += rest
        elif argument == "--strict":
            request.strict = True
        elif name in _OPTIONS and (equals or (value := next(rest, "\0")) != "\0"):
            setattr(request, _OPTIONS[name], value)
        elif argument.startswith("-f") and len(argument) > len("-f"):
            request.sender = argument[len("-f") :]
        elif argument.startswith("-"):
            raise Refusal(
                EX_TEMPFAIL,
                f"4.3.5 otrsd pipe: what is {argument!r}? Known: -f SENDER, -c CONFIG,"
                " --profile NAME, --strict, -- RECIPIENT…",
            )
        else:
            request.recipients.append(argument)


def _pipe_json(config: str) -> str:
    state = os.environ.get("OTRSD_STATE")
    if state:
        return f"{state}/pipe.json"
    named = config or os.environ.get("OTRSD_CONFIG", "")
    if named:
        if os.path.isdir(named):
            return f"{named}/var/pipe.json"
        return os.path.join(os.path.dirname(named), "var", "pipe.json")
    for place in _PLACES:
        if os.path.exists(place):
            return os.path.join(os.path.dirname(place), "var", "pipe.json")
    raise Refusal(
        EX_TEMPFAIL, "4.3.5 no otrsd.yaml here or in /etc/otrsd; name it with -c"
    )


def _load(text: str) -> Any:
    """Read JSON with the C scanner inside the module json, which costs 6 ms itself."""
    try:
        from _json import make_scanner  # noqa: PLC0415 - only here
    except ImportError:
        import json  # noqa: PLC0415 - the slow way, where there is no other

        return json.loads(text)
    # The stub wants a class that json alone has; four attributes are enough.
    return make_scanner(_Scanning())(text.strip(), 0)[0]  # type: ignore[arg-type]


class _Scanning:
    strict = True
    object_hook = object_pairs_hook = None
    parse_float = parse_constant = float
    parse_int = int


def header_section(chunks: list[bytes]) -> list[bytes]:
    """Return the lines of the header section, as far as it is looked at."""
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= _HEADER_SECTION:
            break
    ends = [at for end in (b"\n\n", b"\n\r\n") if (at := head.find(end)) >= 0]
    return head[: min(ends, default=_HEADER_SECTION)].splitlines()


def envelope(request: Request, chunks: list[bytes]) -> str:
    """Return the envelope as JSON; refuse unknown recipients if that is asked for."""
    sender = request.sender
    if sender is None:
        sender = os.environ.get("SENDER")
    if sender is None:
        sender = _field(chunks, b"return-path:")
    tos = list(filter(None, map(_address, request.recipients)))
    tos = tos or _named_by_mta(request)
    tos = tos or list(filter(None, [_address(_field(chunks, b"delivered-to:"))]))
    if len(tos) > _MAX_RECIPIENTS:
        raise Refusal(EX_TEMPFAIL, f"4.5.3 more than {_MAX_RECIPIENTS} recipients")
    if tos and request.strict and not any(_is_known(to, request) for to in tos):
        raise Refusal(EX_NOUSER, f"5.1.1 <{tos[0]}> is no address of a queue here")
    seconds = time.time()  # noqa: TID251 - imports nothing of ours, so no Clock
    at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return (
        f'{{"mail_from": {_quote(_address(sender))},'
        f' "rcpt_tos": [{", ".join(map(_quote, tos))}],'
        f' "channel": "pipe", "peer": "uid:{os.getuid()}",'
        f' "received_at": "{at}.{int(seconds % 1 * 1e6):06d}+00:00",'
        f' "profile": {_quote(_clean(request.profile))}}}'
    )


def _named_by_mta(request: Request) -> list[str]:
    """Return the recipient that Postfix' local(8) or its like has named."""
    recipient = _address(os.environ.get("RECIPIENT", ""))
    extension = _clean(os.environ.get("EXTENSION", ""))
    local, at, domain = recipient.rpartition("@")
    if at and extension and not local.endswith(extension):
        recipient = f"{local}+{extension}@{domain}"
    # Behind an alias only the address before it is one of ours.
    original = _address(os.environ.get("ORIGINAL_RECIPIENT", ""))
    named = [address for address in (recipient, original) if address]
    known = [address for address in named if _is_known(address, request)]
    return (known or named)[:1]


def _is_known(address: str, request: Request) -> bool:
    local, at, domain = address.lower().partition("@")
    known = request.accept
    if not at:
        # A script may name a queue's address by its local part alone.
        known = [one.partition("@")[0] for one in known]
    names = (f"{local}{at}{domain}", f"{local.partition('+')[0]}{at}{domain}")
    return request.accept_any or any(name in known for name in names)


def _field(chunks: list[bytes], name: bytes) -> str:
    """Return the first header field called ``name``."""
    for line in header_section(chunks):
        if line[: len(name)].lower() == name:
            return line[len(name) :].decode("utf-8", "replace").strip()
    return ""


def _address(text: str) -> str:
    text = _clean(text).strip()
    return text[1:-1] if text[:1] == "<" and text[-1:] == ">" else text


def _clean(text: str) -> str:
    """Return ``text`` without octets that are no UTF-8 and without control ones."""
    if not text.isascii():
        text = os.fsencode(text).decode("utf-8", "replace")
    return "".join("?" if c < " " or c == "\x7f" else c for c in text)


def _quote(text: str) -> str:
    """Return ``text``, which `_clean` has seen, as a JSON string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
