"""Text of a stranger, made safe to print.

In: text of a mail. Out: the same with everything visible that would steer a
terminal or deceive a reader: control characters and ESC/OSC sequences, bidi
overrides, zero-width characters, line separators. Nothing fails.
"""

from __future__ import annotations

import unicodedata

#: Categories that have no form of their own: control, format, surrogate, private
#: use, not assigned, and the separators of lines and paragraphs.
_UNSEEN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
#: Characters with a form that is blank or absent although they are letters or marks.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_LAST_OF_ASCII_CONTROL = 0x20


def visible(text: str, *, keep: str = "") -> str:
    r"""Return ``text`` with unseen characters written as ``\x1b`` or ``\u202e``.

    ``keep`` names those that stay as they are, for example newline and tab where a
    text of several lines is shown. A backslash is not doubled: the form is for
    reading, not for reading back.
    """
    # The usual case is decided by the interpreter in one pass.
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c in keep else _written(c) for c in text)


def _written(character: str) -> str:
    if character.isprintable() and character not in _BLANK:
        return character
    category = unicodedata.category(character)
    if category not in _UNSEEN and character not in _BLANK:
        return character
    number = ord(character)
    if number < _LAST_OF_ASCII_CONTROL:
        return _SHORT.get(character, f"\\x{number:02x}")
    if number <= 0xFF:  # noqa: PLR2004 - the width of the escape
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"  # noqa: PLR2004 - likewise


_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
