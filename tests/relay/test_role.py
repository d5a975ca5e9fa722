from __future__ import annotations

import shutil

import pytest

from otrsd.daemon.roles import Wanted
from otrsd.daemon.runs import roles_of
from otrsd.testing import SITE, Site
from tests.relay.conftest import Certificates

SEND = "send: {host: mail.example.com, username: otrsd, password: sesame}\n"


@pytest.mark.parametrize(("text", "is_there"), [(SITE, False), (SITE + SEND, True)])
def test_the_lane_runs_only_where_a_smarthost_is_set(
    otrsd_app: Site, text: str, *, is_there: bool
):
    otrsd_app.configure(text)
    names = [role.name for role in roles_of(otrsd_app.app, Wanted())]
    assert ("mail" in names) == is_there


def test_the_password_is_in_no_repr(otrsd_app: Site):
    otrsd_app.configure(SITE + SEND)
    app = otrsd_app.app
    assert "sesame" not in f"{app.config!r} {app.smarthost()!r} {app.letterhead()!r}"


def test_the_smarthost_is_what_the_files_say(
    otrsd_app: Site, certificates: Certificates
):
    shutil.copy(certificates.ca_file, otrsd_app.root / "ca.pem")
    otrsd_app.configure(SITE + SEND.replace("}", ", ca_file: ca.pem}"))
    smarthost = otrsd_app.app.smarthost()
    assert smarthost is not None
    assert (smarthost.port, smarthost.tls) == (587, "required")
    assert smarthost.ca_file == str(otrsd_app.root / "ca.pem")
    assert otrsd_app.app.letterhead().host == "example.com"
