from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from otrsd.errors import ConfigError
from otrsd.testing import Site

SOURCE = """
      sources:
        - name: nagios/mon1
          match: {channel: [pipe], recipient: alerts@example.com}
          queue: monitoring
        - name: nagios/mon1
          match:
            mail_from: nagios@mon1.example.com
            peer: 127.0.0.0/8
          queue: monitoring
"""
PIPE: dict[str, Any] = {"rcpt_tos": ("alerts@example.com",), "peer": "uid:1000"}
SMTP: dict[str, Any] = {
    "channel": "smtp",
    "mail_from": "nagios@mon1.example.com",
    "rcpt_tos": ("alerts@example.com",),
    "peer": "127.0.0.1",
}
START = datetime(2026, 11, 23, 16, 0, tzinfo=UTC)


class Nagios:
    """One Nagios that mails to a site, in the bare form of the stock command."""

    def __init__(self, site: Site) -> None:
        self.site = site
        site.clock.advance(START - site.clock.now())

    def says(
        self,
        kind: str,
        state: str,
        service: str = "HTTP",
        host: str = "web1",
        address: str = "192.0.2.10",
        **envelope: Any,
    ) -> Any:
        at = f"{self.site.clock.now():%a %b %d %H:%M:%S UTC %Y}"
        what = f"Service Alert: {host}/{service}" if service else f"Host Alert: {host}"
        named = f"Service: {service}\nHost: {host}\n" if service else f"Host: {host}\n"
        text = (
            f"Subject: ** {kind} {what} is {state} **\n\n***** Nagios *****\n\n"
            f"Notification Type: {kind}\n\n{named}Address: {address}\n"
            f"State: {state}\n\nDate/Time: {at}\n\nAdditional Info:\n\noutput\n"
        )
        self.site.clock.advance(timedelta(seconds=1))
        return self.site.deliver(text.encode(), **{**PIPE, **envelope})

    @property
    def open(self) -> list[str]:
        return [t.title for t in self.site.tickets() if t.is_active]


@pytest.fixture
def nagios(site_with: Callable[..., Site]) -> Nagios:
    return Nagios(site_with("monitoring", SOURCE))


@pytest.mark.parametrize(
    ("folder", "form", "envelope"),
    [
        ("nagios4", ".mail-stdin.txt", PIPE),
        ("nagios4", ".eml", SMTP),
        ("nagios4/otrsd-headers", ".eml", PIPE),
    ],
)
def test_what_nagios_shows_as_ok_leaves_no_ticket_open(
    nagios: Nagios, samples: Path, folder: str, form: str, envelope: dict[str, Any]
) -> None:
    index = samples / "nagios4" / "index.json"
    mails = [
        mail
        for number, name, *_ in json.loads(index.read_text())
        for mail in sorted((samples / folder).glob(f"{number:02}-{name}*{form}"))
    ]
    assert len(mails) == 33
    outcomes = [nagios.site.deliver(mail.read_bytes(), **envelope) for mail in mails]
    assert not any(outcome.failures for outcome in outcomes)
    assert nagios.open == []
    assert {t.queue for t in nagios.site.tickets()} == {"monitoring"}
    assert not any("monitoring-unparsed" in t.tags for t in nagios.site.tickets())


def test_a_problem_opens_and_its_repeats_join(nagios: Nagios) -> None:
    first = nagios.says("PROBLEM", "WARNING")
    again = nagios.says("PROBLEM", "CRITICAL")
    assert (again.ticket_id, again.is_new) == (first.ticket_id, False)
    assert nagios.site.ticket(first.ticket_id).priority == 4


def test_a_milder_state_never_lowers_the_priority(nagios: Nagios) -> None:
    first = nagios.says("PROBLEM", "CRITICAL")
    nagios.says("PROBLEM", "WARNING")
    assert nagios.site.ticket(first.ticket_id).priority == 4


def test_a_stray_recovery_is_recorded_without_a_ticket(nagios: Nagios) -> None:
    outcome = nagios.says("RECOVERY", "OK")
    assert (outcome.fate, outcome.reason) == (
        "trash",
        "stray RECOVERY web1/HTTP is OK",
    )
    assert nagios.site.tickets() == ()


def test_flapping_that_stops_fine_is_a_recovery(nagios: Nagios) -> None:
    nagios.says("PROBLEM", "CRITICAL")
    nagios.says("FLAPPINGSTART", "CRITICAL")
    assert nagios.site.tickets()[0].state == "pending reminder"
    nagios.says("ACKNOWLEDGEMENT", "CRITICAL")
    assert nagios.site.tickets()[0].state == "pending reminder"
    nagios.says("FLAPPINGSTOP", "OK")
    assert nagios.open == []


def test_a_problem_soon_after_opens_the_same_ticket(nagios: Nagios) -> None:
    first = nagios.says("PROBLEM", "CRITICAL")
    nagios.says("RECOVERY", "OK")
    again = nagios.says("PROBLEM", "CRITICAL")
    assert again.ticket_id == first.ticket_id
    assert nagios.site.tickets()[0].state == "open"
    nagios.says("RECOVERY", "OK")
    assert nagios.open == []


def test_a_problem_much_later_opens_a_new_one_that_names_the_old(
    nagios: Nagios,
) -> None:
    nagios.says("PROBLEM", "CRITICAL")
    nagios.says("RECOVERY", "OK")
    nagios.site.clock.advance(timedelta(hours=1))
    again = nagios.says("PROBLEM", "CRITICAL")
    assert again.is_new
    old = nagios.site.tickets()[0].number
    texts = [a.text for a in nagios.site.articles(again.ticket_id)]
    assert f"Follows ticket {old}." in texts


def test_a_late_problem_opens_nothing(nagios: Nagios) -> None:
    now = nagios.site.clock.now()
    nagios.says("PROBLEM", "CRITICAL")
    nagios.site.clock.advance(timedelta(minutes=2))
    nagios.says("RECOVERY", "OK")
    late = (
        "Subject: ** PROBLEM Service Alert: web1/HTTP is CRITICAL **\n\n"
        "Service: HTTP\nHost: web1\nAddress: 192.0.2.10\nState: CRITICAL\n\n"
        f"Date/Time: {now + timedelta(minutes=1):%a %b %d %H:%M:%S UTC %Y}\n"
    )
    assert nagios.site.deliver(late.encode(), **PIPE).fate == "trash"
    assert nagios.open == []


def test_bad_after_a_downtime_waits_before_it_opens(nagios: Nagios) -> None:
    nagios.says("DOWNTIMESTART", "OK")
    assert nagios.says("PROBLEM", "CRITICAL").fate == "trash"
    assert nagios.says("DOWNTIMEEND", "CRITICAL").fate == "trash"
    assert nagios.says("PROBLEM", "CRITICAL").is_new


def test_what_stays_bad_after_a_downtime_opens_by_itself(nagios: Nagios) -> None:
    nagios.says("DOWNTIMEEND", "CRITICAL")
    nagios.site.pass_time(timedelta(minutes=9))
    assert nagios.open == []
    nagios.site.pass_time(timedelta(minutes=2))
    assert nagios.open == ["web1/HTTP is CRITICAL since its downtime"]
    nagios.says("RECOVERY", "OK")
    assert nagios.open == []


def test_a_recovery_after_a_downtime_cancels_the_timer(nagios: Nagios) -> None:
    nagios.says("DOWNTIMEEND", "CRITICAL")
    nagios.says("RECOVERY", "OK")
    nagios.site.pass_time(timedelta(hours=1))
    assert nagios.site.tickets() == ()


def test_somebody_elses_mail_can_neither_open_nor_close(nagios: Nagios) -> None:
    nagios.says("PROBLEM", "CRITICAL")
    forged = nagios.says("RECOVERY", "OK", **{**SMTP, "peer": "203.0.113.9"})
    assert forged.is_new
    assert len(nagios.open) == 2


def test_what_can_not_be_read_is_a_ticket_for_people(nagios: Nagios) -> None:
    outcome = nagios.site.deliver(b"Subject: ** what **\n\nis this\n", **PIPE)
    assert nagios.site.ticket(outcome.ticket_id).queue == "monitoring"
    assert "monitoring-unparsed" in nagios.site.ticket(outcome.ticket_id).tags


def test_header_fields_of_a_stranger_count_for_nothing(
    nagios: Nagios, samples: Path
) -> None:
    mail = samples / "nagios4/otrsd-headers/02-service-problem-critical.eml"
    outcome = nagios.site.deliver(mail.read_bytes(), **SMTP)
    assert "monitoring-unparsed" in nagios.site.ticket(outcome.ticket_id).tags


def test_plugin_output_can_not_forge_the_state(nagios: Nagios, samples: Path) -> None:
    name = "icinga2/10-service-problem-multiline-output.mail-stdin.txt"
    outcome = nagios.site.deliver((samples / name).read_bytes(), **PIPE)
    ticket = nagios.site.ticket(outcome.ticket_id)
    assert ticket.fields["monitor_state"] == "CRITICAL"
    assert ticket.fields["monitor_host"] == "web1"


def test_icinga_opens_and_closes(nagios: Nagios, samples: Path) -> None:
    folder = samples / "icinga2"
    for number in ("01", "02", "04", "11", "12", "13"):
        (mail,) = folder.glob(f"{number}-*.txt")
        nagios.site.deliver(mail.read_bytes(), **PIPE)
    assert len(nagios.site.tickets()) == 2
    assert nagios.open == []


def test_an_owned_ticket_is_not_closed_under_its_owner(
    site_with: Callable[..., Site],
) -> None:
    settings = SOURCE.replace(
        "queue: monitoring", "queue: monitoring\n          agents: {Anna: anna}", 1
    )
    nagios = Nagios(site_with("monitoring", settings))
    nagios.says("PROBLEM", "CRITICAL")
    ack = (
        "X-Otrsd-Monitor: nagios/mon1\nX-Otrsd-Monitor-Type: ACKNOWLEDGEMENT\n"
        "X-Otrsd-Monitor-Host: web1\nX-Otrsd-Monitor-Service: HTTP\n"
        "X-Otrsd-Monitor-State: CRITICAL\nX-Otrsd-Monitor-Author: Anna\n\n"
    )
    nagios.site.deliver(ack.encode(), **PIPE)
    assert nagios.site.tickets()[0].owner == "anna"
    nagios.says("RECOVERY", "OK")
    assert nagios.site.tickets()[0].is_active
    assert "recovered" in nagios.site.tickets()[0].tags


def test_an_empty_match_is_refused(site_with: Callable[..., Site]) -> None:
    site = site_with("monitoring", "{sources: [{name: x, match: {}}]}")
    with pytest.raises(ConfigError, match="'match' must name something"):
        site.tickets()
