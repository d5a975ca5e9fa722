"""``/metrics``: what Prometheus reads; measured when it is asked for, or added up.

Names and units follow https://prometheus.io/docs/practices/naming/. Labels are queues,
states, plugins and process names, which the site's own files bound: no address, no
subject. A part that can't be measured is left out, and ``otrsd_up`` of it is 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from itertools import accumulate

from prometheus_client.core import (
    CollectorRegistry,
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from otrsd import __version__
from otrsd.app import App
from otrsd.counters import CLASS_NAMES, FAMILIES, FOLDER, SUM, Family, read_all
from otrsd.daemon import reload, status
from otrsd.desk import outgoing
from otrsd.errors import OtrsdError
from otrsd.store import figures, index_todo

#: Of the text that :func:`exposition` returns.
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exposition(app: App) -> bytes:
    """Return the text of all metrics."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Measured(app))
    return generate_latest(registry)


class _Measured(Collector):
    """Measures at every scrape; keeps nothing."""

    def __init__(self, app: App) -> None:
        self._app = app

    def collect(self) -> Iterator[Metric]:
        """Yield every metric there is."""
        up = GaugeMetricFamily("otrsd_up", "Whether it can be measured.", labels=["of"])
        parts: dict[str, Callable[[App], Iterator[Metric]]] = {
            "daemon": _of_daemon,
            "spool": _of_spool,
            "desk": _of_desk,
            "processes": _of_processes,
        }
        for name, measure in parts.items():
            try:
                found = list(measure(self._app))
            except (OtrsdError, OSError):
                up.add_metric([name], 0)
                continue
            up.add_metric([name], 1)
            yield from found
        yield up


def _of_daemon(app: App) -> Iterator[Metric]:
    build = GaugeMetricFamily(
        "otrsd_build_info", "The version that runs.", labels=["version"]
    )
    build.add_metric([__version__], 1)
    yield build
    last = reload.read(app.state)
    yield _one(
        "otrsd_config_last_reload_successful",
        "Whether the last reload has succeeded.",
        float(last.ok),
    )
    if last.succeeded_at:
        yield _one(
            "otrsd_config_last_reload_success_timestamp_seconds",
            "When the configuration in force was loaded.",
            datetime.fromisoformat(last.succeeded_at).timestamp(),
        )
    found = status.read(app.state)
    lives = GaugeMetricFamily(
        "otrsd_process_up", "Whether a process lives.", labels=["process"]
    )
    restarts = GaugeMetricFamily(
        "otrsd_process_restarts", "Its restarts so far.", labels=["process"]
    )
    for process in found.processes if found else ():
        lives.add_metric([process.name], float(process.pid > 0))
        restarts.add_metric([process.name], process.restarts)
    yield lives
    yield restarts


def _of_spool(app: App) -> Iterator[Metric]:
    messages = GaugeMetricFamily(
        "otrsd_spool_messages", "Mails in the spool.", labels=["state"]
    )
    messages_of = app.spool.counts()
    for state, count in messages_of.items():
        messages.add_metric([state.value], count)
    yield messages
    ages = GaugeMetricFamily(
        "otrsd_spool_oldest_seconds", "Age of the oldest mail.", labels=["state"]
    )
    oldest = app.spool.oldest_by_state()
    for state in messages_of:
        ages.add_metric([state.value], oldest.get(state, 0.0))
    yield ages
    failing = GaugeMetricFamily(
        "otrsd_plugin_failures_in_a_row", "Failed calls at last.", labels=["plugin"]
    )
    for plugin in app.spool.plugin_health():
        failing.add_metric([plugin.name], plugin.failures_in_a_row)
    yield failing


def _of_desk(app: App) -> Iterator[Metric]:
    with app.database.read() as connection:
        tickets = figures.tickets_by_state(connection)
        owed = figures.owed(connection)
        sent = outgoing.figures(connection)
        lag = index_todo.lag(connection)
        closed = figures.closed(connection)
        oldest = figures.oldest_active(connection)
    counts = GaugeMetricFamily("otrsd_tickets", "Tickets.", labels=["queue", "state"])
    for labels, count in tickets.items():
        counts.add_metric(list(labels), count)
    yield counts
    ended = CounterMetricFamily(
        "otrsd_tickets_closed", "Tickets that were closed.", labels=["queue"]
    )
    for queue, times in sorted(closed.items()):
        ended.add_metric([queue], times)
    yield ended
    ages = GaugeMetricFamily(
        "otrsd_ticket_oldest_open_seconds",
        "Age of the oldest ticket that somebody has to work on.",
        labels=["queue"],
    )
    for queue, opened in sorted(oldest.items()):
        ages.add_metric([queue], (app.clock.now() - opened).total_seconds())
    yield ages
    yield _one("otrsd_outgoing_queue", "Mails and events still owed.", owed)
    results = CounterMetricFamily(
        "otrsd_outgoing", "Mails of ours, by what became of them.", labels=["result"]
    )
    for result, times in sent.results.items():
        results.add_metric([result], times)
    yield results
    yield CounterMetricFamily(
        "otrsd_loops_stopped",
        "Automatic answers that the loop guard has refused.",
        value=sent.stopped,
    )
    behind = (app.clock.now() - lag.oldest).total_seconds() if lag.oldest else 0.0
    yield _one(
        "otrsd_index_lag_seconds", "How far the index is behind.", max(0.0, behind)
    )


def _of_processes(app: App) -> Iterator[Metric]:
    """Add up what the processes have counted."""
    of_name: dict[str, dict[tuple[str, ...], float]] = {}
    for (name, *labels), value in read_all(app.state / FOLDER).items():
        of_name.setdefault(name, {})[tuple(labels)] = value
    for family in FAMILIES:
        values = of_name.get(family.name, {})
        if family.is_histogram:
            yield _histogram(family, values)
            continue
        metric = CounterMetricFamily(family.name, family.text, labels=family.labels)
        for names, value in sorted(values.items()):
            metric.add_metric(names, value)
        yield metric


def _histogram(family: Family, values: Mapping[tuple[str, ...], float]) -> Metric:
    metric = HistogramMetricFamily(family.name, family.text, labels=family.labels)
    for labels in sorted({each[:-1] for each in values}):
        counts = (values.get((*labels, name), 0.0) for name in CLASS_NAMES)
        classes = list(zip(CLASS_NAMES, accumulate(counts), strict=True))
        metric.add_metric(labels, classes, values.get((*labels, SUM), 0.0))
    return metric


def _one(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)
