from __future__ import annotations

import os
import signal
import stat
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from otrsd.channels.drop import PipeSettings, read_drop, write_pipe_json
from otrsd.ids import is_id
from otrsd.model.envelope import Envelope

Pipe = Callable[..., "subprocess.CompletedProcess[bytes]"]
Finished = Callable[[], list[Path]]
MAIL = b"From: ann@example.com\nSubject: Hello\n\nIt works?\n"


@pytest.fixture
def envelope(finished: Finished) -> Callable[[], Envelope]:
    """Read the envelope of the one finished drop file."""

    def read() -> Envelope:
        (path,) = finished()
        return read_drop(path).header.envelope

    return read


def test_a_mail_is_stored_whole_and_nothing_is_said(pipe: Pipe, finished: Finished):
    ran = pipe("-f", "ann@example.com", "--", "support@example.org")
    assert (ran.returncode, ran.stdout) == (0, b"")
    (path,) = finished()
    assert is_id(path.name)
    found = read_drop(path)
    assert b"".join(found.chunks) == MAIL
    assert found.header.envelope.mail_from == "ann@example.com"
    assert found.header.envelope.rcpt_tos == ("support@example.org",)
    assert found.header.envelope.peer == f"uid:{os.getuid()}"


def test_i04_only_the_owner_may_read_it(pipe: Pipe, finished: Finished):
    pipe(umask=0)
    assert stat.S_IMODE(finished()[0].stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [b"", b"\n\n", b" \t\r\n"])
def test_i03_an_empty_mail_is_65(pipe: Pipe, finished: Finished, content: bytes):
    ran = pipe(content=content)
    assert (ran.returncode, ran.stdout[:6]) == (65, b"5.6.0 ")
    assert finished() == []


def test_i03_a_closed_input_is_65(pipe: Pipe):
    ran = pipe(content=None, preexec_fn=lambda: os.close(0))
    assert ran.returncode == 65


def test_a_mail_at_the_limit_is_taken_and_one_octet_more_is_69(pipe: Pipe):
    assert pipe(content=b"x" * 100_000).returncode == 0
    ran = pipe(content=b"x" * 100_001)
    assert (ran.returncode, ran.stdout[:6]) == (69, b"5.3.4 ")


def test_i02_a_mail_that_is_too_large_is_read_to_its_end(pipe: Pipe):
    # A writer whose reader hangs up would get SIGPIPE: run fails then.
    assert pipe(content=b"x" * 20_000_000).returncode == 69


def test_a_large_limit_never_cuts_a_mail_off(pipe: Pipe, settings: PipeSettings):
    # More than is read of a mail that is refused anyway, and whole pieces.
    limit = 65 * 1024 * 1024
    write_pipe_json(
        settings.drop.parent / "pipe.json", replace(settings, max_size=limit)
    )
    assert pipe(content=b"x" * limit + b"y").returncode == 69


def test_i02_an_endless_input_is_not_read_for_ever(pipe: Pipe):
    with open("/dev/zero", "rb") as zeros:  # noqa: PTH123 - a device
        ran = pipe(content=None, stdin=zeros)
    assert ran.returncode == 69


def test_l05_a_loop_is_69(pipe: Pipe):
    assert pipe(content=b"Received: x\n" * 50 + b"\nhi").returncode == 0
    ran = pipe(content=b"received: x\n" * 51 + b"\nhi")
    assert (ran.returncode, ran.stdout[:6]) == (69, b"5.4.6 ")


def test_received_lines_of_the_body_do_not_count(pipe: Pipe):
    assert pipe(content=b"Subject: x\n\n" + b"Received: x\n" * 60).returncode == 0


@pytest.mark.parametrize(
    "recipient",
    ["support@example.org", "SUPPORT@Example.ORG", "support+42@example.org", "support"],
)
def test_strict_takes_what_is_a_queues(pipe: Pipe, recipient: str):
    assert pipe("--strict", "--", recipient).returncode == 0


def test_an_unknown_recipient_is_67_only_with_strict(pipe: Pipe, finished: Finished):
    ran = pipe("--strict", "--", "nobody@example.org")
    assert (ran.returncode, ran.stdout[:6]) == (67, b"5.1.1 ")
    assert pipe("nobody@example.org").returncode == 0
    assert len(finished()) == 1


@pytest.mark.parametrize(
    ("env", "rcpt_tos"),
    [
        ({"RECIPIENT": "support@example.org"}, ("support@example.org",)),
        (
            {"RECIPIENT": "support@example.org", "EXTENSION": "7"},
            ("support+7@example.org",),
        ),
        (
            {"RECIPIENT": "pipe@host", "ORIGINAL_RECIPIENT": "support@example.org"},
            ("support@example.org",),
        ),
        ({"ORIGINAL_RECIPIENT": "other@example.org"}, ("other@example.org",)),
        ({}, ()),
    ],
)
def test_the_mta_names_sender_and_recipient(
    pipe: Pipe,
    envelope: Callable[[], Envelope],
    env: dict[str, str],
    rcpt_tos: tuple[str, ...],
):
    pipe(env={"SENDER": "ann@example.com", **env})
    assert envelope().mail_from == "ann@example.com"
    assert envelope().rcpt_tos == rcpt_tos


def test_trace_fields_name_them_where_nobody_else_does(
    pipe: Pipe, envelope: Callable[[], Envelope]
):
    pipe(content=b"Return-Path: <bob@example.com>\nDelivered-To: x@example.org\n\nhi")
    assert envelope().mail_from == "bob@example.com"
    assert envelope().rcpt_tos == ("x@example.org",)


def test_the_null_reverse_path_is_empty(pipe: Pipe, envelope: Callable[[], Envelope]):
    pipe("-f", "<>", content=b"Return-Path: <forged@example.com>\n\nhi")
    assert envelope().mail_from == ""


@pytest.mark.parametrize(
    "hostile", ["-o/etc/x", "$(id)", '"; DROP', "a\nb@c", "\udcff@x", "{}\\u0000"]
)
def test_i07_what_a_macro_put_there_is_an_address_and_nothing_else(
    pipe: Pipe, envelope: Callable[[], Envelope], hostile: str
):
    assert pipe("-f", hostile, "--", hostile).returncode == 0
    assert len(envelope().rcpt_tos) == 1
    assert envelope().mail_from == envelope().rcpt_tos[0]


def test_i07_an_unknown_option_is_75_and_the_input_is_read(
    pipe: Pipe, finished: Finished
):
    ran = pipe("--frobnicate", content=b"x" * 1_000_000)
    assert (ran.returncode, ran.stdout[:6]) == (75, b"4.3.5 ")
    assert finished() == []


def test_the_last_option_without_its_value_is_75(pipe: Pipe):
    assert pipe("-f").returncode == 75


@pytest.mark.parametrize("text", ["", "{", '{"drop": 7}', "\udcff"])
def test_a_broken_pipe_json_is_75(pipe: Pipe, tmp_path: Path, text: str):
    (tmp_path / "pipe.json").write_text(text, errors="surrogateescape")
    assert pipe().returncode == 75


def test_i06_no_pipe_json_is_75_and_says_what_to_do(pipe: Pipe, tmp_path: Path):
    (tmp_path / "pipe.json").unlink()
    ran = pipe()
    assert (ran.returncode, b"otrsd check" in ran.stdout) == (75, True)


@pytest.mark.parametrize("name", ["-c", "$OTRSD_CONFIG", "here"])
def test_it_finds_its_state_beside_the_configuration(
    pipe: Pipe, tmp_path: Path, finished: Finished, name: str
):
    site = tmp_path / "site"
    (site / "var").mkdir(parents=True)
    (site / "otrsd.yaml").touch()
    (tmp_path / "pipe.json").rename(site / "var" / "pipe.json")
    config = str(site / "otrsd.yaml")
    env = {"OTRSD_STATE": "", "OTRSD_CONFIG": config if name[0] == "$" else ""}
    arguments = ["-c", config] if name == "-c" else []
    cwd = site if name == "here" else tmp_path
    assert pipe(*arguments, env=env, cwd=cwd).returncode == 0
    assert len(finished()) == 1


def test_a_file_size_limit_is_75_and_leaves_nothing(
    pipe: Pipe, finished: Finished, drop: Path
):
    import resource

    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))  # noqa: E731
    ran = pipe(content=b"x" * 5000, preexec_fn=limit)
    assert (ran.returncode, ran.stdout[:6]) == (75, b"4.3.1 ")
    assert finished() == []
    assert list((drop / "tmp").iterdir()) == []


def test_too_little_memory_is_75(pipe: Pipe, tmp_path: Path):
    import resource

    text = (tmp_path / "pipe.json").read_text().replace("100000", "60000000")
    (tmp_path / "pipe.json").write_text(text)
    limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (50 << 20, 50 << 20))  # noqa: E731
    ran = pipe(content=b"x" * 55_000_000, preexec_fn=limit)
    assert (ran.returncode, b"MemoryError" in ran.stdout) == (75, True)


def test_a_disk_below_its_floor_is_75(pipe: Pipe, tmp_path: Path):
    text = (tmp_path / "pipe.json").read_text()
    (tmp_path / "pipe.json").write_text(
        text.replace('"min_free": 0', '"min_free": 100')
    )
    ran = pipe()
    assert (ran.returncode, ran.stdout[:6]) == (75, b"4.3.1 ")


def _close_outputs() -> None:
    os.close(1)
    os.close(2)


@pytest.mark.parametrize("closed", [_close_outputs, lambda: os.close(1)])
def test_i04_closed_outputs_change_nothing(
    pipe: Pipe, finished: Finished, closed: Callable[[], None]
):
    assert pipe(preexec_fn=closed).returncode == 0
    assert b"".join(read_drop(finished()[0]).chunks) == MAIL


def test_i04_a_full_output_changes_no_exit_code(pipe: Pipe):
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        assert pipe(content=b"", stdout=full).returncode == 65


def test_i04_a_poor_environment_changes_nothing(
    pipe: Pipe, finished: Finished, tmp_path: Path
):
    import resource

    def poor() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))
        Path("gone").mkdir()
        os.chdir("gone")
        Path("../gone").rmdir()

    assert pipe(preexec_fn=poor, cwd=tmp_path).returncode == 0
    assert len(finished()) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGALRM])
def test_i02_the_alarm_or_a_signal_while_it_reads_is_75(
    drop: Path, environ: dict[str, str], number: int, finished: Finished
):
    import sys

    code = "import sys; from otrsd.pipe import main; sys.exit(main())"
    ran = subprocess.Popen(
        [sys.executable, "-c", code],
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert ran.stdin
    assert ran.stdout
    with ran, ran.stdin, ran.stdout:
        ran.stdin.write(b"Subject: half")
        ran.stdin.flush()
        _wait_until_it_reads(ran.pid)
        ran.send_signal(number)
        assert ran.wait(10) == 75
        assert ran.stdout.read(6) == b"4.3.0 "
    assert finished() == []


def _wait_until_it_reads(pid: int) -> None:
    """Wait until the kernel says that the process sleeps in a read of descriptor 0."""
    caught = Path(f"/proc/{pid}/status")
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        status = dict(
            line.split(":\t", 1)
            for line in caught.read_text().splitlines()
            if ":\t" in line
        )
        handled = int(status["SigCgt"], 16) >> (signal.SIGALRM - 1) & 1
        if handled and status["State"].startswith("S"):
            return
    pytest.fail("the pipe did not begin to read")


def test_it_imports_nothing_dear():
    import sys

    code = (
        "import sys; before = set(sys.modules); import otrsd.pipe;"
        "print(*sorted(set(sys.modules) - before))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    ours = {
        "otrsd",
        "otrsd.pipe",
        *(f"otrsd.pipe.{n}" for n in ("answer", "handover", "request")),
    }
    assert set(ran.stdout.split()) - ours <= {"__future__", "errno", "_sha256", "_sha2"}
