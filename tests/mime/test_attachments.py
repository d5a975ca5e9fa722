"""The words of attachments, and files that mean harm (A08, M)."""

from __future__ import annotations

import io
import zipfile
from time import perf_counter

import pytest

from otrsd.mime.attachments import NoWordsError, words_of
from otrsd.mime.words import PART_CHARACTERS, kind_of

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
OFFICE = "urn:oasis:names:tc:opendocument:xmlns:office:1.0"
TEXT = "urn:oasis:names:tc:opendocument:xmlns:text:1.0"
DOCX = (
    f'<w:document xmlns:w="{W}"><w:body>'
    "<w:p><w:r><w:t>Tinten</w:t></w:r><w:r><w:t>patrone</w:t></w:r></w:p>"
    "<w:p><w:r><w:instrText>HIDDEN</w:instrText><w:t>Grüße</w:t></w:r></w:p>"
    "</w:body></w:document>"
)
ODT = (
    f'<office:document-content xmlns:office="{OFFICE}" xmlns:text="{TEXT}">'
    "<office:body><text:p>Angebot<text:tab/>4711</text:p><text:p>Ende</text:p>"
    "</office:body></office:document-content>"
)


def zipped(**members: str | bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name.replace("__", "/") + ".xml", text)
    return made.getvalue()


def pdf(*pages: str, more: bytes = b"") -> bytes:
    """Make a small PDF by hand."""
    kids = " ".join(f"{4 + 2 * n} 0 R" for n in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for n, text in enumerate(pages):
        font = "/Resources << /Font << /F1 3 0 R >> >>"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] {font} "
            f"/Contents {5 + 2 * n} 0 R >>".encode()
        )
        stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode()
        objects.append(
            b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream)
        )
    made, places = b"%PDF-1.4\n" + more, []
    for n, one in enumerate(objects, start=1):
        places.append(len(made))
        made += b"%d 0 obj\n%s\nendobj\n" % (n, one)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    count = len(objects) + 1
    return made + (
        b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R >>\n"
        b"startxref\n%d\n%%%%EOF\n" % (count, table, count, len(made))
    )


@pytest.mark.parametrize(
    ("kind", "octets", "words"),
    [
        ("docx", zipped(word__document=DOCX), "Tintenpatrone Grüße"),
        ("odt", zipped(content=ODT), "Angebot 4711 Ende"),
        ("xlsx", zipped(xl__sharedStrings="<a><si><t>Soll</t></si></a>"), "Soll"),
        ("pptx", zipped(ppt__slides__slide1="<a><p><t>Folie</t></p></a>"), "Folie"),
        ("text", "Müller;12\r\n".encode("cp1252"), "Müller;12"),
        ("html", b"<p>one<p>two<script>three</script>", "one two"),
        ("pdf", pdf("Invoice 4711", "second page"), "Invoice 4711 second page"),
    ],
)
def test_a_file_gives_its_words(kind: str, octets: bytes, words: str):
    assert " ".join(words_of(kind, octets).split()) == words


@pytest.mark.parametrize(
    ("content_type", "name", "kind"),
    [
        ("application/pdf", "x", "pdf"),
        ("application/octet-stream", "Scan.PDF", "pdf"),
        ("application/octet-stream", "x.exe", ""),
        ("image/png", "x.pdf", ""),
        ("text/csv", "", "text"),
        ("application/zip", "x.zip", ""),
    ],
)
def test_the_type_tells_and_the_name_only_where_it_is_vague(
    content_type: str, name: str, kind: str
):
    assert kind_of(content_type, name) == kind


def test_a08_a_zip_bomb_ends_at_its_limit():
    bomb = zipped(word__document=f'<w:document xmlns:w="{W}">'.encode() + b" " * 10**8)
    begun = perf_counter()
    with pytest.raises(NoWordsError, match="more than 64 MiB in it"):
        words_of("docx", bomb)
    assert perf_counter() - begun < 5


def test_a08_text_without_end_is_cut():
    long = f'<w:document xmlns:w="{W}"><w:t>{"word " * 2_000_000}</w:t></w:document>'
    assert len(words_of("docx", zipped(word__document=long))) == PART_CHARACTERS


def test_a08_a_zip_of_other_files_opens_none_of_them():
    with pytest.raises(NoWordsError, match="not the document"):
        words_of("docx", zipped(inner="<a/>"))


def test_a08_entities_are_not_read_at_all():
    laughs = '<!DOCTYPE a [<!ENTITY b "haha"><!ENTITY c "&b;&b;">]><a>&c;</a>'
    with pytest.raises(NoWordsError, match="DTD"):
        words_of("odt", zipped(content=laughs))


def test_a_part_that_is_too_large_is_not_opened():
    with pytest.raises(NoWordsError, match="more than 32 MiB"):
        words_of("text", bytes(33 * 2**20))


def test_a_message_within_gives_who_wrote_what():
    message = (
        b"From: kim@customer.example\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\n\nToner"
    )
    assert kind_of("message/rfc822", "") == "message"
    assert words_of("message", message).split() == [
        *("Grüße", "kim@customer.example", "Toner"),
    ]
