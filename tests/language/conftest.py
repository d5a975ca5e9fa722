"""A mail to ask, and rules made from YAML."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from otrsd.config.problem import Source
from otrsd.config.yaml import read
from otrsd.language.evaluate import MatchField
from otrsd.language.rules import Rules, compile_rules
from otrsd.model.envelope import Envelope
from otrsd.model.mail import Address, HeaderField, Mail, Part


@pytest.fixture
def mail() -> Mail:
    """Return a customer's question about an invoice."""
    return Mail(
        sha256="0" * 64,
        size=1000,
        subject="Frage zur RECHNUNG Nr. RE-20417",
        author=Address(name="Anna Müller", address="anna@mail.customer.example"),
        from_text="Anna Müller <anna@mail.customer.example>",
        to=(Address(name="Billing", address="billing@example.com"),),
        cc=(Address(address="boss@customer.example"),),
        text="Straße 5\nhost: db1\nPlease call me any time.",
        headers=(
            HeaderField(name="List-Id", value="<news.example.com>"),
            HeaderField(name="Received", value="from a"),
            HeaderField(name="Received", value="from b"),
        ),
        parts=(Part(path="2", content_type="application/pdf", filename="r.pdf"),),
    )


@pytest.fixture
def envelope() -> Envelope:
    """Return the envelope of that mail."""
    return Envelope(
        mail_from="anna@mail.customer.example",
        rcpt_tos=("billing+1@example.com",),
        received_at=datetime(2026, 11, 23, tzinfo=UTC),
    )


def made(text: str, fields: Mapping[str, MatchField] | None = None) -> Rules:
    """Compile the rules of a YAML text; queues support, billing and junk exist."""
    document = read(Source(name="rules.yaml", text=text))
    assert document.problems == ()
    named = {
        name: node.named_by(document.root.keys[name])
        for name, node in (document.root.map or {}).items()
    }
    return compile_rules(
        named,
        queues=["support", "billing", "junk"],
        match_fields=fields,
    )


@pytest.fixture
def rules() -> Callable[..., Rules]:
    """Return the function that compiles rules."""
    return made


@pytest.fixture
def matches(mail: Mail, envelope: Envelope) -> Callable[[str], bool]:
    """Return a function that tells whether a condition holds for the mail."""

    def holds(when: str, **fields: Any) -> bool:
        compiled = made(f"it: {{when: {{{when}}}, then: {{tag: x}}}}", fields)
        assert [p.render() for p in compiled.problems] == []
        ran = bool(compiled.run(mail, envelope, None))
        (tried,) = compiled.explain(mail, envelope, None)
        assert tried.matched is ran, "explain and run must agree"
        assert tried.why
        return ran

    return holds
