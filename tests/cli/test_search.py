"""otrsd search and reindex."""

from __future__ import annotations

import pytest

from otrsd.testing import Site
from tests.cli.conftest import MakeMail, Otrsd


@pytest.fixture
def tickets(site: Site, make_mail: MakeMail) -> None:
    site.deliver(make_mail("Die Tonerkassette", From="joerg@kunde.example"))
    site.deliver(make_mail("The toner", From="anna@customer.example"))


def test_words_and_fields_find_a_ticket(otrsd: Otrsd, site: Site, tickets: None):
    site.search("toner")
    ran = otrsd("search", "tonerkassetten queue:support", "--json")
    assert [row["customer"] for row in ran.json] == ["joerg@kunde.example"]


def test_count_counts(otrsd: Otrsd, site: Site, tickets: None):
    site.search("toner")
    assert otrsd("search", "--count", "is:open").out == "2\n"
    assert otrsd("search", "--count", "--json", "kassette OR toner").json == 1


def test_nothing_found_is_no_error(otrsd: Otrsd, site: Site, tickets: None):
    site.search("toner")
    ran = otrsd("search", "zeppelin")
    assert (ran.code, ran.out) == (0, "")


def test_words_without_an_index_are_exit_75(otrsd: Otrsd, tickets: None):
    ran = otrsd("search", "toner")
    assert (ran.code, ran.out) == (75, "")
    assert "the index is missing" in ran.err
    assert "otrsd reindex" in ran.err


def test_fields_alone_need_no_index(otrsd: Otrsd, tickets: None):
    assert len(otrsd("search", "queue:support", "--json").json) == 2


def test_an_index_that_lags_is_told(
    otrsd: Otrsd, site: Site, tickets: None, make_mail: MakeMail
):
    site.search("toner")
    # The clock of the site stands still at a day in the past.
    site.deliver(make_mail("Another one", From="c@d.example"))
    ran = otrsd("search", "toner")
    assert "the words of 1 article are missing" in ran.err


def test_reindex_builds_what_is_missing(otrsd: Otrsd, tickets: None):
    ran = otrsd("reindex")
    assert (ran.code, ran.out) == (0, "the index is rebuilt: 1 segment\n")
    assert "2 of 2 articles" in ran.err
    assert otrsd("search", "--count", "toner").out == "1\n"
