"""``/metrics``: what Prometheus reads; measured when it is asked for.

Names and units follow https://prometheus.io/docs/practices/naming/. Labels are queues,
states, plugins and process names, which the site's own files bound: no address, no
subject. A part that can't be measured is left out, and ``otrsd_up`` of it is 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from prometheus_client.core import CollectorRegistry, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from otrsd import __version__
from otrsd.app import App
from otrsd.daemon import reload, status
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
    for state, count in app.spool.counts().items():
        messages.add_metric([state.value], count)
    yield messages
    yield _one(
        "otrsd_spool_oldest_seconds",
        "Age of the oldest mail that waits.",
        app.spool.oldest_seconds,
    )
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
        lag = index_todo.lag(connection)
    counts = GaugeMetricFamily("otrsd_tickets", "Tickets.", labels=["queue", "state"])
    for labels, count in tickets.items():
        counts.add_metric(list(labels), count)
    yield counts
    yield _one("otrsd_outgoing_queue", "Mails and events still owed.", owed)
    behind = (app.clock.now() - lag.oldest).total_seconds() if lag.oldest else 0.0
    yield _one(
        "otrsd_index_lag_seconds", "How far the index is behind.", max(0.0, behind)
    )


def _one(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)
