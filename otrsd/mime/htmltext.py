"""HTML → readable text.

In: HTML of any quality, up to 1 MiB. Out: text in which paragraphs, lists, tables,
quotes and links can be read; nothing fails. Markup that is too large or too deep
for the parser (its time grows with depth) only loses its tags.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from selectolax.lexbor import LexborHTMLParser, LexborNode

from otrsd.mime.limits import HTML_DEPTH, HTML_OCTETS, HTML_TAGS

_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)")
_PARAM = re.compile(r"<param>[^<]*</param>", re.IGNORECASE)
_ENRICHED = re.compile(r"<<|</?[A-Za-z0-9-]{1,60}>")
_COMMENT_END = re.compile("-->")
#: Elements whose content is no text, and what ends them.
_CLOSINGS = {
    tag: re.compile(rf"</{tag}[^>]*>?", re.IGNORECASE)
    for tag in ("script", "style", "head", "title")
}
_LONG_GAP = re.compile(r"\n{3,}")
_SPACE = re.compile(r"[ \t\r\n\f\u00a0]+")
_VOID = frozenset(
    (
        "area",
        "base",
        "br",
        "col",
        "embed",
        "hr",
        "img",
        "input",
        "link",
        "meta",
        "param",
        "source",
        "track",
        "wbr",
        "p",
        "li",
        "td",
        "th",
        "tr",
        "dt",
        "dd",
        "option",
    )
)
_HIDDEN = frozenset(
    ("script", "style", "head", "title", "template", "svg", "math", "object", "iframe")
)
_PARAGRAPHS = frozenset(
    (
        "p",
        "blockquote",
        "ul",
        "ol",
        "dl",
        "table",
        "pre",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "form",
        "fieldset",
    )
)
_BLOCKS = frozenset(
    (
        "div",
        "section",
        "article",
        "header",
        "footer",
        "main",
        "nav",
        "aside",
        "address",
        "center",
        "tr",
        "li",
        "dt",
        "dd",
        "figure",
        "figcaption",
        "caption",
        "details",
        "summary",
        "body",
        "html",
        "tbody",
        "thead",
        "option",
    )
)
_FORMATTING = frozenset(
    (
        "a",
        "b",
        "big",
        "code",
        "em",
        "font",
        "i",
        "nobr",
        "s",
        "small",
        "strike",
        "strong",
        "tt",
        "u",
    )
)
#: Times that open formatting elements may be opened again, all in all.
_REOPENED = 50_000
_LINKED = ("http://", "https://", "mailto:", "ftp://", "tel:")


def html_to_text(source: str) -> str:
    """Return the text of an HTML document."""
    source = source[:HTML_OCTETS].replace("\0", "\ufffd")
    if not _is_bearable(source):
        return _without_tags(source)
    tree = LexborHTMLParser(source)
    root = tree.body or tree.root
    return _Writer().write(root) if root is not None else ""


def enriched_to_text(source: str) -> str:
    """Return the text of an enriched text (RFC 1896)."""
    lines = _PARAM.sub("", source.replace("\r\n", "\n"))
    # A single line break is a blank there, of two or more one is not meant.
    lines = re.sub(r"\n(\n*)", lambda m: m[1] or " ", lines)
    return _ENRICHED.sub(lambda m: "<" if m[0] == "<<" else "", lines)


def _is_bearable(source: str) -> bool:
    """Tell whether a parser may build this tree: its size is not the source's.

    Depth costs time; formatting elements left open are opened again in each later
    block, so 500 of them before 20,000 paragraphs make ten million nodes.
    """
    depth = formatting = reopened = 0
    if source.count("<") <= HTML_DEPTH:
        return True
    for count, match in enumerate(_TAG.finditer(source)):
        tag = match[2].lower()
        if tag in _FORMATTING:
            formatting = max(formatting + (-1 if match[1] else 1), 0)
        else:
            reopened += formatting
        if tag not in _VOID:
            depth += -1 if match[1] else 1
        if depth > HTML_DEPTH or count > HTML_TAGS or reopened > _REOPENED:
            return False
    return True


def _without_tags(source: str) -> str:
    lines = html.unescape("".join(_outside_tags(source))).splitlines()
    text = "\n".join(" ".join(line.split()) for line in lines)
    return _LONG_GAP.sub("\n\n", text).strip()


def _outside_tags(source: str) -> Iterator[str]:
    """Yield what is not markup; looks at each character a fixed number of times."""
    at = 0
    while (opened := source.find("<", at)) >= 0:
        yield source[at:opened]
        yield " "
        match = _TAG.match(source, opened)
        closing = _CLOSINGS.get(match[2].lower()) if match and not match[1] else None
        if source.startswith("<!--", opened):
            closing = _COMMENT_END
        if closing is not None:
            end = closing.search(source, opened)
            at = end.end() if end else len(source)
        else:
            at = source.find(">", opened) + 1 or len(source)
    yield source[at:]


class _Writer:
    """Walks a tree without recursion and writes its text."""

    def __init__(self) -> None:
        self._out: list[str] = []
        #: Line breaks owed before the next text, and whether a space is.
        self._breaks = 0
        self._space = False
        self._quotes = 0
        self._pre = 0
        #: One counter for each open list; None for a bulleted one.
        self._lists: list[int | None] = []
        #: Where the text of each open link starts in ``_out``.
        self._links: list[int] = []

    def write(self, root: LexborNode) -> str:
        """Return the text below ``root``."""
        node: LexborNode | None = root
        while node is not None:
            child = node.child if self._open(node) else None
            if child is not None:
                node = child
                continue
            node = self._leave(node, root)
        return _LONG_GAP.sub("\n\n", "".join(self._out)).strip()

    def _leave(self, node: LexborNode, root: LexborNode) -> LexborNode | None:
        """Close ``node`` and its parents until one has a next sibling."""
        current: LexborNode | None = node
        while current is not None:
            self._close(current)
            # Comparing nodes themselves would compare their HTML.
            if current.mem_id == root.mem_id:
                return None
            following = current.next
            if following is not None:
                return following
            current = current.parent
        return None

    def _open(self, node: LexborNode) -> bool:
        """Write what stands before a node's children; tell whether to go in."""
        tag = node.tag or ""
        if tag == "-text":
            self._text(node.text(deep=False) or "")
            return False
        if tag in _HIDDEN or tag.startswith(("-", "!")):
            return False
        if tag in _PARAGRAPHS:
            self._break(2)
        elif tag in _BLOCKS:
            self._break(1)
        self._open_special(tag, node)
        return True

    def _open_special(self, tag: str, node: LexborNode) -> None:
        if tag == "br":
            self._breaks += 1
            self._space = False
        elif tag == "hr":
            self._break(1)
            self._put("---")
            self._break(1)
        elif tag == "img":
            self._image(node)
        elif tag in ("ul", "ol"):
            self._lists.append(0 if tag == "ol" else None)
        elif tag == "li":
            self._item()
        else:
            self._enter(tag)

    def _image(self, node: LexborNode) -> None:
        name = (node.attributes.get("alt") or "").strip()
        source = (node.attributes.get("src") or "").strip()
        # What it is; else by which id it is among the parts, as Outlook has it.
        if shown := name or (source if source.lower().startswith("cid:") else ""):
            self._text(f"[{shown[:200]}]")

    def _enter(self, tag: str) -> None:
        if tag == "blockquote":
            self._quotes += 1
        elif tag == "pre":
            self._pre += 1
        elif tag == "a":
            self._links.append(len(self._out))

    def _close(self, node: LexborNode) -> None:
        tag = node.tag or ""
        if tag in _PARAGRAPHS:
            self._break(2)
        elif tag in _BLOCKS:
            self._break(1)
        if tag in ("td", "th"):
            self._cell()
        elif tag == "blockquote":
            self._quotes -= 1
        elif tag == "pre":
            self._pre -= 1
        elif tag == "a" and self._links:
            self._link(node.attributes.get("href") or "", self._links.pop())
        elif tag in ("ul", "ol") and self._lists:
            self._lists.pop()

    def _item(self) -> None:
        indent = "  " * max(len(self._lists) - 1, 0)
        mark = "- "
        if self._lists and (count := self._lists[-1]) is not None:
            self._lists[-1] = count + 1
            mark = f"{count + 1}. "
        self._put(indent + mark)

    def _cell(self) -> None:
        if self._out and not self._breaks and not self._out[-1].endswith("\t"):
            self._out.append("\t")
        elif self._breaks == 1:
            # A block within a cell does not end the row.
            self._breaks = 0
            self._out.append("\t")
        self._space = False

    def _link(self, href: str, start: int) -> None:
        href = "".join(href.split())
        if not href.lower().startswith(_LINKED):
            return
        shown = "".join(self._out[start:]).strip()
        target = href.removeprefix("mailto:").removeprefix("tel:")
        if shown and target.rstrip("/") not in (shown, shown.rstrip("/")):
            self._text(f" <{target}>")

    def _break(self, lines: int) -> None:
        self._breaks = max(self._breaks, lines)
        self._space = False

    def _text(self, text: str) -> None:
        if self._pre:
            for number, line in enumerate(text.splitlines()):
                self._breaks += 1 if number else 0
                self._put(line)
            return
        shown = _SPACE.sub(" ", text)
        body = shown.strip(" ")
        if not body:
            self._space = self._space or bool(shown)
            return
        if shown[0] == " " or self._space:
            body = f" {body}" if self._out and not self._breaks else body
        self._put(body)
        self._space = shown[-1] == " "

    def _put(self, text: str) -> None:
        while self._breaks and self._out and self._out[-1] == "\t":
            # No cell follows in this row.
            self._out.pop()
        if self._breaks and self._out:
            self._out.append("\n" * min(self._breaks, 2))
        if self._quotes and (self._breaks or not self._out):
            self._out.append("> " * min(self._quotes, 5))
        self._breaks, self._space = 0, False
        self._out.append(text)
