from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from otrsd.relay.patience import Patience
from otrsd.relay.submission import Line, Smarthost, Submitted, submit
from tests.controls import Quiet
from tests.relay.conftest import Certificates, Sink

MAIL = b"Message-ID: <1@example.com>\r\nSubject: x\r\n\r\n.\r\nHello\r\n"
TO = ("kim@customer.example",)


def sent(port: int, **changes: object) -> Submitted:
    return submit(smarthost(port, **changes), "support@example.com", TO, MAIL)


def smarthost(port: int, **changes: object) -> Smarthost:
    values = {"host": "127.0.0.1", "tls": "none", "hostname": "t.example.com"}
    return Smarthost(port=port, **{"timeout": 1.0} | values | changes)  # type: ignore[arg-type]


def test_it_is_handed_over_as_it_is(listening: Callable[..., int], sink: Sink):
    assert sent(listening()).refused == {}
    (mail,) = sink.taken
    assert (mail.mail_from, mail.rcpt_tos) == ("support@example.com", list(TO))
    assert mail.content == MAIL


def test_by_starttls_with_a_certificate_that_is_trusted(
    listening: Callable[..., int], certificates: Certificates, sink: Sink
):
    port = listening(tls_context=certificates.server, require_starttls=True)
    assert sent(port, tls="required", ca_file=certificates.ca_file).refused == {}
    assert len(sink.taken) == 1


def test_a_certificate_that_is_not_trusted_gets_nothing(
    listening: Callable[..., int], certificates: Certificates, sink: Sink
):
    port = listening(tls_context=certificates.server)
    result = sent(port, tls="required")
    assert "not trusted" in result.refused[TO[0]].text
    assert (result.is_away, result.refused[TO[0]].is_permanent) == (True, False)
    assert sink.taken == []


def test_without_starttls_nothing_goes_in_clear(
    listening: Callable[..., int], sink: Sink
):
    login = {"username": "otrsd", "password": "sesame"}
    result = sent(listening(), tls="required", **login)
    assert "STARTTLS" in result.refused[TO[0]].text
    assert (sink.taken, sink.logins) == ([], [])


@pytest.mark.slow
@pytest.mark.parametrize(("password", "taken"), [("sesame", 1), ("wrong", 0)])
def test_login(
    listening: Callable[..., int],
    certificates: Certificates,
    sink: Sink,
    password: str,
    taken: int,
):
    port = listening(
        tls_context=certificates.server,
        authenticator=sink.authenticate,
        auth_required=True,
    )
    result = sent(
        port,
        tls="required",
        ca_file=certificates.ca_file,
        username="otrsd",
        password=password,
    )
    assert len(sink.taken) == taken
    refused = result.refused.get(TO[0])
    assert (refused is None) == bool(taken)
    # A wrong password is our mistake, not the mail's.
    assert refused is None or (result.is_away and "wrong" not in refused.text)


def test_opportunistic_takes_what_there_is(
    listening: Callable[..., int], certificates: Certificates, sink: Sink
):
    assert sent(listening(), tls="opportunistic").refused == {}
    port = listening(tls_context=certificates.server, require_starttls=True)
    assert sent(port, tls="opportunistic").refused == {}


def test_nobody_listens():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        result = sent(taken.getsockname()[1])
    assert result.is_away
    assert "refused" in result.refused[TO[0]].text


@pytest.mark.slow
def test_a_server_that_says_nothing_ends_by_itself():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        result = sent(silent.getsockname()[1])
    assert result.is_away
    assert not result.refused[TO[0]].is_permanent


@pytest.mark.parametrize("after", ["drop", "hang"])
def test_no_answer_after_the_dot_is_for_now(
    listening: Callable[..., int], sink: Sink, after: str
):
    sink.after = after
    result = sent(listening())
    refused = result.refused[TO[0]]
    assert (result.is_away, refused.is_permanent) == (False, False)


@pytest.mark.parametrize("step", ["mail", "data"])
@pytest.mark.parametrize(("code", "is_permanent"), [(451, False), (552, True)])
def test_a_refusal_says_for_how_long(
    listening: Callable[..., int],
    sink: Sink,
    step: str,
    code: int,
    *,
    is_permanent: bool,
):
    setattr(sink, step, f"{code} 5.7.1 Not this one")
    result = sent(listening())
    refused = result.refused[TO[0]]
    assert refused.text == f"{code} 5.7.1 Not this one"
    assert (result.is_away, refused.is_permanent) == (False, is_permanent)


class Asked(Quiet):
    """A Control that is asked to stop once the sink has the mail."""

    def __init__(self, sink: Sink) -> None:
        super().__init__(name="mail")
        self.sink = sink

    def stopping(self) -> bool:
        return bool(self.sink.taken)


def test_o05_a_stop_breaks_off_what_hangs(listening: Callable[..., int], sink: Sink):
    sink.after = "hang"
    submitting = Patience(
        smarthost=smarthost(listening(), timeout=60.0), control=Asked(sink), grace=0.1
    )
    refused = submitting("support@example.com", TO, MAIL).refused
    assert not refused[TO[0]].is_permanent


def test_o05_a_line_that_was_cut_sends_nothing(
    listening: Callable[..., int], sink: Sink
):
    line = Line()
    line.cut()
    result = submit(smarthost(listening()), "support@example.com", TO, MAIL, line)
    assert (sink.taken, result.is_away) == ([], True)
