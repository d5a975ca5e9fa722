"""No message shows a password that stands in a file."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from otrsd.config.load import Examined

QUEUES = "queues: {support: {address: support@example.com}}\n"


@pytest.mark.parametrize(
    "send",
    [
        "{host: h, username: u, password: CANARY, tls: maybe}",
        "{password: 'CANARY, {x}', username: u, tls: maybe, host: h}",
        '{password: "CANARY, {x}", username: u, host: "a:b"}',
        "{host: h, username: u, password: 4711}",
        "{host: h, username: u, password: [CANARY]}",
        "\n  host: h\n  password: CANARY is long\n  tls: none\n  username: u",
    ],
)
def test_an_error_beside_a_password(send: str, site: Callable[..., Examined]):
    examined = site(f"{QUEUES}send: {send}\n")
    assert examined.config is None
    said = "\n".join(problem.render() for problem in examined.problems)
    assert "send" in said
    assert "CANARY" not in said
    assert "4711" not in said


def test_what_stays_readable(site: Callable[..., Examined]):
    (problem,) = site(f"{QUEUES}send: {{host: h, password: {{$env: NO}}}}").problems
    assert "$env: NO" in problem.render()
