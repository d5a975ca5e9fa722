"""Mail that comes back: whether a mail is one, and what it reports.

RFC 3464 says how a report is written, and half of the world's mail systems write a
letter instead. :mod:`signs` weighs whether such a letter is one, by the tables of
:mod:`phrases`; :mod:`reading` makes a :class:`~otrsd.model.report.Report` of either;
:mod:`reasons` tells what a code or an excuse means. Nothing here fails, and nothing
reads more than a bounded part of a mail.
"""

from __future__ import annotations

from otrsd.mime.bounce.reading import read_report
from otrsd.mime.bounce.signs import Signs, weight

__all__ = ["Signs", "read_report", "weight"]
