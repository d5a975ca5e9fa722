"""The keys of a measurement and their limits, the table that shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What a value must not pass."""

    value: float
    kind: Literal["most", "least"] = "most"

    def keeps(self, measured: float) -> bool:
        """Tell whether a value is within."""
        if self.kind == "most":
            return measured <= self.value
        return measured >= self.value

    def __str__(self) -> str:
        return f"{'≤' if self.kind == 'most' else '≥'} {self.value:g}"


#: Measurement → every key, in the order of the output; ``None``: only told.
LIMITS: Mapping[str, Mapping[str, Limit | None]] = {
    "ingest": {
        "cpu_ms_per_mail": Limit(value=7.0),
        "cpu_ms_per_mail_without_index": Limit(value=2.5),
        "accept_per_s": None,
        "accept_ratio_to_null": Limit(value=0.65, kind="least"),
        "accept_ratio_to_postfix": Limit(value=1.0, kind="least"),
        "searchable_per_s": None,
        "pipe_cpu_ratio": Limit(value=1.5),
        "pss_idle_mib": Limit(value=300.0),
        "pss_ratio_25mib": Limit(value=4.0),
        "write_p99_ms": Limit(value=500.0),
        "trace_bytes": Limit(value=1024.0),
    },
    "parse": {
        "cpu_ms_plain": None,
        "cpu_ratio_to_stdlib": Limit(value=0.8),
        "worst_ms": Limit(value=1000.0),
        "rss_peak_mib": Limit(value=200.0),
    },
    "rules": {
        "cpu_ms_per_mail": Limit(value=1.0),
        "ratio_to_naive": None,
        "check_s": Limit(value=2.0),
        "help_ms": Limit(value=150.0),
        # 10,000 mails in a minute.
        "backtest_mails_per_s": Limit(value=167.0, kind="least"),
    },
}


def missed(name: str, values: Mapping[str, float | None]) -> list[str]:
    """Return the keys whose limit is passed."""
    return [
        key
        for key, limit in LIMITS[name].items()
        if limit and (value := values.get(key)) is not None and not limit.keeps(value)
    ]


def table(name: str, values: Mapping[str, float | None]) -> str:
    """Return one line for each key: value, limit, verdict."""
    lines = []
    wrong = missed(name, values)
    for key in values:
        value, limit = values[key], LIMITS[name][key]
        shown = "not measured" if value is None else f"{value:.2f}"
        verdict = "" if value is None or limit is None else "ok"
        told = f"{limit}" if limit else ""
        verdict = "MISSED" if key in wrong else verdict
        lines.append(f"  {key:31}{shown:>13}   {told:8} {verdict}".rstrip())
    return "\n".join(lines)
