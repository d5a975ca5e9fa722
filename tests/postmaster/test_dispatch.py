"""Which queue gets a mail that its envelope does not place (features.md B15)."""

from __future__ import annotations

from typing import Any

import pytest

from otrsd.postmaster.split import ADDRESS_FIELDS
from otrsd.testing import Site, mail_octets

ELSEWHERE = "somebody@else.example"


def queue_of(site: Site, envelope: dict[str, Any], **fields: str) -> str:
    octets = mail_octets("Hello\n", To=fields.pop("To", None), **fields)
    return site.deliver(octets, **envelope).queue


@pytest.mark.parametrize("n", range(len(ADDRESS_FIELDS)))
def test_B15_the_first_field_that_names_a_queue_decides(otrsd_app: Site, n: int):
    named = dict.fromkeys(ADDRESS_FIELDS[:n], ELSEWHERE)
    named[ADDRESS_FIELDS[n]] = "Alerts <Alerts+x@Example.COM>, x@else.example"
    later = dict.fromkeys(ADDRESS_FIELDS[n + 1 :], "support@example.com")
    for channel in ("pipe", "pop3", "imap"):
        envelope = {"channel": channel}
        assert queue_of(otrsd_app, envelope, **named, **later) == "monitoring"


def test_B15_the_envelope_comes_before_every_field(otrsd_app: Site):
    envelope = {"rcpt_tos": ("support@example.com",)}
    assert queue_of(otrsd_app, envelope, To="alerts@example.com") == "support"


def test_B15_a_recipient_that_is_no_queue_leaves_it_to_the_fields(otrsd_app: Site):
    envelope = {"rcpt_tos": ("postmaster@example.com",)}
    assert queue_of(otrsd_app, envelope, To="alerts@example.com") == "monitoring"


def test_B15_where_nothing_names_a_queue_the_default_one_gets_it(otrsd_app: Site):
    fields = {"To": ELSEWHERE, "Resent_To": "(("}
    assert queue_of(otrsd_app, {}, **fields) == "support"
