"""Health pages, metrics and `otrsd doctor` of a real daemon."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from typing import Any

import pytest

# Whole daemons, or terminals: not for the quick round.
pytestmark = pytest.mark.slow


def get(site: Any, page: str) -> tuple[int, str]:
    """Return code and body of a page."""
    request = f"http://127.0.0.1:{site.health}{page}"
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_pages(site: Any) -> None:
    site.start()
    assert get(site, "/-/healthy") == (200, '{"healthy": true}\n')
    code, body = get(site, "/-/ready")
    assert (code, json.loads(body)["ready"]) == (200, True)
    assert get(site, "/secret")[0] == 404
    site.send("Hello")
    site.until(lambda: 'otrsd_tickets{queue="support",state="new"} 1.0' in _all(site))
    metrics = _all(site)
    assert 'otrsd_spool_messages{state="held"} 0.0' in metrics
    assert "otrsd_config_last_reload_successful 1.0" in metrics
    assert re.search(r'otrsd_process_up\{process="postmaster-\d"\} 1.0', metrics)
    for counted in (
        'otrsd_mail_received_total{result="accepted",source="smtp"} 1.0',
        'otrsd_tickets_created_total{channel="smtp",queue="support"} 1.0',
        'otrsd_mail_processing_seconds_count{stage="whole"} 1.0',
        'otrsd_mail_processing_seconds_bucket{le="+Inf",stage="desk"} 1.0',
        'otrsd_rule_seconds_total{rule="urgent words"}',
        'otrsd_outgoing_total{result="sent"} 0.0',
    ):
        assert counted in metrics
    assert "@" not in metrics
    assert site.stop() == 0


def test_failed_reload_is_seen(site: Any) -> None:
    site.start()
    (site.folder / "config/30-bad.yaml").write_text("queues: 7\n")
    site.otrsd("reload")
    assert "otrsd_config_last_reload_successful 0.0" in _all(site)
    checks = json.loads(get(site, "/-/ready")[1])["checks"]
    assert checks["reload"]["level"] == "warning"
    assert "config/30-bad.yaml" in checks["reload"]["text"]


def test_not_ready_without_the_database(site: Any) -> None:
    site.start()
    (site.state / "desk.db").rename(site.state / "gone.db")
    (site.state / "desk.db").mkdir()
    site.until(lambda: get(site, "/-/ready")[0] == 503)
    assert get(site, "/-/healthy")[0] == 200
    assert 'otrsd_up{of="desk"} 0.0' in _all(site)
    (site.state / "desk.db").rmdir()
    (site.state / "gone.db").rename(site.state / "desk.db")


def test_health_beyond_loopback_is_refused(site: Any) -> None:
    path = site.folder / "otrsd.yaml"
    text = path.read_text().replace(
        "health: {address: 127.0.0.1", "health: {address: 0.0.0.0"
    )
    path.write_text(text)
    refused = site.otrsd("check")
    assert refused.returncode == 1
    assert "wants a loopback address" in refused.stdout


def test_doctor_of_a_site_that_is_well(site: Any) -> None:
    site.start()
    found = site.otrsd("doctor")
    assert found.returncode == 0, found.stdout + found.stderr
    assert "127.0.0.1" in found.stdout
    nagios = site.otrsd("doctor", "--nagios")
    assert nagios.returncode == 0
    assert re.match(r"OTRSD OK - \d+ checks \| .*spool_waiting=0 ", nagios.stdout)


def test_doctor_takes_no_closed_listener_for_a_dead_one(site: Any) -> None:
    file = site.folder / "otrsd.yaml"
    smtp = "smtp: {address: 127.0.0.1, "
    file.write_text(file.read_text().replace(smtp, f"{smtp}allow: 10.99.0.0/16, "))
    site.start()
    found = site.otrsd("doctor", "--nagios")
    assert found.returncode == 0, found.stdout


def test_doctor_names_what_is_wrong_and_what_to_do(site: Any) -> None:
    (site.folder / "otrsd.yaml").chmod(0o666)
    found = site.otrsd("doctor", "--json")
    by_name = {check["name"]: check for check in json.loads(found.stdout)}
    assert found.returncode == 1
    assert by_name["daemon"]["level"] == "critical"
    assert by_name["files"]["remedy"].startswith("chmod go-w")
    assert all(c["remedy"] for c in by_name.values() if c["level"] != "ok")
    assert site.otrsd("doctor", "--nagios").returncode == 2


@pytest.mark.parametrize(
    ("password", "mode", "level"),
    [("sesame", 0o644, "warning"), ("sesame", 0o640, "ok"), ("{$env: P}", 0o644, "ok")],
)
def test_doctor_names_a_password_that_others_can_read(
    site: Any, password: str, mode: int, level: str
) -> None:
    file = site.folder / "config/30-send.yaml"
    file.write_text(f"send: {{host: h, username: u, password: {password}}}\n")
    file.chmod(mode)
    file.parent.chmod(0o755)
    found = json.loads(site.otrsd("doctor", "--json", P="sesame").stdout)
    (check,) = (check for check in found if check["name"] == "files")
    assert check["level"] == level
    assert (str(file) in check["text"]) == (level != "ok")


def test_doctor_of_a_broken_configuration(site: Any) -> None:
    (site.folder / "config/30-bad.yaml").write_text("queues: 7\n")
    found = site.otrsd("doctor", "--nagios")
    assert (found.returncode, found.stdout[:14]) == (2, "OTRSD CRITICAL")


def test_doctor_sends_a_probe_through_the_mta(site: Any, tmp_path: Any) -> None:
    site.start()
    # As an MTA would: sendmail hands the mail to the pipe.
    (tmp_path / "bin").mkdir()
    sendmail = tmp_path / "bin/sendmail"
    sendmail.write_text(
        f"#!/bin/sh\nexec {site.command} pipe -c {site.folder} help@acme.test\n"
    )
    sendmail.chmod(0o755)
    found = site.otrsd("doctor", "--mta", PATH=f"{tmp_path}/bin:/usr/bin:/bin")
    assert found.returncode == 0, found.stdout
    assert re.search(
        r"mta +a mail to help@acme.test became ticket \d+ in", found.stdout
    )


def _all(site: Any) -> str:
    return get(site, "/metrics")[1]
