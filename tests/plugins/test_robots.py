from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from otrsd.testing import Site, mail_octets

SETTINGS = """
      match: {channel: pipe}
      registrars: [{domains: [registrar.example, provider.example]}]
      trust: {mode: above-received, mx: mx1.example.com}
      recipients: domains@example.com
      review_queue: support
"""
SMTP: dict[str, Any] = {"channel": "smtp", "rcpt_tos": ("domains@example.com",)}
PROVED = (
    "Authentication-Results: mx1.example.com; dkim=pass header.d={domain}\n"
    "Received: from out.{domain} by mx1.example.com; Mon, 23 Nov 2026 15:00:00 +0000\n"
)


class Machines:
    """The machines that write to one site."""

    def __init__(self, site: Site, samples: Path) -> None:
        self.site = site
        self.samples = samples

    def send(self, name: str) -> Any:
        """Send a sample of one of our own servers by pipe."""
        (path,) = self.samples.glob(name)
        # Some samples begin with how the program called sendmail.
        lines = path.read_bytes().splitlines(keepends=True)
        content = b"".join(line for line in lines if not line.startswith(b"## "))
        return self._checked(self.site.deliver(content))

    def registrar(self, number: str, domain: str = "registrar.example") -> Any:
        """Send a registrar's sample as our MX passes it on."""
        (path,) = self.samples.glob(f"registrar/made-{number}-*.eml")
        content = PROVED.format(domain=domain).encode() + path.read_bytes()
        return self._checked(self.site.deliver(content, **SMTP))

    def _checked(self, outcome: Any) -> Any:
        assert not outcome.failures
        return outcome

    def ticket(self, outcome: Any) -> Any:
        return self.site.ticket(outcome.ticket_id)


@pytest.fixture
def machines(site_with: Callable[..., Site], samples: Path) -> Machines:
    return Machines(site_with("robots", SETTINGS), samples)


def test_a_cron_job_that_fails_is_one_ticket(machines: Machines) -> None:
    first = machines.send("cron/*.mail-stdin.txt")
    again = machines.send("cron/*.mail-stdin.txt")
    assert machines.ticket(first).queue == "robots"
    assert (again.ticket_id, machines.ticket(first).is_active) == (
        first.ticket_id,
        True,
    )


def test_reports_gather_in_a_closed_ticket(machines: Machines) -> None:
    first = machines.send("logwatch/*")
    again = machines.send("logwatch/*")
    assert again.ticket_id == first.ticket_id
    assert machines.ticket(first).state == "closed successful"


def test_bans_are_only_counted(machines: Machines) -> None:
    machines.send("fail2ban/made-02*")
    assert "(number 2)" in machines.send("fail2ban/made-02*").reason
    assert machines.site.tickets() == ()


def test_upgrades_open_until_they_succeed(machines: Machines) -> None:
    failed = machines.send("unattended-upgrades/made-02*")
    machines.send("unattended-upgrades/made-01*")
    assert machines.ticket(failed).is_active
    subject = "unattended-upgrades result for web1.example.com: SUCCESS"
    machines.site.deliver(mail_octets(Subject=subject))
    assert machines.ticket(failed).state == "closed successful"


def test_a_stranger_is_no_machine_of_ours(machines: Machines) -> None:
    mail = mail_octets(Subject="[Fail2Ban] sshd: banned 203.0.113.9 from web1")
    assert machines.site.deliver(mail, **SMTP).fate == "article"


@pytest.mark.parametrize(
    ("number", "robot", "domain", "due", "priority"),
    [
        ("03", "expiring", "kunde-shop.com", "2027-02-16", 3),
        ("04", "expiring", "kunde-shop.com", "2026-11-25", 4),
        ("05", "expired", "kunde-shop.com", "2026-11-23", 5),
        ("06", "transfer-out", "kunde-shop.com", "2026-11-28", 5),
        ("07", "transfer-in", "kunde-shop.com", "2026-11-30", 4),
        ("08", "verify-contact", "kunde-shop.com", "2026-12-08", 4),
        ("11", "transfer-out", "kunde-shop.com", "2026-11-28", 5),
    ],
)
def test_what_a_registrar_wants(
    machines: Machines, number: str, robot: str, domain: str, due: str, priority: int
) -> None:
    ticket = machines.ticket(machines.registrar(number))
    fields = (ticket.fields["robot"], ticket.fields["domain"], ticket.fields["due"])
    assert fields == (robot, domain, due)
    assert (ticket.queue, ticket.priority) == ("domains", priority)
    assert ticket.is_active


@pytest.mark.parametrize("number", ["01", "09", "12"])
def test_what_needs_nobody_is_closed(machines: Machines, number: str) -> None:
    domain = "provider.example" if number == "09" else "registrar.example"
    ticket = machines.ticket(machines.registrar(number, domain))
    assert (ticket.queue, ticket.is_active) == ("domains::robots", False)


def test_a_domain_that_moved_away_is_a_case(machines: Machines) -> None:
    ticket = machines.ticket(machines.registrar("10", "provider.example"))
    assert (ticket.fields["robot"], ticket.priority) == ("moved-out", 4)


def test_notices_of_one_domain_join_one_ticket(machines: Machines) -> None:
    tickets = [machines.registrar(number).ticket_id for number in ("03", "04", "05")]
    assert len(set(tickets)) == 1
    assert machines.site.tickets()[0].priority == 5


def test_a_renewed_domain_closes_its_case(machines: Machines) -> None:
    case = machines.registrar("04")
    done = (
        f"{PROVED.format(domain='registrar.example')}"
        "From: robot@registrar.example\nSubject: [DONE] Order 1: domain kunde-shop.com"
        " renewed\n\nDomain: kunde-shop.com\nStatus: DONE\n"
    )
    machines.site.deliver(done.encode(), **SMTP)
    assert machines.ticket(case).state == "closed successful"


def test_a_list_of_domains_makes_a_case_of_each(machines: Machines) -> None:
    machines.registrar("02")
    machines.site.pass_time(timedelta(seconds=1))
    domains = [t.fields["domain"] for t in machines.site.tickets() if t.is_active]
    assert sorted(domains) == [
        "kunde-shop.com",
        "xn--kln-verein-ecb.de",
        "xn--mller-shop-9db.net",
    ]


@pytest.mark.parametrize("forged", ["13", "04"])
def test_a_false_notice_goes_to_review(machines: Machines, forged: str) -> None:
    (path,) = machines.samples.glob(f"registrar/made-{forged}-*.eml")
    ticket = machines.ticket(machines.site.deliver(path.read_bytes(), **SMTP))
    assert "registrar-unverified" in ticket.tags
    assert ticket.fields == {}
