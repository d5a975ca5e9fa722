"""T14: whatever happens to a file of the index is noticed, and mended from SQL."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from otrsd.clock import FakeClock, SystemClock
from otrsd.desk.search import Found
from otrsd.model.ticket import Ticket
from otrsd.relay.index_lane import IndexLane
from otrsd.search.backend import Document, IndexAwayError, State, Words
from otrsd.search.whoosh import WhooshIndex
from otrsd.store import schema
from otrsd.store.engine import Database

#: Left out by the quick round: servers, processes and waits.
pytestmark = pytest.mark.slow

FILES = ["*.trm", "*.pst", "*article.col", "*ticket.col", "_MAIN_*.toc", "otrsd.json"]


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def zeroed(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def flipped(path: Path) -> None:
    octets = bytearray(path.read_bytes())
    octets[len(octets) // 2] ^= 4
    path.write_bytes(octets)


def deleted(path: Path) -> None:
    path.unlink()


@pytest.fixture
def database(tmp_path: Path):
    made = Database(f"sqlite:///{tmp_path}/desk.db")
    schema.upgrade(made)
    yield made
    made.close()


@pytest.mark.parametrize("harm", [truncated, zeroed, flipped, deleted])
@pytest.mark.parametrize("name", [*FILES, "../CURRENT"])
def test_damage_is_noticed_at_start_and_mended(  # noqa: PLR0913, PLR0917 - fixtures
    harm: Callable[[Path], None],
    name: str,
    open_ticket: Callable[..., Ticket],
    find: Callable[..., Found],
    settle: Callable[[], None],
    database: Database,
    index: WhooshIndex,
    clock: FakeClock,
):
    open_ticket("Der Drucker brennt")
    settle()
    index.close()
    live = index.folder.live()
    assert live is not None
    harm(live.parent / "CURRENT" if "CURRENT" in name else next(live.glob(name)))
    again = WhooshIndex(index.folder.path, clock)
    assert not again.state(thorough=True).usable
    IndexLane(database, again, clock).turn()
    assert again.state(thorough=True).state is State.OK
    clock.advance(timedelta(seconds=2))
    assert [t.id for t in find("drucker").tickets] == [1]
    again.close()


def test_damage_found_by_a_search_is_mended_by_the_lane(
    open_ticket: Callable[..., Ticket],
    find: Callable[..., Found],
    settle: Callable[[], None],
    index: WhooshIndex,
):
    open_ticket("Der Drucker brennt")
    settle()
    live = index.folder.live()
    assert live is not None
    flipped(next(live.glob("*.pst")))
    found = find("drucker brennt der")
    assert found.index.state is State.CORRUPT
    assert not found.tickets
    # What needs no words works all the time.
    assert len(find("queue:support").tickets) == 1
    settle()
    assert len(find("drucker brennt der").tickets) == 1


def test_a_folder_that_is_gone_is_built_anew(
    open_ticket: Callable[..., Ticket],
    find: Callable[..., Found],
    settle: Callable[[], None],
    index: WhooshIndex,
):
    open_ticket("Der Drucker brennt")
    settle()
    subprocess.run(["rm", "-r", index.folder.path], check=True)
    settle()
    assert len(find("drucker").tickets) == 1


_WRITER = """
import sys
from pathlib import Path
from otrsd.clock import SystemClock
from otrsd.search.backend import Document
from otrsd.search.whoosh import WhooshIndex
index = WhooshIndex(Path(sys.argv[1]), SystemClock())
n = index.newest()
while True:
    n += 1
    words = " ".join(f"w{n}x{i}" for i in range(300))
    index.apply([Document(article_id=n, ticket_id=n, body=f"alle nr{n} " + words)])
    print(n, flush=True)
"""


@pytest.mark.slow
def test_a_kill_in_a_commit_loses_nothing_that_was_committed(tmp_path: Path):
    index = WhooshIndex(tmp_path / "index", SystemClock())
    index.rebuild(iter(()), 0, lambda _done, _total: None)
    said = 0
    for round_ in range(10):
        writer = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", _WRITER, str(tmp_path / "index")],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert writer.stdout is not None
        for _ in range(3 + round_ % 4):
            said = int(writer.stdout.readline())
        writer.kill()
        said = max([said, *map(int, writer.stdout.read().split())])
        writer.wait()
        writer.stdout.close()
        reader = WhooshIndex(tmp_path / "index", SystemClock())
        assert reader.state(thorough=True).state is State.OK
        found = reader.search(Words(text="alle"), limit=None).ticket_ids
        # At most the one commit whose word did not reach us.
        assert len(found) - said in {0, 1}
        reader.close()
    index.sweep()
    live = index.folder.live()
    assert live is not None
    assert not [*live.glob("*.new"), *live.glob("*.tmp")]
    index.apply([Document(article_id=10**6, ticket_id=1, body="danach")])
    assert index.search(Words(text="danach"), limit=1).ticket_ids == (1,)
    index.close()


@pytest.mark.slow
def test_a_second_writer_waits_for_the_first(filled: WhooshIndex, clock: FakeClock):
    script = _WRITER.replace("while True:", "for _ in range(1):")
    with filled.folder.writing():
        other = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", script, str(filled.folder.path)],
            stdout=subprocess.PIPE,
        )
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(1.5)
    assert other.wait(30) == 0
    assert other.stdout is not None
    other.stdout.close()
    assert filled.search(Words(text="nr4"), limit=1).ticket_ids == (4,)


def test_a_full_disk_leaves_the_index_as_it_was(filled: WhooshIndex):
    script = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from otrsd.clock import SystemClock\n"
        "from otrsd.search.backend import Document\n"
        "from otrsd.search.whoosh import WhooshIndex\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "index = WhooshIndex(Path(sys.argv[1]), SystemClock())\n"
        "text = ' '.join(f'w{i}' for i in range(5000))\n"
        "index.apply([Document(article_id=8, ticket_id=8, body=text)])\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, str(filled.folder.path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "IndexFullError" in done.stderr
    assert filled.state(thorough=True).state is State.OK
    filled.apply([Document(article_id=8, ticket_id=8, body="w17")])
    assert filled.search(Words(text="w17"), limit=1).ticket_ids == (8,)


def test_a_missing_index_is_no_damage(index: WhooshIndex):
    with pytest.raises(IndexAwayError):
        index.apply([Document(article_id=1, ticket_id=1, body="x")])
    assert not index.folder.damage()
