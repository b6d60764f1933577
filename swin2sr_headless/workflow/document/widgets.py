"""The widgets of a saved node as ComfyUI's page lays them out: the only place that knows how.

A node's values are saved by position. What a position means follows from the inputs of the class,
from choices among the values themselves, and from widgets that the page adds of its own.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ..problems import WorkflowError
from .definitions import (
    AUTOGROW,
    DYNAMIC_COMBO,
    MATCH_TYPE,
    InputDefinition,
    NodeDefinition,
    nested_inputs,
)
from .graph import Link
from .ui_document import UiNode


@dataclass(frozen=True)
class Kind:
    """A kind of input that has a widget: its value where nothing is saved, and where it goes."""

    default: object = None
    is_saved: bool = True
    is_drawn: bool = False
    """Whether the page makes the value when a workflow is queued: nothing else can."""
    may_be_saved: bool = False
    """Whether what it made before is saved, and still good."""
    buttons: int = 0
    """How many buttons the page puts before it, each with a place among the saved values."""


KINDS: Mapping[str, Kind] = {
    "INT": Kind(0),
    "FLOAT": Kind(0),
    "STRING": Kind(""),
    "BOOLEAN": Kind(False),
    "COMBO": Kind(),
    DYNAMIC_COMBO: Kind(),
    "MARKDOWN": Kind(""),
    "TEXTAREA": Kind(""),
    "COLOR": Kind("#ffffff"),
    "COLORS": Kind([]),
    "BOUNDING_BOX": Kind({"x": 0, "y": 0, "width": 512, "height": 512}),
    "BOUNDING_BOXES": Kind([]),
    "CURVE": Kind(),
    "RANGE": Kind(),
    "CHART": Kind(),
    "GALLERIA": Kind([]),
    "PAINTER": Kind(""),
    "COMPOSITOR": Kind({}),
    "VIDEO_EDIT": Kind(),
    "IMAGECOMPARE": Kind(["", ""], is_saved=False),
    "IMAGEUPLOAD": Kind("image"),
    "LOAD_3D": Kind(is_drawn=True, buttons=3),
    "WEBCAM": Kind(is_drawn=True),
    "AUDIO_RECORD": Kind("", is_drawn=True, may_be_saved=True),
}
"""Every kind of input that the page makes a widget for; all others are sockets."""

CUSTOM_COMBO = "CustomCombo"
"""The class whose widgets are as many as its user fills in."""

_DYNAMIC = re.compile(r"COMFY_[A-Z0-9_]+")

_TYPES: Mapping[str, tuple[type, ...]] = {
    "INT": (int, float),
    "FLOAT": (int, float),
    "BOOLEAN": (bool,),
    "STRING": (str,),
}

_SHOWS_3D = ("SaveGLB", "Preview3D", "Preview3DAnimation")
"""Classes to which the page adds a view, whose value goes into the prompt as `image`."""


@dataclass(frozen=True)
class Widget:
    """A widget and its value. `definition` is None for the page's own that go into a prompt."""

    name: str
    value: object
    definition: InputDefinition | None = None


def widget_values(node: UiNode, definition: NodeDefinition) -> dict[str, object]:
    """Value by name of every widget that a prompt contains.

    Raises WorkflowError for a layout that is not known.
    """
    return {each.name: each.value for each in widgets_of(node, definition)}


def widgets_of(node: UiNode, definition: NodeDefinition) -> list[Widget]:
    """The widgets of a saved node that a prompt contains, in the page's order.

    Raises WorkflowError for kinds of inputs that are not known, and for choices whose further
    inputs are not: reading on would give every later value to the wrong widget.
    """
    by_position = _Layout(node, definition)
    found = list(by_position.widgets())
    if not node.named:
        by_position.check(found)
    if not node.named or by_position.agrees:
        return found
    return list(_Layout(node, definition, _by_name(node)).widgets())


def takes_value(each: InputDefinition) -> bool:
    """Whether an input has a widget; else it is a socket alone."""
    return each.widget_type in KINDS and not each.info.get("forceInput")


def misfit(widgets: Sequence[Widget]) -> Widget | None:
    """The first widget whose value is of a kind that it cannot have; None where all fit."""
    for each in widgets:
        kinds = _TYPES.get(each.definition.widget_type) if each.definition else None
        is_bool = isinstance(each.value, bool)
        if kinds is None or each.value is None:
            continue
        if not isinstance(each.value, kinds) or is_bool != (kinds == (bool,)):
            return each
    return None


def chosen_option(inputs: Mapping[str, object], saved: object) -> int:
    """The number of the option that a CustomCombo's choice is, -1 for none.

    inputs: as a prompt has them. saved: the choice of its own widget, which counts where the choice
    comes from another node.
    """
    choice = saved if isinstance(inputs.get("choice"), Link) else inputs.get("choice")
    options = [value for name, value in inputs.items() if name.startswith("option")]
    return options.index(choice) if choice in options else -1


def widgets_in_group(
    node: UiNode, definition: NodeDefinition, apart: Collection[str]
) -> tuple[list[Widget], int]:
    """The widgets of a node inside of a group node, and how many of its values they take.

    node: with the values of the group from this node's on. apart: widgets that became inputs of the
    group, which have no values there.
    """
    kept = [each for each in definition.inputs if each.name not in apart]
    layout = _Layout(node, replace(definition, inputs=tuple(kept)))
    found = list(layout.widgets())
    return found, layout.position


def _by_name(node: UiNode) -> Mapping[str, object]:
    """Values by the names that their widgets had when they were saved."""
    if len(node.named) == len(node.values):
        return dict(zip(node.named, node.values, strict=True))
    return node.named


class _Layout:
    def __init__(
        self, node: UiNode, definition: NodeDefinition, named: Mapping[str, object] | None = None
    ) -> None:
        """named: the saved values by name, where their positions are not to be trusted."""
        self._node, self._definition, self._named = node, definition, named
        self.position = 0
        self._positions: list[tuple[str, int]] = []
        self._sockets = {socket.name: socket for socket in node.inputs}
        self._grown: list[InputDefinition] = []

    @property
    def agrees(self) -> bool:
        """Whether the widgets, by now read, are those that the values were saved for.

        A page that also saves names tells so: the class may have changed since.
        """
        if not self._node.values:
            return False
        names = list(self._node.named)
        if len(names) == len(self._node.values):
            return all(
                position < len(names) and names[position] == name
                for name, position in self._positions
            )
        rest = iter(names)
        return all(name in rest for name, _ in self._positions)

    def check(self, widgets: Sequence[Widget]) -> None:
        """Raise WorkflowError where values, as many as are saved, are for other widgets."""
        saved = len(self._node.values)
        if saved == self.position:
            return
        wrong = misfit(widgets)
        if wrong is not None:
            raise self._refused(
                f"its {saved} saved values are for another version of this class, whose widgets "
                f"take {self.position}: {wrong.name} would be {wrong.value!r:.60}; open it in this "
                "ComfyUI, put the values right, and save it again"
            )

    def widgets(self) -> Iterator[Widget]:
        required = [each for each in self._definition.inputs if each.required]
        optional = [each for each in self._definition.inputs if not each.required]
        yield from self._group(required)
        yield from self._made_by_the_page(required)
        yield from self._group(optional)
        yield from self._group(self._grown)

    def _group(self, inputs: Sequence[InputDefinition]) -> Iterator[Widget]:
        for each in inputs:
            yield from self._input(each)

    def _input(self, each: InputDefinition) -> Iterator[Widget]:
        if each.type == AUTOGROW:
            yield from self._group(self._growing(each))
            return
        kind = self._kind(each)
        if kind is None:
            return
        for _ in range(kind.buttons):
            self._skip()
        default = each.default if each.default is not None else kind.default
        value = self._value(each.name, default) if kind.is_saved else kind.default
        if kind.is_drawn and not (kind.may_be_saved and value):
            raise self._refused(
                f"its input {each.name} ({each.type}) is made by ComfyUI's page when the workflow "
                "is queued; queue it there, or put a node that loads a file in its place"
            )
        yield Widget(each.name, value, each)
        for _ in range(each.control):
            self._skip()
        if remote := each.info.get("remote"):
            self._skip()  # whether to refresh by itself
            if isinstance(remote, Mapping) and remote.get("refresh_button"):
                yield Widget("refresh", self._value("refresh", "refresh"))
        if each.type == DYNAMIC_COMBO:
            yield from self._chosen(each, value)

    def _chosen(self, each: InputDefinition, value: object) -> Iterator[Widget]:
        """The inputs that a choice brings along."""
        if value is None:
            return
        options = nested_inputs(each)
        if str(value) not in options:
            known = ", ".join(options)
            raise self._refused(
                f"its input {each.name} is {value!r:.80}, which is none of the choices that this "
                f"ComfyUI has ({known:.300}); which values belong to it cannot be known"
            )
        yield from self._group(options[str(value)])

    def _growing(self, each: InputDefinition) -> list[InputDefinition]:
        """The inputs of the first places of a list that grows; those of later ones stand behind."""
        places = [socket.name for socket in self._node.inputs if socket.link is not None]
        first, grown = each.grown(places)
        self._grown += grown
        return first

    def _kind(self, each: InputDefinition) -> Kind | None:
        """What the page makes of an input; None for a socket. Raises WorkflowError."""
        if each.info.get("forceInput") or each.type == MATCH_TYPE:
            return None
        kind = KINDS.get(each.widget_type)
        if kind is not None:
            return kind
        socket = self._sockets.get(each.name)
        has_widget = socket is not None and socket.widget is not None
        if has_widget or each.info.get("socketless") or _DYNAMIC.fullmatch(each.type):
            raise self._refused(
                f"its input {each.name} is of the kind {each.widget_type}, whose widget is not "
                "known; export the workflow from the page with Export (API)"
            )
        return None

    def _made_by_the_page(self, required: Sequence[InputDefinition]) -> Iterator[Widget]:
        """What the page puts behind the required inputs: buttons, players and views."""
        if self._node.type == CUSTOM_COMBO:
            yield Widget("index", self._value("index", 0))
            number = 0
            value: object = True
            while value or self.position < len(self._node.values):  # there is always an empty one
                number += 1
                value = self._value(f"option{number}", "")
                yield Widget(f"option{number}", value)
        if self._node.type in _SHOWS_3D:
            yield Widget("image", self._value("image", ""))
        if any(each.info.get("audio_upload") for each in required):
            self._skip()  # the player
        if any(each.is_file for each in required):
            self._skip()  # the button

    def _value(self, name: str, default: object) -> object:
        """What is saved for the widget that comes next."""
        self._positions.append((name, self.position))
        self.position += 1
        if self._named is not None:
            return self._named.get(name, default)
        values = self._node.values
        return values[self.position - 1] if self.position <= len(values) else default

    def _skip(self) -> None:
        """Pass over a widget that no prompt contains."""
        self.position += 1

    def _refused(self, sentence: str) -> WorkflowError:
        return WorkflowError.of(sentence, "unknown_widget", self._node.id, self._node.type)
