"""``python -m otrsd.mime``: one JSON line a mail, whatever the mail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from otrsd.mime import __main__ as command, report

SPAM_PLUGIN = Path(__file__).parents[2] / "plugins" / "spam.py"


def run(*paths: Path | str) -> tuple[int, list[dict[str, Any]], str]:
    done = subprocess.run(
        [sys.executable, "-m", "otrsd.mime", *map(str, paths)],
        capture_output=True,
        check=False,
        timeout=60,
    )
    lines = done.stdout.decode("ascii").splitlines()
    return done.returncode, [json.loads(line) for line in lines], done.stderr.decode()


def lines_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *paths: Path
) -> list[dict[str, Any]]:
    assert command.main([*map(str, paths)]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_every_file_below_a_folder_is_one_line_whatever_it_is(tmp_path: Path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "mail").write_bytes(
        b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\n\n"
    )
    (tmp_path / "empty.eml").write_bytes(b"")
    (tmp_path / "noise").write_bytes(os.urandom(3000).replace(b":", b""))
    code, lines, told = run(tmp_path)
    assert (code, told) == (0, "")
    assert {x["file"] for x in lines} == {
        f"{tmp_path}/{name}" for name in ("deep/mail", "empty.eml", "noise")
    }
    found = {Path(x["file"]).name: x for x in lines}
    assert found["mail"]["subject"] == "Grüße"
    assert found["empty.eml"]["defects"] == ["the mail is empty"]
    assert "no mail" in found["noise"]["defects"][0]


def test_the_keys_are_those_that_were_agreed_upon(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"From: A <a@b.example>\n\nhello\n-- \nAnna\n")
    _, (line,), _ = run(tmp_path / "a")
    assert set(line) == {
        *("file", "subject", "from_addr", "from_name", "text", "html", "attachments"),
        *("auto", "bounce", "spam", "reply_text", "signature", "defects"),
    }


def test_a_file_that_cannot_be_opened_is_told_and_the_others_are_read(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"Subject: x\n\n")
    code, lines, told = run(tmp_path / "missing", tmp_path / "a")
    assert (code, len(lines)) == (1, 1)
    assert told.startswith(f"error: {tmp_path}/missing: No such file")


def test_whoever_has_read_enough_gets_no_traceback(tmp_path: Path):
    for number in range(300):
        (tmp_path / f"{number}").write_bytes(b"Subject: x\n\n" + b"x" * 1000)
    command = [sys.executable, "-m", "otrsd.mime", str(tmp_path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        run.stdout.readline()
        run.stdout.close()
        assert run.stderr.read() == b""


def test_a_mail_that_overruns_is_a_line_and_the_next_one_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    os.mkfifo(tmp_path / "a")
    (tmp_path / "b").write_bytes(b"Subject: x\n\n")
    monkeypatch.setattr(command, "SECONDS", 0.2)
    slow, quick = lines_of(monkeypatch, capsys, tmp_path / "a", tmp_path / "b")
    assert slow["defects"] == ["reading took more than 0.2 s: given up"]
    assert (quick["subject"], quick["defects"]) == ("x", [])


def test_a_mail_that_takes_too_much_memory_is_a_line_and_the_next_one_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    with (tmp_path / "a").open("wb") as file:
        file.truncate(600 << 20)
    (tmp_path / "b").write_bytes(b"Subject: x\n\n")
    big, small = lines_of(monkeypatch, capsys, tmp_path / "a", tmp_path / "b")
    assert big["defects"] == ["reading took more than 512 MiB: given up"]
    assert small["subject"] == "x"


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_without_a_path_it_says_how_it_is_used(arguments: list[str]):
    code, lines, told = run(*arguments)
    assert (code, lines) == (2, [])
    assert told.startswith("usage: python -m otrsd.mime PATH")


def test_the_spam_plugin_and_the_report_read_the_same_fields():
    namespace: dict[str, Any] = {}
    exec(compile(SPAM_PLUGIN.read_text(), SPAM_PLUGIN, "exec"), namespace)  # noqa: S102
    spam = {
        name: tuple(start for start, meaning in rows if meaning == "spam")
        for name, rows in namespace["MEANINGS"].items()
    }
    assert {name: rows for name, rows in spam.items() if rows} == report.SPAM


@pytest.mark.parametrize(
    ("field", "address", "name"),
    [
        ("From: Doe, Jo <j@x.example>", "j@x.example", "Doe, Jo"),
        ("From: Jo Doe j@x.example", "j@x.example", "Jo Doe"),
        ("From: Jo <j@x.example", "j@x.example", "Jo"),
        ("From: j.@docomo.example", "j.@docomo.example", ""),
        ("From: =?utf-8?q?J=C3=B6_<j=40x.example>?=", "j@x.example", "Jö"),
        ("From: Cron Daemon <root>", "root", "Cron Daemon"),
        ("From: [?]\nFrom: Jo <j@x.example>", "j@x.example", "Jo"),
        ("Reply-To: Jo <j@x.example>", "j@x.example", "Jo"),
        ("From: nobody at all", "", ""),
    ],
)
def test_the_report_tells_the_author_whatever_the_syntax(
    field: str, address: str, name: str
):
    told = report.report(f"{field}\n\nhi\n".encode())
    assert (told["from_addr"], told["from_name"]) == (address, name)
