"""Landing: what all matching rules together make of a mail.

The fold of rules alone (the journey also folds plugins in): the first rule to set a
field wins, tags and further fields add up, and each value knows whose it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from otrsd.language.rules import Applied
from otrsd.language.trials import SINGLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Landing:
    """Where a mail lands, as far as rules say so."""

    #: Field of ``SINGLE`` → value; absent where no rule sets it.
    values: Mapping[str, str | int] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    #: The ticket's own fields.
    fields: Mapping[str, str] = field(default_factory=dict)
    #: The rules that matched, in order.
    rules: tuple[str, ...] = ()
    #: Field of ``SINGLE`` → the rule that set it.
    owners: Mapping[str, str] = field(default_factory=dict)

    def plain(self) -> dict[str, object]:
        """Return it as a JSON value."""
        told: dict[str, object] = dict(self.values)
        return told | {
            "tags": list(self.tags),
            "fields": dict(self.fields),
            "rules": list(self.rules),
        }


def landing(applied: Iterable[Applied]) -> Landing:
    """Fold what the matching rules propose."""
    values: dict[str, str | int] = {}
    owners: dict[str, str] = {}
    tags: dict[str, None] = {}
    fields: dict[str, str] = {}
    rules: list[str] = []
    for each in applied:
        rules.append(each.rule)
        for name in SINGLE:
            value = getattr(each.changes, name)
            # A switch that a rule leaves alone is false.
            if value not in (None, False) and name not in values:
                values[name] = value
                owners[name] = each.rule
        tags |= dict.fromkeys(each.changes.tags)
        fields = {**each.changes.fields, **fields}
    return Landing(
        values=values,
        tags=tuple(tags),
        fields=fields,
        rules=tuple(rules),
        owners=owners,
    )
