"""The files that `otrsd plugins new NAME` writes: a plugin of one file and its test.

In: the plugin's name. Out: path (from the site's folder) → text; nothing is written
here. Fails with InputError where the name can't be one. The test is green as it is.
"""

from __future__ import annotations

from collections.abc import Mapping

from otrsd.errors import InputError
from otrsd.loading import is_plugin_name

_PLUGIN = '''\
"""{name}: say in one sentence what it does.

Settings stand in YAML under ``plugins.settings.{name}``. All hooks: docs/hooks.md.
"""

from __future__ import annotations

from otrsd import Changes, Mail, Names, Settings as BaseSettings, hookimpl


class Settings(BaseSettings):
    """What an operator may set; a typo is named with its file and line."""

    #: A subject with one of these words is urgent.
    words: Names = ("urgent",)


class Plugin:
    """The hooks; each takes only the arguments it needs."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @hookimpl
    def amend_ticket(self, mail: Mail) -> Changes | None:
        """Raise the priority; ``None`` means no opinion."""
        subject = mail.subject.casefold()
        if not any(word.casefold() in subject for word in self._settings.words):
            return None
        return Changes(priority=5, tags=("{name}",))
'''

_TEST = '''\
"""{name}, tested on a throw-away site; run it with `pytest`."""

from __future__ import annotations

from pathlib import Path

PLUGIN = Path(__file__).parents[1] / "plugins" / "{name}.py"


def test_an_urgent_mail_comes_first(otrsd_app, make_mail):
    otrsd_app.plugin("{name}", PLUGIN)
    outcome = otrsd_app.deliver(make_mail(Subject="Urgent: printer on fire"))
    assert otrsd_app.ticket(outcome.ticket_id).priority == 5


def test_any_other_mail_stays_as_it_is(otrsd_app, make_mail):
    otrsd_app.plugin("{name}", PLUGIN)
    outcome = otrsd_app.deliver(make_mail(Subject="A question"))
    assert otrsd_app.ticket(outcome.ticket_id).priority == 3
'''


def new_plugin(name: str) -> Mapping[str, str]:
    """Return the files of a new plugin."""
    if not is_plugin_name(name):
        raise InputError(
            f"'{name}' can't be a plugin's name: take lower case letters, digits and"
            " _, and no word of otrsd's own"
        )
    return {
        f"plugins/{name}.py": _PLUGIN.replace("{name}", name),
        f"tests/test_{name}.py": _TEST.replace("{name}", name),
    }
