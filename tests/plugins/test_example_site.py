"""The repository's own site: config/50-plugins.yaml does what its comments say."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from otrsd.testing import Site, mail_octets

ROOT = Path(__file__).parents[2]
NAGIOS: dict[str, Any] = {
    "channel": "smtp",
    "mail_from": "nagios@mon1.example.com",
    "rcpt_tos": ("alerts@example.com",),
    "peer": "127.0.0.1",
}


@pytest.fixture
def example(otrsd_app: Site) -> Site:
    otrsd_app.configure((ROOT / "otrsd.yaml").read_text("utf-8"))
    shutil.copytree(ROOT / "config", otrsd_app.root / "config")
    for path in (ROOT / "plugins").glob("*.py"):
        otrsd_app.plugin(path.stem, path)
    return otrsd_app


@pytest.mark.parametrize(
    ("form", "envelope"),
    [
        ("eml", NAGIOS),
        ("mail-stdin.txt", {"rcpt_tos": ("alerts@example.com",), "peer": "uid:0"}),
    ],
)
def test_nagios_opens_and_closes(
    example: Site, samples: Path, form: str, envelope: dict[str, Any]
) -> None:
    folder = samples / "nagios4"
    problem = (folder / f"02-service-problem-critical.{form}").read_bytes()
    recovery = (folder / f"07-service-recovery.{form}").read_bytes()
    opened = example.deliver(problem, **envelope)
    closed = example.deliver(recovery, **envelope)
    assert (opened.queue, closed.ticket_id) == ("monitoring", opened.ticket_id)
    assert not example.ticket(closed.ticket_id).is_active


def test_spam_goes_to_the_trash(example: Site, samples: Path) -> None:
    path = samples / "spam" / "made-rspamd-extended-headers.eml"
    outcome = example.deliver(
        path.read_bytes(), channel="smtp", rcpt_tos=("support@example.com",)
    )
    assert (outcome.fate, outcome.failures) == ("trash", {})


def test_a_registrars_robot_has_its_queue(example: Site, samples: Path) -> None:
    proof = (
        b"Authentication-Results: mx1.example.com;"
        b" dkim=pass header.d=registrar.example\n"
        b"Received: from out.registrar.example by mx1.example.com; "
        b"Mon, 23 Nov 2026 15:00:00 +0000\n"
    )
    for name, queue in (
        ("made-12-order-ok-no-ticket", "domains::robots"),
        ("made-06-foa-losing", "hostmaster"),
    ):
        mail = proof + (samples / "registrar" / f"{name}.eml").read_bytes()
        outcome = example.deliver(
            mail, channel="smtp", rcpt_tos=("robots@example.com",)
        )
        assert example.ticket(outcome.ticket_id).queue == queue


def test_a_customer_is_left_alone(example: Site) -> None:
    outcome = example.deliver(mail_octets(), rcpt_tos=("support@example.com",))
    ticket = example.ticket(outcome.ticket_id)
    assert (ticket.queue, ticket.tags, ticket.fields) == ("support", (), {})
