"""How much of a mail is looked at: the limits of parsing (reliability.md §5).

What lies beyond a limit is not lost, the octets are kept in the store; it is only
not decoded, and the mail's defects say so.
"""

from __future__ import annotations

#: Octets of one header section that are read; more needs only its end found.
HEADER_OCTETS = 256 * 1024
#: Header fields of one header section.
HEADER_FIELDS = 1000
#: Leaf parts that are listed.
PARTS = 500
#: Nesting that is noted as a defect, and nesting that makes the mail hostile
#: (Postfix and Dovecot stop at 100 too).
NESTING, NESTING_TOP = 50, 100
#: The same for a message within a message.
ENCLOSED, ENCLOSED_TOP = 10, 20
#: Octets of a boundary (RFC 2046 §5.1.1 allows 70; Postfix reads 2,048).
BOUNDARY_OCTETS = 2048
#: Lines that look like a delimiter and are none, before the search ends.
FALSE_DELIMITERS = 100_000
#: Addresses of one header field.
ADDRESSES = 1000
#: Encoded words of one header field (RFC 2047).
ENCODED_WORDS = 500
#: Parameters of one header field (RFC 2045 §5.1).
PARAMETERS = 50
#: Characters of a subject (RFC 5322 §2.1.1).
SUBJECT_CHARACTERS = 998
#: Octets of a Message-ID that is usable as a key.
MESSAGE_ID_OCTETS = 250
#: Message-IDs of In-Reply-To and References together.
REFERENCES = 50
#: Octets of decoded text and of decoded HTML that are kept in ``Mail``.
TEXT_OCTETS, HTML_OCTETS = 256 * 1024, 1024 * 1024
#: Tags and depth of HTML that is given to the HTML parser.
HTML_TAGS, HTML_DEPTH = 20_000, 500
#: Characters of an attachment's name.
FILENAME_CHARACTERS = 120
#: Octets of a winmail.dat, or of a text with files written into it, that is opened.
OPENED_OCTETS = 32 * 1024 * 1024
#: Octets that are decoded at once.
CHUNK_OCTETS = 64 * 1024
