"""Ways in: SMTP, LMTP, the submit socket and the pipe's drop folder."""

from __future__ import annotations
