"""Verify and decrypt S/MIME by ``openssl cms``, PGP by ``gpg``: killable, bounded.

Outside the transaction, before plugins and rules see the mail: they, the article and
the index get the decrypted text, the stored octets stay as they came
(docs/decisions/0016-sealed-mail.md). Whatever fails leaves the mail as it is, with the
reason on the article.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from time import monotonic

from otrsd.mime.parse import parse
from otrsd.mime.sealed import PARTLY, Sealed, Way, find_armour, find_seal
from otrsd.model.mail import Mail
from otrsd.model.seal import Seal
from otrsd.postmaster.bounded import Ran, run

#: Seconds for everything that is done to one mail.
SECONDS = 12.0
#: Layers: encrypted, and signed inside.
_LAYERS = 2
_ADDRESS = re.compile(r"[^\s<>]+@[^\s<>]+")
#: Nothing but the keyring counts, and nothing is fetched.
_GPG = (
    *("gpg", "--batch", "--no-tty", "--quiet", "--status-fd", "2"),
    *("--no-auto-key-locate", "--no-auto-key-retrieve", "--disable-dirmngr"),
    *("--trust-model", "always", "--homedir"),
)
#: gpg's word → why a signature is not valid.
_BAD = {
    "BADSIG": "the text was changed",
    "EXPKEYSIG": "the key has expired",
    "EXPSIG": "the signature has expired",
    "REVKEYSIG": "the key was revoked",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Where the keys are; empty: none of that kind."""

    #: PEM files, each with a private key and its certificate.
    smime_keys: tuple[str, ...] = ()
    #: PEM of the authorities whose certificates count.
    smime_ca: str = ""
    #: GnuPG's home: everybody in its keyring is known.
    pgp_home: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    seal: Seal
    #: What was inside; ``None``: nothing to look at.
    inside: bytes | None = None


class Unsealer:
    """Opens mails with a site's keys."""

    def __init__(self, keys: Keys = Keys()) -> None:
        self._keys = keys

    def unseal(self, mail: Mail, content: bytes) -> Mail:
        """Return the mail with its seal, and with the text that was inside."""
        sealed = find_seal(mail, content)
        if sealed is None:
            return mail
        until = monotonic() + SECONDS
        opened = self._open(sealed, until)
        seal, inner = opened.seal, None
        if opened.inside is not None:
            inner = parse(opened.inside)
            under = find_seal(inner, opened.inside)
            if under is not None and not seal.signed:
                # Signed first, then encrypted: one layer more.
                below = self._open(under, until)
                seal = _joined(seal, below.seal)
                inner = parse(below.inside) if below.inside is not None else inner
        if inner is None:
            return replace(mail, seal=seal)
        names = [part.filename for part in inner.parts if part.filename]
        if names and not seal.reason:
            seal = replace(seal, reason=f"inside: {', '.join(names)}"[:500])
        if sealed.is_alone:
            return replace(mail, text=inner.text, html=inner.html, seal=seal)
        # What stands around the armour stays, and nobody has signed that.
        if seal.signed:
            seal = replace(seal, signed="invalid", by=(), reason=PARTLY)
        return replace(mail, text=_around(mail.text, inner.text), html="", seal=seal)

    def _open(self, sealed: Sealed, until: float) -> _Opened:
        kind = "S/MIME" if sealed.way.startswith("smime") else "PGP"
        untouched = Seal(
            kind=kind,
            signed="" if sealed.is_encrypted else "unchecked",
            encrypted="closed" if sealed.is_encrypted else "",
        )
        if sealed.defect:
            signed = "invalid" if untouched.signed else ""
            return _Opened(seal=replace(untouched, signed=signed, reason=sealed.defect))
        return _WAYS[sealed.way](self, sealed, untouched, until)

    def _smime_detached(self, sealed: Sealed, seal: Seal, until: float) -> _Opened:
        if not self._keys.smime_ca:
            return _Opened(seal=replace(seal, reason="crypto.smime_ca is not set"))
        with tempfile.NamedTemporaryFile() as covered:
            covered.write(sealed.covered)
            covered.flush()
            command = ["-binary", "-content", covered.name]
            return _Opened(seal=self._verified(sealed.data, command, seal, until)[0])

    def _smime_opaque(self, sealed: Sealed, seal: Seal, until: float) -> _Opened:
        """Open an envelope; what is not encrypted is signed."""
        shown = _openssl("cms -cmsout -print -noout -inform DER", sealed.data, until)
        if "pkcs7-signedData" in shown.out[:300].decode("ascii", "replace"):
            seal = Seal(kind="S/MIME", signed="unchecked")
            if self._keys.smime_ca:
                verified, ran = self._verified(sealed.data, [], seal, until)
                if verified.signed == "valid":
                    return _Opened(seal=verified, inside=ran.out)
                seal = verified
            else:
                seal = replace(seal, reason="crypto.smime_ca is not set")
            # A signature that can't be believed hides no text.
            bare = "cms -verify -noverify -nosigs -inform DER"
            ran = _openssl(bare, sealed.data, until)
            return _Opened(seal=seal, inside=None if ran.code else ran.out)
        reason = "crypto.smime_keys is not set"
        for key in self._keys.smime_keys:
            command = f"cms -decrypt -inform DER -recip\n{key}\n-inkey\n{key}"
            ran = _openssl(command, sealed.data, until)
            if ran.code == 0:
                opened = replace(seal, signed="", encrypted="opened")
                return _Opened(seal=opened, inside=ran.out)
            reason = f"none of the keys opens it ({_last(ran.said)})"
        return _Opened(seal=replace(seal, reason=reason))

    def _verified(
        self, data: bytes, command: list[str], seal: Seal, until: float
    ) -> tuple[Seal, Ran]:
        with tempfile.TemporaryDirectory() as folder:
            signer = f"{folder}/signer.pem"
            line = "cms -verify -inform DER -no-CApath -no-CAstore -CAfile"
            words = [*line.split(), self._keys.smime_ca, "-signer", signer, *command]
            ran = _openssl("\n".join(words), data, until)
            if ran.code:
                reason = _last(ran.said)
                return replace(seal, signed="invalid", reason=reason), ran
            named = _openssl(f"x509 -noout -email -in\n{signer}", b"", until)
        by = tuple(dict.fromkeys(named.out.decode("utf-8", "replace").lower().split()))
        return replace(seal, signed="valid", by=by), ran

    def _pgp_detached(self, sealed: Sealed, seal: Seal, until: float) -> _Opened:
        with tempfile.NamedTemporaryFile() as signature:
            signature.write(sealed.data)
            signature.flush()
            ran = self._gpg(["--verify", signature.name, "-"], sealed.covered, until)
        return _Opened(seal=self._judged(ran, seal))

    def _pgp_clearsigned(self, sealed: Sealed, seal: Seal, until: float) -> _Opened:
        ran = self._gpg(["--verify"], sealed.data, until)
        return _Opened(seal=self._judged(ran, seal))

    def _pgp_encrypted(self, sealed: Sealed, seal: Seal, until: float) -> _Opened:
        ran = self._gpg(["--decrypt"], sealed.data, until)
        words = _status(ran.said)
        if "DECRYPTION_OKAY" not in words or "DECRYPTION_FAILED" in words:
            reason = "no key opens it" if "NO_SECKEY" in words else _last(ran.said)
            return _Opened(seal=replace(seal, reason=reason))
        opened = replace(seal, encrypted="opened")
        if {"GOODSIG", "ERRSIG", *_BAD} & set(words):
            opened = self._judged(ran, opened)
        head = b"Content-Type: text/plain; charset=utf-8\n\n"
        inside = head + ran.out if sealed.is_inline else ran.out
        return _Opened(seal=opened, inside=inside)

    def _gpg(self, command: list[str], data: bytes, until: float) -> Ran:
        if not self._keys.pgp_home:
            return Ran(code=-1, said="crypto.pgp_home is not set")
        words = [*_GPG, self._keys.pgp_home, *command]
        return run(words, data, max(0.1, until - monotonic()))

    def _judged(self, ran: Ran, seal: Seal) -> Seal:
        """Read what gpg says of a signature."""
        words = _status(ran.said)
        bad = next((why for word, why in _BAD.items() if word in words), "")
        if bad:
            return replace(seal, signed="invalid", reason=bad)
        if "GOODSIG" in words and "VALIDSIG" in words:
            by = _ADDRESS.findall(words["GOODSIG"].lower())[-1:]
            return replace(seal, signed="valid", by=tuple(by))
        reason = _last(ran.said)
        if "NO_PUBKEY" in words or "ERRSIG" in words:
            reason = "the signer's key is not in the keyring"
        return replace(seal, signed="unchecked", reason=reason)


_WAYS: Mapping[Way, Callable[[Unsealer, Sealed, Seal, float], _Opened]] = {
    Way.SMIME_DETACHED: Unsealer._smime_detached,  # noqa: SLF001 - its own table
    Way.SMIME_OPAQUE: Unsealer._smime_opaque,  # noqa: SLF001
    Way.PGP_DETACHED: Unsealer._pgp_detached,  # noqa: SLF001
    Way.PGP_CLEARSIGNED: Unsealer._pgp_clearsigned,  # noqa: SLF001
    Way.PGP_ENCRYPTED: Unsealer._pgp_encrypted,  # noqa: SLF001
}


def _around(text: str, inside: str) -> str:
    """Return a text with what was inside its armour."""
    armour = find_armour(text)
    if armour is None:
        return f"{text}\n\n{inside}"
    return f"{text[: armour.start]}{inside}{text[armour.end :]}"


def _joined(outer: Seal, inner: Seal) -> Seal:
    return replace(
        outer, signed=inner.signed, by=inner.by, reason=inner.reason or outer.reason
    )


def _openssl(command: str, data: bytes, until: float) -> Ran:
    """Run openssl; a line break in ``command`` sets a path apart."""
    first, *paths = command.split("\n")
    words = ["openssl", *first.split(), *paths]
    return run(words, data, max(0.1, until - monotonic()))


def _status(said: str) -> dict[str, str]:
    """Read gpg's status lines; the first of a kind counts."""
    found: dict[str, str] = {}
    for line in said.splitlines():
        if line.startswith("[GNUPG:] "):
            word, _, rest = line.removeprefix("[GNUPG:] ").partition(" ")
            found.setdefault(word, rest)
    return found


def _last(said: str) -> str:
    """Return the program's last words that are for people."""
    lines = [x for x in said.splitlines() if x.strip() and "[GNUPG:]" not in x]
    return lines[-1].strip()[:200] if lines else "it does not say why"
