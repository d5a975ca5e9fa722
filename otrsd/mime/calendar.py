"""An invitation as text for people: what, when, where, from whom. It is not acted on.

In: the text of a ``text/calendar`` part (RFC 5545). Out: its telling lines, as they
stand there; nothing fails.
"""

from __future__ import annotations

import re

_FOLD = re.compile(r"\r?\n[ \t]")
_TOLD = {
    "METHOD": "Calendar",
    "SUMMARY": "Summary",
    "DTSTART": "Start",
    "DTEND": "End",
    "RRULE": "Repeats",
    "LOCATION": "Location",
    "ORGANIZER": "Organizer",
    "STATUS": "Status",
}
_LINE = re.compile(r"([A-Za-z-]+)((?:;[^:\n\"]*(?:\"[^\"\n]*\"[^:\n\"]*)*)?):(.*)")
_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(\d\d)(Z?))?\Z")
_ZONE = re.compile(r"TZID=\"?([^;\":]+)")
_ESCAPE = re.compile(r"\\([nN,;\\])")
#: Characters that are read, and lines that are told.
_READ, _LINES = 64 * 1024, 40


def calendar_text(source: str) -> str:
    """Return the telling lines of the events in ``source``."""
    lines: list[str] = []
    within: list[str] = []
    for line in _FOLD.sub("", source[:_READ]).splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        name = match[1].upper()
        if name == "BEGIN":
            within.append(match[3].strip().upper())
        elif name == "END":
            del within[-1:]
        elif name in _TOLD and within and within[-1] in _COMPONENTS:
            lines.append(f"{_TOLD[name]}: {_value(name, match[2], match[3])}")
    return "\n".join(lines[:_LINES])


_COMPONENTS = ("VCALENDAR", "VEVENT", "VTODO")


def _value(name: str, parameters: str, value: str) -> str:
    if name.startswith("DT") and (time := _TIME.match(value.strip())):
        year, month, day, hour, minute, second, utc = time.groups()
        shown = f"{year}-{month}-{day}"
        if hour:
            shown += f" {hour}:{minute}" + (f":{second}" if second != "00" else "")
        zone = _ZONE.search(parameters)
        return shown + (" UTC" if utc else f" {zone[1]}" if zone else "")
    if name == "ORGANIZER":
        return value.strip().removeprefix("mailto:").removeprefix("MAILTO:")
    return _ESCAPE.sub(lambda m: " " if m[1] in "nN" else m[1], value).strip()
