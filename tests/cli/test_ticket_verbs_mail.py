"""otrsd ticket new and reply, and spool --out: what goes out, and what waits."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial

import pytest
import structlog
from aiosmtpd.smtp import SMTP, Envelope, Session

from otrsd.clock import SystemClock
from otrsd.mime.parse import parse
from otrsd.model.mail import Mail
from otrsd.relay.mail_lane import MailLane
from otrsd.relay.submission import submit
from otrsd.testing import Site
from tests.cli.conftest import CONFIG, MakeMail, Otrsd
from tests.controls import Quiet
from tests.smarthosts import AnyPort

#: Left out by the quick round: servers, processes and waits.
pytestmark = pytest.mark.slow

FIRST = "<1@customer.example>"
TOKEN = re.compile(r"<otrsd\.\d+\.\w+@example\.com>")


class Sink:
    """A smarthost that keeps what it gets."""

    def __init__(self) -> None:
        self.taken: list[Envelope] = []
        self.answer = "250 OK"

    async def handle_DATA(self, _s: SMTP, _session: Session, envelope: Envelope) -> str:
        if self.answer.startswith("250"):
            self.taken.append(envelope)
        return self.answer

    def mail(self) -> Mail:
        """Return the only mail."""
        (envelope,) = self.taken
        assert isinstance(envelope.content, bytes)
        return parse(envelope.content)


@pytest.fixture
def sink(site: Site) -> Iterator[Sink]:
    """Give a smarthost on loopback that the site sends to."""
    sink = Sink()
    controller = AnyPort(sink)
    controller.start()
    send = f"send: {{host: 127.0.0.1, port: {controller.port}, tls: none}}\n"
    site.configure(CONFIG + send)
    yield sink
    controller.stop()


@pytest.fixture
def number(site: Site, make_mail: MakeMail) -> str:
    """Give the number of a ticket."""
    outcome = site.deliver(
        make_mail(Message_ID=FIRST, References="<0@customer.example>")
    )
    return str(site.ticket(outcome.ticket_id).number)


@pytest.fixture
def relay(site: Site) -> Callable[[], None]:
    """Give what sends everything that is due."""

    def run() -> None:
        smarthost = site.app.smarthost()
        assert smarthost is not None
        # The commands live in real time, the site's clock stands still.
        site.clock.advance(
            SystemClock().now() - site.clock.now() + timedelta(seconds=1)
        )
        lane = MailLane(
            desk=site.app.desk(),
            submit=partial(submit, smarthost),
            control=Quiet(name="mail"),
            log=structlog.get_logger(),
        )
        while lane.turn():
            pass

    return run


def test_the_whole_journey(
    otrsd: Otrsd,
    site: Site,
    sink: Sink,
    number: str,
    relay: Callable[[], None],
    make_mail: MakeMail,
):
    ran = otrsd("ticket", "reply", number, "-m", "It is on its way, Grüße.")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == f"{number}: answered kim@customer.example\n"
    relay()
    mail = sink.mail()
    assert sink.taken[0].rcpt_tos == ["kim@customer.example"]
    assert mail.subject == f"[Ticket#{number}] Re: A question"
    assert TOKEN.fullmatch(mail.message_id)
    assert mail.header("In-Reply-To") == FIRST
    assert mail.header("References") == f"<0@customer.example> {FIRST}"
    assert mail.text.strip() == "It is on its way, Grüße."
    assert otrsd("spool", "list", "--out", "--json").json == []
    # The customer's mailer keeps the thread, and somebody has rewritten the subject.
    back = make_mail(Subject="thanks", References=mail.message_id, Message_ID="<3@x.y>")
    (ticket,) = site.tickets()
    assert (site.deliver(back).ticket_id, ticket.state) == (ticket.id, "open")
    assert [each.kind.value for each in site.articles(ticket.id)] == [
        "mail_in",
        "mail_out",
        "mail_in",
    ]


def test_without_a_smarthost_the_answer_waits_and_can_be_seen(
    otrsd: Otrsd, site: Site, number: str
):
    ran = otrsd("ticket", "reply", number, "-m", "Hi")
    assert ran.code == 0
    assert "the mail waits: there is no 'send:'" in ran.err
    assert "Try: otrsd spool list --out" in ran.err
    listed = otrsd("spool", "list", "--out").out.rstrip("\n").split("\t")
    assert listed[1:3] == ["kim@customer.example", f"[Ticket#{number}] Re: A question"]
    assert listed[4] == "there is no 'send:' in the configuration"
    (row,) = otrsd("spool", "list", "--out", "--json").json
    assert (row["given_up"], row["attempts"]) == (False, 0)
    assert TOKEN.fullmatch(row["message_id"])


def test_others_can_be_written_to(
    otrsd: Otrsd, site: Site, sink: Sink, number: str, relay: Callable[[], None]
):
    to = (
        "--to",
        "Lee <lee@b.example>",
        "--to",
        "max@b.example",
        "--cc",
        "joe@b.example",
    )
    ran = otrsd("ticket", "reply", number, "-m", "Hi", *to, "--subject", "News")
    assert ran.code == 0
    relay()
    everybody = ["lee@b.example", "max@b.example", "joe@b.example"]
    assert sink.taken[0].rcpt_tos == everybody
    assert sink.mail().subject == f"[Ticket#{number}] News"
    assert [each.address for each in sink.mail().cc] == ["joe@b.example"]


@pytest.mark.parametrize("bad", ["kim", "", "a@b.example\r\nBcc: x@y.example", "<>"])
def test_no_address_nothing_is_written(otrsd: Otrsd, site: Site, number: str, bad: str):
    before = site.tickets()
    for option in ("--to", "--cc"):
        ran = otrsd("ticket", "reply", number, "-m", "Hi", option, bad)
        assert ran.code == 1
        assert "is no address that mail can go to" in ran.err
    assert site.tickets() == before
    assert otrsd("spool", "list", "--out", "--json").json == []


def test_an_answer_can_close_its_ticket(otrsd: Otrsd, site: Site, number: str):
    otrsd("ticket", "reply", number, "-m", "Done.", "--state", "closed successful")
    assert [each.state for each in site.tickets()] == ["closed successful"]


def test_a_dry_run_shows_the_mail_and_leaves_nothing(
    otrsd: Otrsd, site: Site, number: str
):
    before = site.tickets()
    ran = otrsd("ticket", "reply", number, "-m", "Hi \x1b[2J", "--dry-run")
    assert ran.code == 0
    assert f"subject      [Ticket#{number}] Re: A question\n" in ran.out
    assert f"in-reply-to  {FIRST}\n" in ran.out
    assert ran.out.endswith("\nHi \\x1b[2J\n")
    assert site.tickets() == before
    assert otrsd("spool", "list", "--out", "--json").json == []


def test_a_new_ticket_is_mailed_and_gives_its_number(
    otrsd: Otrsd, site: Site, sink: Sink, relay: Callable[[], None]
):
    options = ("--queue", "billing", "--priority", "high", "--tag", "call")
    ran = otrsd(
        "ticket",
        "new",
        "--to",
        "Kim <kim@b.example>",
        "--subject",
        "Call",
        *options,
        stdin=b"As promised\n",
    )
    (ticket,) = site.tickets()
    assert (ran.code, ran.out, ran.err) == (0, f"{ticket.number}\n", "")
    assert (ticket.queue, ticket.priority, ticket.tags) == ("billing", 4, ("call",))
    relay()
    assert sink.mail().subject == f"[Ticket#{ticket.number}] Call"
    assert sink.mail().from_text == "Test <billing@example.com>"


def test_a_new_ticket_may_be_only_a_note(otrsd: Otrsd, site: Site):
    for more in ((), ("--to", "kim@b.example", "--no-mail")):
        ran = otrsd("ticket", "new", "--subject", "Tapes", "-m", "Change them.", *more)
        assert (ran.code, ran.err) == (0, "")
    assert [each.customer for each in site.tickets()] == ["", "kim@b.example"]
    assert otrsd("spool", "list", "--out", "--json").json == []


def test_a_dry_run_of_a_new_ticket_leaves_none(otrsd: Otrsd, site: Site):
    options = ("--to", "kim@b.example", "--subject", "Call", "-m", "Hi", "--dry-run")
    ran = otrsd("ticket", "new", *options)
    assert ran.code == 0
    assert re.search(r"subject +\[Ticket#\d+\] Call", ran.out)
    assert site.tickets() == ()


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--queue", "suport"), 3),
        (("--state", "colsed"), 3),
        (("--priority", "6"), 3),
        (("--to", "kim"), 1),
        (("--owner", " "), 1),
    ],
)
def test_a_ticket_that_can_not_be_is_not_opened(
    otrsd: Otrsd, site: Site, options: tuple[str, str], code: int
):
    assert otrsd("ticket", "new", "--subject", "x", "-m", "y", *options).code == code
    assert site.tickets() == ()


@pytest.fixture
def refused(otrsd: Otrsd, sink: Sink, number: str, relay: Callable[[], None]) -> str:
    """Give the id of a mail that the smarthost has refused for good."""
    sink.answer = "554 5.7.1 No \x1b[2J"
    otrsd("ticket", "reply", number, "-m", "Hi")
    relay()
    (row,) = otrsd("spool", "list", "--out", "--json").json
    assert row["given_up"]
    return str(row["id"])


def test_a_refused_mail_waits_for_a_person(otrsd: Otrsd, refused: str):
    row = otrsd("spool", "list", "--out").out.rstrip("\n").split("\t")
    assert (row[0], row[3]) == (refused, "given up")
    assert "554 5.7.1 No" in row[4]
    assert "\x1b" not in row[4]


def test_it_can_be_tried_again(
    otrsd: Otrsd, refused: str, sink: Sink, relay: Callable[[], None]
):
    sink.answer = "250 OK"
    assert otrsd("spool", "retry", "--out", refused, "--yes").code == 0
    relay()
    assert len(sink.taken) == 1


def test_it_can_be_given_up_for_good(otrsd: Otrsd, refused: str, number: str):
    assert otrsd("spool", "discard", "--out", "ALL", "--dry-run").code == 0
    assert otrsd("spool", "discard", "--out", refused).code == 2
    assert otrsd("spool", "discard", "--out", "ALL", "--yes").code == 0
    assert otrsd("spool", "list", "--out", "--json").json == []
    rows = otrsd("ticket", "history", number, "--json").json
    assert "dropped" in rows[-1]["data"]


@pytest.mark.parametrize("name", ["4711", "x", "9" * 30])
def test_an_outgoing_mail_that_is_not_there(otrsd: Otrsd, site: Site, name: str):
    ran = otrsd("spool", "retry", "--out", name, "--yes")
    assert ran.code == 3
    assert ran.err.endswith("Try: otrsd spool list --out\n")
