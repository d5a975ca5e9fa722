"""S/MIME and PGP with real keys, made here (M13)."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from otrsd.mime.parse import parse
from otrsd.mime.sealed import PARTLY
from otrsd.model.mail import Mail
from otrsd.postmaster import bounded
from otrsd.postmaster.unseal import Keys, Unsealer
from tests.conftest import missing

KIM = "kim@customer.example"
PART = b"Content-Type: text/plain; charset=utf-8\r\n\r\nThe password is Zahnrad.\r\n"
HEAD = b"From: Kim <kim@customer.example>\r\nSubject: x\r\nMIME-Version: 1.0\r\n"


@dataclass
class Person:
    key: rsa.RSAPrivateKey
    certificate: x509.Certificate

    def pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ) + self.certificate.public_bytes(serialization.Encoding.PEM)


def person(address: str, authority: Person | None = None) -> Person:
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, address)])
    basic = x509.BasicConstraints(ca=authority is None, path_length=None)
    issuer = authority.certificate.subject if authority else name
    now = datetime.now(UTC)  # noqa: TID251 - openssl looks at the real clock
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(basic, critical=True)
    )
    if authority is not None:
        names = x509.SubjectAlternativeName([x509.RFC822Name(address)])
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        made = made.add_extension(names, critical=False)
        made = made.add_extension(usage, critical=False)
    signer = authority.key if authority else key
    return Person(key, made.sign(signer, hashes.SHA256()))


@dataclass
class Ring:
    """An authority, a customer, us."""

    folder: Path
    authority: Person
    kim: Person
    us: Person

    def unsealer(self, *, ca: bool = True, keys: bool = True) -> Unsealer:
        made = Keys(
            smime_keys=(str(self.folder / "us.pem"),) if keys else (),
            smime_ca=str(self.folder / "ca.pem") if ca else "",
        )
        return Unsealer(made)


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Ring:
    if shutil.which("openssl") is None:
        missing("no openssl")
    folder = tmp_path_factory.mktemp("key ring")
    authority = person("CA")
    made = Ring(folder, authority, person(KIM, authority), person("us@x", authority))
    (folder / "us.pem").write_bytes(made.us.pem())
    authority_pem = authority.certificate.public_bytes(serialization.Encoding.PEM)
    (folder / "ca.pem").write_bytes(authority_pem)
    return made


def signed(who: Person, part: bytes = PART, *options: pkcs7.PKCS7Options) -> bytes:
    """A mail that ``who`` has signed; detached unless ``options`` say otherwise."""
    made = pkcs7.PKCS7SignatureBuilder().set_data(part)
    made = made.add_signer(who.certificate, who.key, hashes.SHA256())
    options = (pkcs7.PKCS7Options.Binary, *options)
    return made.sign(serialization.Encoding.DER, options)


def detached(who: Person, part: bytes = PART, shown: bytes = b"") -> bytes:
    der = signed(who, part, pkcs7.PKCS7Options.DetachedSignature)
    kind = b'multipart/signed; protocol="application/pkcs7-signature"; boundary=b'
    return (
        HEAD
        + b"Content-Type: "
        + kind
        + b"\r\n\r\n--b\r\n"
        + (shown or part)
        + b"\r\n--b\r\n"
        + encoded(b"application/pkcs7-signature", der)
        + b"\r\n--b--\r\n"
    )


def encoded(kind: bytes, octets: bytes) -> bytes:
    import base64

    lines = base64.encodebytes(octets).replace(b"\n", b"\r\n")
    return b"Content-Type: %s\r\nContent-Transfer-Encoding: base64\r\n\r\n%s" % (
        kind,
        lines,
    )


def enveloped(who: Person, inside: bytes = PART) -> bytes:
    made = pkcs7.PKCS7EnvelopeBuilder().set_data(inside)
    made = made.add_recipient(who.certificate)
    der = made.encrypt(serialization.Encoding.DER, [pkcs7.PKCS7Options.Binary])
    kind = b"application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m"
    return HEAD + encoded(kind, der)


def opened(unsealer: Unsealer, content: bytes) -> Mail:
    return unsealer.unseal(parse(content), content)


def test_m13_a_signature_of_a_known_authority_proves_its_address(ring: Ring):
    seal = opened(ring.unsealer(), detached(ring.kim)).seal
    assert (seal.kind, seal.signed, seal.by) == ("S/MIME", "valid", (KIM,))
    assert seal.proves("Kim@customer.example")
    assert not seal.proves("ceo@customer.example")


def test_m13_line_ends_of_a_pipe_do_not_matter(ring: Ring):
    content = detached(ring.kim).replace(b"\r\n", b"\n")
    assert opened(ring.unsealer(), content).seal.signed == "valid"


def test_m13_a_changed_text_is_invalid(ring: Ring):
    content = detached(ring.kim).replace(b"Zahnrad", b"Zahnarzt")
    seal = opened(ring.unsealer(), content).seal
    assert (seal.signed, seal.by) == ("invalid", ())


def test_m13_a_signer_of_nobody_we_know_is_invalid(ring: Ring):
    stranger = person(KIM, person("another CA"))
    assert opened(ring.unsealer(), detached(stranger)).seal.signed == "invalid"


def test_m13_a_third_part_beside_the_signed_one_is_not_signed(ring: Ring):
    content = detached(ring.kim)
    more = b"--b\r\nContent-Type: text/plain\r\n\r\nPay here.\r\n--b--"
    seal = opened(ring.unsealer(), content.replace(b"--b--", more)).seal
    assert seal.signed == "invalid"
    assert "two parts" in seal.reason


def test_m13_without_keys_it_is_shown_as_what_it_is(ring: Ring):
    seal = opened(Unsealer(), detached(ring.kim)).seal
    assert (seal.signed, seal.reason) == ("unchecked", "crypto.smime_ca is not set")
    seal = opened(Unsealer(), enveloped(ring.us)).seal
    assert (seal.encrypted, seal.reason) == ("closed", "crypto.smime_keys is not set")


def test_m13_an_encrypted_mail_gives_its_text(ring: Ring):
    mail = opened(ring.unsealer(), enveloped(ring.us))
    assert mail.seal.encrypted == "opened"
    assert mail.text.strip() == "The password is Zahnrad."


def test_m13_what_is_for_somebody_else_stays_closed(ring: Ring):
    mail = opened(ring.unsealer(), enveloped(ring.kim))
    assert mail.seal.encrypted == "closed"
    assert "none of the keys" in mail.seal.reason


def test_m13_signed_and_then_encrypted_is_both(ring: Ring):
    inside = detached(ring.kim).removeprefix(HEAD)
    mail = opened(ring.unsealer(), enveloped(ring.us, inside))
    assert (mail.seal.encrypted, mail.seal.signed) == ("opened", "valid")
    assert mail.seal.proves(KIM)
    assert mail.text.strip() == "The password is Zahnrad."


@pytest.mark.parametrize(("ca", "said"), [(True, "valid"), (False, "unchecked")])
def test_m13_an_opaque_signature_hides_no_text(ring: Ring, said: str, *, ca: bool):
    kind = b"application/pkcs7-mime; smime-type=signed-data"
    mail = opened(ring.unsealer(ca=ca), HEAD + encoded(kind, signed(ring.kim)))
    assert (mail.seal.signed, mail.seal.encrypted) == (said, "")
    assert mail.text.strip() == "The password is Zahnrad."


@pytest.mark.parametrize("junk", [b"", b"\x30\x80" * 5000, b"\x30\x84\xff\xff\xff\xff"])
def test_m_junk_in_an_envelope_is_a_reason_and_no_more(ring: Ring, junk: bytes):
    mail = opened(ring.unsealer(), HEAD + encoded(b"application/pkcs7-mime", junk))
    assert mail.seal.encrypted == "closed"
    assert mail.seal.reason


@pytest.fixture(scope="module")
def gnupg() -> Iterator[str]:
    """A keyring with the secret keys of Kim and us; it knows nobody else."""
    if shutil.which("gpg") is None:
        missing("no gpg")
    with tempfile.TemporaryDirectory() as home:
        for address in (KIM, "us@example.com"):
            words = ["--quick-generate-key", f"P <{address}>", "future-default"]
            gpg(home, "--passphrase", "", *words)
        yield home
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)


def gpg(home: str, *words: str, data: bytes = b"") -> bytes:
    command = [
        "gpg",
        "--homedir",
        home,
        "--batch",
        "--quiet",
        "--trust-model",
        "always",
    ]
    return subprocess.run(
        [*command, "--pinentry-mode", "loopback", *words],
        input=data,
        capture_output=True,
        check=True,
    ).stdout


def armoured(home: str, *words: str, data: bytes = PART) -> bytes:
    sender = ["--local-user", KIM, "--recipient", "us@example.com"]
    return gpg(home, "--armor", *sender, *words, data=data)


def pgp_signed(home: str, part: bytes = PART, shown: bytes = b"") -> bytes:
    signature = armoured(home, "--detach-sign", data=part)
    kind = b'multipart/signed; protocol="application/pgp-signature"; boundary=b'
    return (
        HEAD
        + b"Content-Type: "
        + kind
        + b"\r\n\r\n--b\r\n"
        + (shown or part)
        + b"\r\n--b\r\nContent-Type: application/pgp-signature\r\n\r\n"
        + signature
        + b"\r\n--b--\r\n"
    )


def pgp_encrypted(data: bytes) -> bytes:
    kind = b'multipart/encrypted; protocol="application/pgp-encrypted"; boundary=b'
    return (
        HEAD
        + b"Content-Type: "
        + kind
        + b"\r\n\r\n--b\r\nContent-Type: application/pgp-encrypted\r\n\r\n"
        + b"Version: 1\r\n"
        + b"\r\n--b\r\nContent-Type: application/octet-stream\r\n\r\n"
        + data
        + b"\r\n--b--\r\n"
    )


def inline(text: bytes) -> bytes:
    return HEAD + b"Content-Type: text/plain\r\n\r\n" + text


def test_m13_pgp_a_signature_of_a_key_we_have_proves_its_address(gnupg: str):
    seal = opened(Unsealer(Keys(pgp_home=gnupg)), pgp_signed(gnupg)).seal
    assert (seal.kind, seal.signed, seal.by) == ("PGP", "valid", (KIM,))


def test_m13_pgp_a_changed_text_is_invalid(gnupg: str):
    content = pgp_signed(gnupg, shown=PART.replace(b"Zahnrad", b"Zahnarzt"))
    seal = opened(Unsealer(Keys(pgp_home=gnupg)), content).seal
    assert (seal.signed, seal.reason) == ("invalid", "the text was changed")


def test_m13_pgp_a_key_we_do_not_have_is_not_checked(gnupg: str, tmp_path: Path):
    (tmp_path / "empty").mkdir(mode=0o700)
    keys = Keys(pgp_home=str(tmp_path / "empty"))
    seal = opened(Unsealer(keys), pgp_signed(gnupg)).seal
    assert (seal.signed, seal.by) == ("unchecked", ())
    assert "not in the keyring" in seal.reason


@pytest.mark.parametrize(("words", "said"), [(("--sign",), "valid"), ((), "")])
def test_m13_pgp_an_encrypted_mail_gives_its_text(
    gnupg: str, words: tuple[str, ...], said: str
):
    content = pgp_encrypted(armoured(gnupg, *words, "--encrypt"))
    mail = opened(Unsealer(Keys(pgp_home=gnupg)), content)
    assert (mail.seal.encrypted, mail.seal.signed) == ("opened", said)
    assert mail.text.strip() == "The password is Zahnrad."


def test_m13_pgp_inline_armour_is_opened(gnupg: str):
    content = inline(armoured(gnupg, "--encrypt", data="Grüße: Zahnrad".encode()))
    mail = opened(Unsealer(Keys(pgp_home=gnupg)), content)
    assert mail.text.strip() == "Grüße: Zahnrad"


def test_m13_pgp_a_signed_text_is_signed_as_a_whole_or_not_at_all(gnupg: str):
    text = armoured(gnupg, "--clearsign", data=b"Yes.\n")
    unsealer = Unsealer(Keys(pgp_home=gnupg))
    assert opened(unsealer, inline(text)).seal.proves(KIM)
    seal = opened(unsealer, inline(b"Pay here.\r\n" + text)).seal
    assert (seal.signed, seal.reason) == ("invalid", PARTLY)


def test_m13_pgp_a_part_beside_a_signed_text_is_not_signed(gnupg: str):
    text = armoured(gnupg, "--clearsign", data=b"Yes.\n")
    kind = b"Content-Type: multipart/alternative; boundary=b\r\n\r\n"
    beside = b"\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>Pay here.\r\n--b--\r\n"
    content = HEAD + kind + b"--b\r\nContent-Type: text/plain\r\n\r\n" + text + beside
    seal = opened(Unsealer(Keys(pgp_home=gnupg)), content).seal
    assert (seal.signed, seal.by) == ("invalid", ())


@pytest.mark.parametrize(("words", "said"), [(("--sign",), "invalid"), ((), "")])
def test_m13_pgp_what_stands_around_the_armour_stays(
    gnupg: str, words: tuple[str, ...], said: str
):
    armour = armoured(gnupg, *words, "--encrypt", data=b"Zahnrad")
    content = inline(b"Hello,\r\n\r\n" + armour + b"\r\nKim")
    mail = opened(Unsealer(Keys(pgp_home=gnupg)), content)
    assert mail.text.split() == ["Hello,", "Zahnrad", "Kim"]
    assert (mail.seal.encrypted, mail.seal.signed) == ("opened", said)


def test_a08_pgp_a_bomb_ends_at_its_limit(gnupg: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bounded, "OUTPUT", 1024 * 1024)
    bomb = armoured(gnupg, "--encrypt", data=bytes(20 * 1024 * 1024))
    mail = opened(Unsealer(Keys(pgp_home=gnupg)), pgp_encrypted(bomb))
    assert mail.seal.encrypted == "closed"
    assert "wrote more than" in mail.seal.reason


def test_a08_pgp_twenty_thousand_beginnings_without_an_end_cost_nothing():
    content = inline(b"-----BEGIN PGP SIGNED MESSAGE-----\r\n" * 20_000)
    begun = perf_counter()
    assert opened(Unsealer(), content).seal.kind == ""
    assert perf_counter() - begun < 2


def test_a_program_that_hangs_is_killed():
    begun = perf_counter()
    ran = bounded.run(["sleep", "60"], b"", 0.2)
    assert (ran.code, ran.said) == (-1, "sleep took more than 0 seconds")
    assert perf_counter() - begun < 5


def test_a_program_that_is_absent_is_a_reason():
    ran = bounded.run(["otrsd-no-such-program"], b"", 1)
    assert ran.said == "otrsd-no-such-program can't be run: No such file or directory"
