"""``then:`` as it stands in YAML → settings, and settings → :class:`Changes`.

A verb (``discard``), a map of settings, or a list of these (ux.md §2.1). Each setting
has one reader in the table at the end; a later step adds rows. ``discard``, ``hold``
and ``stop`` end the run of the rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from otrsd.config.fit import switch_hint
from otrsd.config.problem import Problem, did_you_mean
from otrsd.config.yaml import Node
from otrsd.language.template import Text, UnrenderableError, read_text
from otrsd.model.changes import Changes
from otrsd.model.ticket import PRIORITIES, StateType

#: Settings that are a word of their own.
VERBS = ("discard", "hold", "no_auto_reply", "stop")
_MAX_TITLE = 998
_MAX_FIELD = 4000
_MAX_TAG = 100
#: States that need more than a name.
_NOT_BY_RULE = frozenset({StateType.MERGED})


def priority_of(text: str) -> int | None:
    """Return the priority that a number or a name means."""
    word = text.lower()
    for number, name in PRIORITIES.items():
        if word in {name, str(number)}:
            return number
    return None


def state_of(text: str, states: Mapping[str, StateType]) -> str:
    """Return the state that a name or a type means; empty: there is none."""
    word = text.lower()
    by_type = (name for name, kind in states.items() if kind.value == word)
    return word if word in states else next(by_type, "")


@dataclass(slots=True, kw_only=True)
class Actions:
    """What a rule does, ready to be rendered with the groups of a match."""

    queue: str | None = None
    priority: int | None = None
    state: str | None = None
    title: Text | None = None
    discard: str | None = None
    hold: str | None = None
    stop: bool = False
    no_auto_reply: bool = False
    tags: list[Text] = field(default_factory=list)
    fields: dict[str, Text] = field(default_factory=dict)

    def ends(self, *, released: bool = False) -> bool:
        """Tell whether no later rule is asked; a mail that was released isn't held."""
        held = self.hold is not None and not released
        return self.stop or self.discard is not None or held

    def changes(self, groups: Mapping[str, str]) -> tuple[Changes, tuple[str, ...]]:
        """Return the proposal, and what had to be left out."""
        notes: list[str] = []

        def rendered(name: str, text: Text, limit: int) -> str:
            try:
                # A title or tag of two lines could forge a header field later.
                value = " ".join(text.render(groups).split())[:limit]
            except UnrenderableError as error:
                notes.append(f"{name} left out: {error}")
                return ""
            return value

        title = rendered("title", self.title, _MAX_TITLE) if self.title else ""
        tags = [rendered("tag", text, _MAX_TAG) for text in self.tags]
        fields = {
            name: rendered(f"fields.{name}", text, _MAX_FIELD)
            for name, text in self.fields.items()
        }
        changes = Changes(
            queue=self.queue,
            title=title or None,
            state=self.state,
            priority=self.priority,
            tags=tuple(dict.fromkeys(tag for tag in tags if tag)),
            fields={name: value for name, value in fields.items() if value},
            discard=self.discard,
            hold=self.hold,
            no_auto_reply=self.no_auto_reply,
        )
        return changes, tuple(notes)


@dataclass(slots=True, kw_only=True)
class ActionReader:
    """Reads one rule's ``then:``; what is wrong gathers in ``problems``."""

    rule: str
    queues: Iterable[str]
    states: Mapping[str, StateType]
    #: Named groups of the rule's patterns.
    groups: Iterable[str]
    problems: list[Problem] = field(default_factory=list)
    actions: Actions = field(default_factory=Actions)
    _places: dict[str, Node] = field(default_factory=dict)

    def read(self, node: Node) -> Actions:
        """Return the actions of ``node``."""
        items = node.list if node.list is not None else (node,)
        for item in items:
            if item.map is not None:
                for name, value in item.map.items():
                    self._setting(item.keys[name], value)
            elif item.text in VERBS:
                self._setting(item, item)
            else:
                self.wrong(
                    item,
                    f"'{item.text}' is no verb" if item.text else "an empty action",
                    did_you_mean(item.text, VERBS) or "write {queue: NAME} or discard",
                )
        if not items or all(item.map == {} for item in items):
            self.wrong(node, "'then' does nothing")
        return self.actions

    def wrong(self, node: Node, text: str, suggestion: str = "") -> None:
        """Keep a problem."""
        self.problems.append(node.problem(text, suggestion))

    def _setting(self, key: Node, value: Node) -> None:
        name = key.text
        read = _SETTINGS.get(name)
        if read is None:
            known = ", ".join(_SETTINGS)
            hint = did_you_mean(name, _SETTINGS) or f"actions: {known}"
            self.wrong(key, f"unknown action '{name}' in rule '{self.rule}'", hint)
        elif name in self._places and name != "tag":
            first = self._places[name]
            self.wrong(key, f"'{name}' is set twice (first in line {first.line})")
        elif value.value is None:
            self.wrong(key, f"'{name}' has no value")
        else:
            self._places[name] = key
            read(self, value)

    def _queue(self, node: Node) -> None:
        if node.text not in self.queues:
            hint = did_you_mean(node.text, self.queues)
            self.wrong(node, f"queue '{node.text}' does not exist", hint)
        self.actions.queue = node.text

    def _priority(self, node: Node) -> None:
        number = priority_of(node.text)
        if number is None:
            names = tuple(PRIORITIES.values())
            hint = did_you_mean(node.text.lower(), names)
            hint = hint or f"1 to 5, or {', '.join(names)}"
            self.wrong(node, f"there is no priority '{node.text}'", hint)
        self.actions.priority = number

    def _state(self, node: Node) -> None:
        word = node.text.lower()
        state = state_of(word, self.states)
        if not state:
            usable = {n: k for n, k in self.states.items() if k not in _NOT_BY_RULE}
            known = [*usable, *(kind.value for kind in usable.values())]
            hint = did_you_mean(word, known) or f"states: {', '.join(usable)}"
            self.wrong(node, f"there is no state '{node.text}'", hint)
        elif self.states[state] in _NOT_BY_RULE:
            self.wrong(node, f"a rule can't set state '{state}'")
        self.actions.state = state

    def _title(self, node: Node) -> None:
        self.actions.title = self._text(node, "title")

    def _tag(self, node: Node) -> None:
        for item in node.list if node.list is not None else (node,):
            if len(item.text) > _MAX_TAG or "," in item.text:
                self.wrong(
                    item, f"a tag has no comma and at most {_MAX_TAG} characters"
                )
            self.actions.tags.append(self._text(item, "tag"))

    def _fields(self, node: Node) -> None:
        if node.map is None:
            self.wrong(node, "'fields' wants a map (name: value)")
            return
        for name, value in node.map.items():
            self.actions.fields[name] = self._text(value, name)

    def _text(self, node: Node, name: str) -> Text:
        if not node.is_scalar or not node.text.strip():
            hint = "quote '{{ … }}'" if node.map is not None else ""
            self.wrong(node, f"'{name}' wants text", hint)
            return Text("")
        text, problems = read_text(node, self.groups)
        self.problems.extend(problems)
        return text

    def _discard(self, node: Node) -> None:
        self.actions.discard = self._reason(node, "discard")

    def _hold(self, node: Node) -> None:
        self.actions.hold = self._reason(node, "hold")

    def _reason(self, node: Node, name: str) -> str | None:
        """Read ``true`` or a reason in words."""
        if not node.is_scalar:
            self.wrong(node, f"'{name}' wants true or a reason in words")
            return None
        hint = switch_hint(node.text)
        if hint or node.value is False:
            # "no" is text in YAML 1.2 and would be taken for a reason.
            hint = hint if "true" in hint else "take the line away"
            self.wrong(node, f"'{name}' wants true or a reason in words", hint)
            return None
        written = node.value is not True and node.text != name
        return node.text if written else f"rule {self.rule}"

    def _no_auto_reply(self, node: Node) -> None:
        if node.value is not True and node.text != "no_auto_reply":
            self.wrong(
                node, "'no_auto_reply' wants true", "take the line away otherwise"
            )
        self.actions.no_auto_reply = True

    def _stop(self, node: Node) -> None:
        if node.value is not True and node.text != "stop":
            self.wrong(node, "'stop' wants true", "take the line away otherwise")
        self.actions.stop = True


#: Every action there is: name → how its value is read.
_SETTINGS: Mapping[str, Callable[[ActionReader, Node], None]] = {
    "queue": ActionReader._queue,  # noqa: SLF001 - the class's own table
    "priority": ActionReader._priority,  # noqa: SLF001
    "state": ActionReader._state,  # noqa: SLF001
    "tag": ActionReader._tag,  # noqa: SLF001
    "fields": ActionReader._fields,
    "title": ActionReader._title,  # noqa: SLF001
    "discard": ActionReader._discard,  # noqa: SLF001
    "hold": ActionReader._hold,  # noqa: SLF001
    "no_auto_reply": ActionReader._no_auto_reply,  # noqa: SLF001
    "stop": ActionReader._stop,  # noqa: SLF001
}
