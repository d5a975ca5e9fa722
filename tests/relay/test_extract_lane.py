"""Words of attachments get into the index, whatever a file does to its reader."""

from __future__ import annotations

import email
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from time import monotonic

import pytest
import structlog
from structlog.testing import capture_logs

from otrsd.clock import FakeClock
from otrsd.daemon.roles import Wanted
from otrsd.daemon.runs import roles_of
from otrsd.model.ticket import Ticket
from otrsd.relay.extract_lane import ExtractLane
from otrsd.relay.extractor import Extractor
from otrsd.store import outbox, part_text
from otrsd.store.engine import Database
from otrsd.testing import SITE, Site
from tests.controls import Quiet
from tests.mime.test_attachments import pdf

#: Left out by the quick round: servers, processes and waits.
pytestmark = pytest.mark.slow


def mail(*files: tuple[str, str, bytes]) -> bytes:
    """A mail with these attachments (name, type, octets)."""
    made = EmailMessage()
    made["From"], made["To"] = "kim@customer.example", "support@example.com"
    made["Subject"] = "with files"
    made.set_content("See the files.")
    for name, kind, octets in files:
        main, _, sub = kind.partition("/")
        made.add_attachment(octets, maintype=main, subtype=sub, filename=name)
    return made.as_bytes()


INVOICE = ("invoice.pdf", "application/pdf", pdf("Tintenpatrone 4711"))
BROKEN = ("broken.pdf", "application/pdf", b"%PDF-1.4 nothing else")
NOTE = ("note.txt", "text/plain", b"Zahnrad")


@pytest.fixture
def reader(clock: FakeClock) -> Iterator[Extractor]:
    made = Extractor(clock)
    yield made
    made.close()


@pytest.fixture
def work(otrsd_app: Site, reader: Extractor) -> Callable[[], ExtractLane]:
    """Let the lane do all there is to do."""

    def run() -> ExtractLane:
        lane = lane_of(otrsd_app.app.database, otrsd_app.clock, reader)
        while lane.turn():
            pass
        return lane

    return run


def lane_of(database: Database, clock: FakeClock, reader: Extractor) -> ExtractLane:
    return ExtractLane(
        database=database,
        clock=clock,
        control=Quiet(name="extract"),
        log=structlog.get_logger(),
        extractor=reader,
    )


def known(site: Site, ticket: Ticket) -> Mapping[tuple[int, str], tuple[int, str]]:
    with site.app.database.read() as connection:
        return part_text.of_tickets(connection, [ticket.id])


def owed(site: Site) -> int:
    with site.app.database.read() as connection:
        return outbox.count_kinds(connection).get("extract", 0)


def test_a_word_of_a_pdf_is_found(otrsd_app: Site, work: Callable[[], ExtractLane]):
    otrsd_app.deliver(mail(INVOICE))
    assert otrsd_app.search("Tintenpatrone") == ()
    work()
    assert len(otrsd_app.search("Tintenpatrone")) == 1
    assert len(otrsd_app.search("attachment:tintenpatronen")) == 1
    assert otrsd_app.search("body:Tintenpatrone") == ()


def test_words_of_a_message_within_and_of_its_attachments_are_found(
    otrsd_app: Site, work: Callable[[], ExtractLane]
):
    forwarded = EmailMessage()
    forwarded["Subject"] = "Fwd"
    forwarded.add_attachment(email.message_from_bytes(mail(INVOICE, NOTE)))
    otrsd_app.deliver(forwarded.as_bytes())
    work()
    for word in ("kim@customer.example", "Tintenpatrone", "Zahnrad"):
        assert len(otrsd_app.search(f'attachment:"{word}"')) == 1


def test_a_mail_without_such_parts_owes_nothing(otrsd_app: Site):
    otrsd_app.deliver(mail(("logo.png", "image/png", b"PNG")))
    assert owed(otrsd_app) == 0


def test_a_part_that_cant_be_read_costs_its_words_and_nothing_else(
    otrsd_app: Site, work: Callable[[], ExtractLane]
):
    outcome = otrsd_app.deliver(mail(BROKEN, NOTE))
    with capture_logs() as lines:
        work()
    (ticket,) = otrsd_app.search("Zahnrad")
    assert ticket.id == outcome.ticket_id
    assert [line["part"] for line in lines if line["event"] == "words.missing"] == ["2"]
    assert "can't be read" in "".join(r for _, r in known(otrsd_app, ticket).values())
    assert owed(otrsd_app) == 0


def test_the_words_survive_a_rebuild_of_the_index(
    otrsd_app: Site, work: Callable[[], ExtractLane]
):
    from otrsd.desk.search import rebuild

    otrsd_app.deliver(mail(INVOICE))
    work()
    app = otrsd_app.app
    rebuild(app.database, app.index, lambda _done, _total: None)
    assert len(otrsd_app.search("Tintenpatrone")) == 1


def test_paying_twice_changes_nothing(otrsd_app: Site, work: Callable[[], ExtractLane]):
    otrsd_app.deliver(mail(INVOICE))
    work()
    with otrsd_app.app.database.write() as connection:
        outbox.add(connection, "extract", [""], ["1", "999"], otrsd_app.clock.now())
    work()
    assert len(otrsd_app.search("Tintenpatrone")) == 1
    assert owed(otrsd_app) == 0


def misled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: str) -> None:
    """Let the child run ``program`` before it reads anything."""
    folder = tmp_path / "child"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(program.replace("FOLDER", str(tmp_path)))
    path = f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    monkeypatch.setenv("PYTHONPATH", f"{path}{os.pathsep}{Path.cwd()}")


HANG = """
from otrsd.mime import attachments
plain = attachments._READERS["text"]
def read(octets):
    if octets.startswith(b"hang"):
        while True: pass
    if octets.startswith(b"die"):
        import os, signal; os.kill(os.getpid(), signal.SIGKILL)
    if octets.startswith(b"eat"):
        return "x" * 10**10
    if octets.startswith(b"write"):
        import os; os.write(os.open("FOLDER/x", os.O_CREAT | os.O_WRONLY), b"x")
    return plain(octets)
attachments._READERS["text"] = read
"""


def text(octets: bytes) -> tuple[str, str, bytes]:
    return ("x.txt", "text/plain", octets)


def read(reader: Extractor, *octets: bytes) -> list[tuple[str, str]]:
    parts = [(str(n), "text") for n in range(2, len(octets) + 2)]
    found = reader.words(mail(*map(text, octets)), parts)
    assert [each.path for each in found] == [path for path, _ in parts]
    return [(each.text.strip(), each.reason) for each in found]


@pytest.mark.slow
def test_a08_a_reader_that_hangs_or_dies_is_replaced_and_the_rest_is_read(
    clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    misled(monkeypatch, tmp_path, HANG)
    reader = Extractor(clock, seconds=2)
    begun = monotonic()
    found = read(reader, b"one", b"hang", b"two", b"die", b"three")
    reader.close()
    assert [words for words, _ in found] == ["one", "", "two", "", "three"]
    assert found[1][1] == "it took more than 2 seconds"
    assert found[3][1] == "the extractor died of signal 9"
    assert monotonic() - begun < 20


def test_a08_a_reader_that_dies_again_and_again_is_given_up(
    clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    misled(monkeypatch, tmp_path, HANG)
    reader = Extractor(clock)
    found = read(reader, *[b"die"] * 5)
    reader.close()
    assert [reason for _, reason in found].count(
        "not tried: other parts killed the extractor"
    ) == 2


def test_a08_memory_and_files_are_limited(
    clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    misled(monkeypatch, tmp_path, HANG)
    reader = Extractor(clock)
    found = read(reader, b"eat", b"write", b"one")
    reader.close()
    assert found[0] == ("", "it needs more than 512 MiB")
    assert "File too large" in found[1][1]
    assert found[2] == ("one", "")


def test_a_child_reads_many_mails_and_ends_when_its_lane_dies(clock: FakeClock):
    reader = Extractor(clock)
    assert read(reader, b"one") == read(reader, b"one") == [("one", "")]
    child = reader._child
    assert child is not None
    assert reader._socket is not None
    reader._socket.close()
    assert child.wait(10) == 0


def test_a_child_that_was_killed_while_it_waited_costs_nothing(reader: Extractor):
    assert read(reader, b"one") == [("one", "")]
    assert reader._child is not None
    os.kill(reader._child.pid, signal.SIGKILL)
    reader._child.wait(10)
    assert read(reader, b"two") == [("two", "")]


def test_the_child_gets_nothing_of_our_environment(
    clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OTRSD_TEST_SECRET", "sesame")
    reader = Extractor(clock)
    read(reader, b"one")
    assert reader._child is not None
    environ = Path(f"/proc/{reader._child.pid}/environ").read_bytes()
    reader.close()
    assert b"sesame" not in environ


_LANE = """
import sys
from pathlib import Path
import structlog
from otrsd.clock import SystemClock
from otrsd.relay.extract_lane import ExtractLane
from otrsd.relay.extractor import Extractor
from otrsd.store.engine import Database
from tests.controls import Quiet
database = Database(f"sqlite:///{sys.argv[1]}/var/desk.db")
lane = ExtractLane(database=database, clock=SystemClock(),
                   control=Quiet(name="extract"),
                   log=structlog.get_logger(), extractor=Extractor(SystemClock()))
lane.turn()
"""


def test_a_kill_of_the_lane_loses_nothing(
    otrsd_app: Site,
    work: Callable[[], ExtractLane],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    otrsd_app.deliver(mail(INVOICE))
    (tmp_path / "relay.leased").touch()
    died = subprocess.run(
        [sys.executable, "-c", _LANE, str(otrsd_app.root)],
        check=False,
        env={**os.environ, "OTRSD_FAILPOINT_DIR": str(tmp_path)},
    )
    assert died.returncode == -signal.SIGKILL
    assert owed(otrsd_app) == 1
    otrsd_app.clock.advance(timedelta(days=400))
    work()
    assert len(otrsd_app.search("Tintenpatrone")) == 1


def test_a_large_batch_is_cut_to_what_fits_into_memory(
    otrsd_app: Site, monkeypatch: pytest.MonkeyPatch, work: Callable[[], ExtractLane]
):
    monkeypatch.setattr(part_text, "BATCH_CHARACTERS", 10)
    for _ in range(3):
        otrsd_app.deliver(mail(NOTE))
    work()
    with otrsd_app.app.database.read() as connection:
        assert part_text.fitting(connection, [1, 2, 3]) == 1
    assert len(otrsd_app.search("Zahnrad")) == 3


@pytest.mark.parametrize("is_on", [True, False])
def test_a_site_may_leave_attachments_alone(otrsd_app: Site, *, is_on: bool):
    asked = f"name: Test, read_attachments: {str(is_on).lower()}"
    otrsd_app.configure(SITE.replace("name: Test", asked))
    otrsd_app.deliver(mail(INVOICE))
    assert owed(otrsd_app) == is_on
    names = [role.name for role in roles_of(otrsd_app.app, Wanted())]
    assert ("extract" in names) == is_on
