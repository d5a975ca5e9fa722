"""The words of attachments, on every database."""

from __future__ import annotations

from otrsd.desk.unit import Desk
from otrsd.store import part_text
from otrsd.store.part_text import PartText


def test_words_are_replaced_and_told_by_article(desk: Desk):
    with desk.database.write() as connection:
        part_text.replace(connection, 7, [PartText(path="2", text="old")])
        part_text.replace(
            connection,
            7,
            [PartText(path="2", text="Zahnräder 🦷"), PartText(path="3", reason="no")],
        )
    with desk.database.read() as connection:
        assert part_text.texts(connection, [7, 8]) == {7: "Zahnräder 🦷"}
        assert part_text.fitting(connection, [7, 8]) == 2
        assert part_text.of_tickets(connection, [1]) == {}


def test_a_megabyte_of_words_fits(desk: Desk):
    text = "wörter " * 150_000
    with desk.database.write() as connection:
        part_text.replace(connection, 7, [PartText(path="2", text=text)])
    with desk.database.read() as connection:
        assert part_text.texts(connection, [7]) == {7: text}
