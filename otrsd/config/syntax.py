"""What libyaml could not read, in our words and at the place that is to blame.

In: a source and libyaml's error. Out: one :class:`Problem`; nothing raises.
"""

from __future__ import annotations

import yaml

from otrsd.config.problem import Problem, Source, problem_at

#: libyaml's words → (what is wrong, what to do, whether the start is the place).
_WORDS: tuple[tuple[str, str, str, bool], ...] = (
    ("quoted scalar", "the quote that starts here is not closed", "", True),
    (
        "mapping values are not allowed",
        "a ':' where no key can stand",
        "quote a value that has ': ' in it, or mend the indentation",
        False,
    ),
    (
        "unknown escape",
        "unknown escape in double quotes",
        "use single quotes, where a backslash is a backslash",
        False,
    ),
    ("scanning an alias", "'*' starts an alias", 'quote the value: "*…"', True),
    ("scanning an anchor", "'&' starts an anchor", 'quote the value: "&…"', True),
    (
        "flow sequence",
        "the '[' that starts here is not closed, or a comma is missing",
        "",
        True,
    ),
    (
        "flow mapping",
        "the '{' that starts here is not closed, or a comma is missing",
        "",
        True,
    ),
    (
        "parsing a flow node",
        "a value is missing here, or a '[' or '{' is not closed",
        "",
        False,
    ),
    (
        "expected node content",
        "this can't start a value",
        "put the value in quotes",
        False,
    ),
    (
        "expected <document start>",
        "this stands outside of the map above it",
        "mend the indentation or the brackets of the line before",
        False,
    ),
    (
        "block scalar",
        "'|' and '>' start a text of several lines",
        "put the value in quotes",
        True,
    ),
    (
        "unexpected ':'",
        "a ':' where no key can stand",
        "quote a value that has ':' in it",
        False,
    ),
    (
        "block sequence entries",
        "a '- ' where no list can stand",
        "mend the indentation",
        False,
    ),
    ("directive", "'%' starts a directive", 'quote the value: "%…"', True),
    ("a tab character", "a tab can't indent", "use spaces", False),
    ("could not find expected ':'", "a key without ':'", "write 'key: value'", True),
    (
        "'-' indicator",
        "expected another '- ' item of the list",
        "mend the indentation",
        False,
    ),
    (
        "expected key",
        "expected a key here",
        "mend the indentation or the quotes",
        False,
    ),
)


def syntax_problem(source: Source, error: yaml.YAMLError) -> Problem:
    """Say in our words what libyaml could not read."""
    if isinstance(error, yaml.reader.ReaderError):
        before = source.text[: error.position]
        line = before.count("\n") + 1
        column = error.position - (before.rfind("\n") + 1) + 1
        code = error.character if isinstance(error.character, int) else 0
        return problem_at(source, line, column, f"control character U+{code:04X}")
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return Problem(file=source.name, text=f"can't be read as YAML: {error}")
    mark = error.problem_mark
    said = f"{error.context or ''} {error.problem or ''}"
    if "cannot start any token" in said:
        return _bad_start(source, mark.line + 1, mark.column + 1)
    for words, text, suggestion, at_start in _WORDS:
        if words in said:
            place = error.context_mark if at_start and error.context_mark else mark
            if text.startswith("the quote") and "escape" in said:
                continue
            line, column = _seen(source, place.line + 1, place.column + 1)
            return problem_at(source, line, column, text, suggestion=suggestion)
    return problem_at(source, mark.line + 1, mark.column + 1, said.strip())


def _seen(source: Source, line: int, column: int) -> tuple[int, int]:
    """Return the place, or where the text ends if the place is behind that."""
    end = source.text.rstrip()
    last = end.count("\n") + 1
    if line <= last:
        return line, column
    return last, max(1, len(end) - end.rfind("\n") - 1)


def _bad_start(source: Source, line: int, column: int) -> Problem:
    character = source.line(line)[column - 1 : column]
    if character == "\t":
        return problem_at(
            source, line, column, "a tab can't indent", suggestion="use spaces"
        )
    return problem_at(
        source,
        line,
        column,
        f"'{character}' can't start a value",
        suggestion="put the value in quotes",
    )
