"""Our own SPF, DKIM, DMARC and ARC: keys made here, a DNS that is a dict."""

from __future__ import annotations

import base64
import hashlib
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any

import dkim
import dns.message
import dns.rcode
import dns.resolver
import dns.rrset
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from otrsd.clock import FakeClock
from otrsd.mime.dns import DnsAwayError, Lookup, Resolver
from otrsd.mime.parse import parse
from otrsd.mime.sender_checks import SenderChecks
from otrsd.model.auth import Auth
from otrsd.model.envelope import Envelope

KEY = rsa.generate_private_key(65537, 1024)  # noqa: S505 - quick to make
PRIVATE = KEY.private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.TraditionalOpenSSL,
    serialization.NoEncryption(),
)
PUBLIC = base64.b64encode(
    KEY.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
)
RECORD = b"v=DKIM1; k=rsa; p=" + PUBLIC
MAIL = (
    b"From: Kim <kim@bank.example>\r\nTo: support@example.com\r\n"
    b"Subject: Invoice\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\n\r\nHello\r\n"
)


class Zone:
    """A DNS of this test's own; ``away`` names do not answer."""

    def __init__(self, *away: str) -> None:
        self.records: dict[tuple[str, str], list[Any]] = {}
        self.away = away
        self.asked: list[str] = []

    def add(self, name: str, kind: str, *values: Any) -> Zone:
        self.records[name, kind] = list(values)
        return self

    def within(self, _seconds: float) -> Lookup:
        def look(name: str, kind: str) -> Sequence[Any]:
            self.asked.append(name)
            if name in self.away:
                raise DnsAwayError(name)
            return self.records.get((name.lower(), kind), [])

        return look


def signed(domain: str = "bank.example", mail: bytes = MAIL, **more: Any) -> bytes:
    field: bytes = dkim.sign(mail, b"s1", domain.encode(), PRIVATE, **more)
    return field + mail


def keys(*domains: str) -> Zone:
    zone = Zone()
    for domain in domains:
        zone.add(f"s1._domainkey.{domain}", "TXT", RECORD)
    return zone


def check(content: bytes, zone: Zone, *relays: str, **envelope: Any) -> Auth:
    values = {"channel": "smtp", "peer": "192.0.2.1", "mail_from": "", **envelope}
    made = Envelope(received_at=datetime(2026, 11, 23, tzinfo=UTC), **values)
    checks = SenderChecks(zone.within, relays)
    return checks.check(parse(content), made, content, 5)


def test_k04_a_signature_proves_its_domain():
    auth = check(signed(), keys("bank.example"))
    assert (auth.dkim, auth.signers) == ("pass", ("bank.example",))
    assert auth.proves("kim@bank.example")


def test_k04_a_changed_mail_proves_nothing():
    auth = check(signed().replace(b"Hello", b"Hullo"), keys("bank.example"))
    assert (auth.dkim, auth.signers) == ("fail", ())


@pytest.mark.parametrize(
    ("zone", "said"),
    [
        (Zone(), "fail"),
        (Zone("s1._domainkey.bank.example"), "temperror"),
        (
            Zone().add("s1._domainkey.bank.example", "TXT", b"v=DKIM1; p=!!"),
            "fail",
        ),
        (
            Zone().add("s1._domainkey.bank.example", "TXT", RECORD + b"A" * 3000),
            "fail",
        ),
    ],
)
def test_a_dns_without_an_answer_is_an_error_and_stops_nothing(zone: Zone, said: str):
    assert check(signed(), zone).dkim == said


def test_a_signature_of_a_part_of_the_body_is_no_proof():
    auth = check(signed(length=True) + b"Pay here\r\n", keys("bank.example"))
    assert (auth.dkim, auth.signers) == ("policy", ())


def test_only_some_of_a_thousand_signatures_are_looked_at():
    zone = keys("bank.example")
    check(signed().partition(b"From: Kim")[0] * 1000 + MAIL, zone)
    assert zone.asked.count("s1._domainkey.bank.example") == 5


def test_m_runs_of_blanks_are_not_given_to_patterns_of_quadratic_time():
    begun = perf_counter()
    auth = check(signed() + b" " * 200_000 + b"x\r\n", keys("bank.example"))
    assert auth.dkim == "permerror"
    assert perf_counter() - begun < 2


@pytest.mark.parametrize(
    ("record", "peer", "said"),
    [
        (b"v=spf1 ip4:192.0.2.0/24 -all", "192.0.2.1", "pass"),
        (b"v=spf1 ip4:192.0.2.0/24 -all", "198.51.100.1", "fail"),
        (b"v=spf1 ~all", "192.0.2.1", "softfail"),
        (b"v=spf1 a -all", "192.0.2.9", "pass"),
        (b"v=spf1 mx -all", "192.0.2.9", "pass"),
        (b"v=spf1 include:bank.example -all", "192.0.2.1", "permerror"),
        (b"v=spf1 include:gone.example -all", "192.0.2.1", "temperror"),
        (b"unrelated", "192.0.2.1", "none"),
        (b"v=spf1 -all", "127.0.0.1", "none"),
        (b"v=spf1 -all", "10.1.2.3", "none"),
        (b"v=spf1 -all", "uid:1000", "none"),
    ],
)
def test_spf_speaks_of_the_client_unless_it_is_our_own(
    record: bytes, peer: str, said: str
):
    zone = Zone("gone.example").add("bank.example", "TXT", record)
    zone.add("bank.example", "A", "192.0.2.9")
    zone.add("bank.example", "MX", (10, "bank.example"))
    auth = check(MAIL, zone, "10.0.0.0/8", peer=peer, mail_from="kim@bank.example")
    assert auth.spf == said


def test_spf_is_asked_of_smtp_only():
    zone = Zone().add("bank.example", "TXT", b"v=spf1 -all")
    auth = check(MAIL, zone, channel="lmtp", mail_from="kim@bank.example")
    assert auth.spf == "none"


#: DMARC record at, its text, signer → said, policy.
DMARC = [
    ("bank.example", "p=reject", "bank.example", "pass", "reject"),
    ("bank.example", "p=reject", "", "fail", "reject"),
    ("bank.example", "p=none", "", "fail", "none"),
    ("bank.example", "p=reject", "mail.bank.example", "pass", "reject"),
    ("bank.example", "p=reject; adkim=s", "mail.bank.example", "fail", "reject"),
    ("bank.example", "p=reject", "evil.example", "fail", "reject"),
    ("bank.example", "p=reject", "bank.evil.example", "fail", "reject"),
    ("bank.example", "p=quarantine; t=y", "", "fail", "none"),
    ("bank.example", "p=reject; pct=0", "", "fail", "quarantine"),
    ("bank.example", "p=nonsense", "", "fail", "none"),
    ("other.example", "p=reject", "", "none", ""),
]


@pytest.mark.parametrize(("at", "record", "signer", "said", "policy"), DMARC)
def test_k04_dmarc_asks_who_vouches_for_from(
    at: str, record: str, signer: str, said: str, policy: str
):
    zone = keys(signer) if signer else Zone()
    zone.add(f"_dmarc.{at}", "TXT", f"v=DMARC1; {record}".encode())
    auth = check(signed(signer) if signer else MAIL, zone)
    assert (auth.dmarc, auth.policy) == (said, policy)
    assert auth.refutes is (said == "fail" and policy in {"quarantine", "reject"})


@pytest.mark.parametrize(
    ("records", "said", "policy"),
    [
        ({"bank.example": "p=reject; sp=quarantine"}, "pass", "quarantine"),
        ({"example": "p=reject; psd=y", "bank.example": "p=none"}, "pass", "none"),
        ({"example": "p=reject; psd=y"}, "none", ""),
        ({"a.bank.example": "p=reject; psd=n"}, "fail", "reject"),
    ],
)
def test_k04_an_organisation_is_found_by_walking_up_the_tree(
    records: dict[str, str], said: str, policy: str
):
    zone = keys("bank.example")
    for name, text in records.items():
        zone.add(f"_dmarc.{name}", "TXT", f"v=DMARC1; {text}".encode())
    content = signed(mail=MAIL.replace(b"kim@bank", b"kim@a.bank"))
    auth = check(content, zone)
    assert (auth.dmarc, auth.policy) == (said, policy)


def test_spf_of_the_envelope_vouches_too():
    zone = Zone().add("bank.example", "TXT", b"v=spf1 ip4:192.0.2.1 -all")
    zone.add("_dmarc.bank.example", "TXT", b"v=DMARC1; p=reject")
    assert check(MAIL, zone, mail_from="kim@bank.example").dmarc == "pass"


def test_dmarc_does_not_fail_for_what_could_not_be_asked():
    zone = Zone("s1._domainkey.bank.example")
    zone.add("_dmarc.bank.example", "TXT", b"v=DMARC1; p=reject")
    auth = check(signed(), zone)
    assert auth.dmarc == "temperror"
    assert not auth.refutes


def test_a_name_of_a_hundred_labels_costs_a_few_questions():
    zone = Zone()
    check(MAIL.replace(b"kim@bank", b"kim@" + b"a." * 100 + b"bank"), zone)
    assert len(zone.asked) < 12


def test_arc_of_a_forwarder_is_told():
    auth = check(sealed(MAIL), keys("list.example"))
    assert (auth.arc, auth.dkim) == ("pass", "none")


def test_more_seals_than_a_mail_ever_has_are_not_looked_at():
    zone = keys("list.example")
    seals = b"".join(b"ARC-Seal: i=%d; cv=pass\r\n" % n for n in range(1, 50))
    assert check(seals + MAIL, zone).arc == "permerror"
    assert zone.asked == ["_dmarc.bank.example", "_dmarc.example"]


def test_a_broken_arc_is_told():
    auth = check(sealed(MAIL).replace(b"Hello", b"Hullo"), keys("list.example"))
    assert auth.arc == "fail"


def sealed(mail: bytes) -> bytes:
    """Add the ARC set of a first forwarder (RFC 8617)."""
    subject = b"subject:Invoice\r\n"
    body = base64.b64encode(hashlib.sha256(mail.partition(b"\r\n\r\n")[2]).digest())
    tags = b"i=1; a=rsa-sha256; d=list.example; s=s1; t=1700000000; "
    first = b"arc-authentication-results:i=1; list.example; dkim=pass\r\n"
    second = b"arc-message-signature:" + tags
    second += b"c=relaxed/relaxed; h=from:subject; bh=" + body + b"; b="
    sender = b"from:Kim <kim@bank.example>\r\n"
    second += signature(sender + subject + second)
    third = b"arc-seal:" + tags + b"cv=none; b="
    third += signature(first + second + b"\r\n" + third)
    seals = third + b"\r\n" + second + b"\r\n" + first
    return seals.replace(b":i=1", b": i=1") + mail


def signature(octets: bytes) -> bytes:
    return base64.b64encode(KEY.sign(octets, padding.PKCS1v15(), hashes.SHA256()))


@pytest.fixture
def server() -> Iterator[socket.socket]:
    """A DNS on loopback that answers one name and is silent about all others."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                octets, peer = made.recvfrom(4096)
            except OSError:
                return
            if not octets:
                return
            asked = dns.message.from_wire(octets)
            answer = dns.message.make_response(asked)
            name = asked.question[0].name
            if str(name) == "silent.example.":
                continue
            if str(name) == "known.example.":
                text = dns.rrset.from_text(name, 60, "IN", "TXT", '"v=spf1 " "-all"')
                answer.answer.append(text)
            else:
                answer.set_rcode(dns.rcode.NXDOMAIN)
            made.sendto(answer.to_wire(), peer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield made
    with suppress(OSError):
        made.shutdown(socket.SHUT_RDWR)
    made.close()
    thread.join(5)


def test_the_resolver_answers_denies_or_is_away(
    server: socket.socket, clock: FakeClock
):
    resolver = Resolver(clock)
    resolver._made = dns.resolver.Resolver(configure=False)
    resolver._made.nameservers = ["127.0.0.1"]
    resolver._made.port = server.getsockname()[1]
    look = resolver.within(0.3)
    assert look("known.example", "TXT") == [b"v=spf1 -all"]
    assert look("unknown.example", "TXT") == []
    with pytest.raises(DnsAwayError):
        look("silent.example", "TXT")


def test_there_is_one_deadline_for_all_questions(clock: FakeClock):
    look = Resolver(clock).within(5)
    clock.advance(timedelta(seconds=6))
    with pytest.raises(DnsAwayError, match="no time left"):
        look("known.example", "TXT")
