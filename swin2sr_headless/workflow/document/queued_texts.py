"""Texts that the page works out when a workflow is queued: names of files, prompts with choices."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from datetime import datetime

from .ui_document import UiNode

_SAVING = re.compile(r"Save|(CLIP|VAE|Model|Lora)Save$")
_PLACEHOLDER = re.compile(r"%([^%]+)%")
_NOT_IN_NAMES = re.compile(r'[/?<>\\:*|"\x00-\x1f\x7f]')
_DATE_PART = re.compile(r"yyyy|yy|d{1,2}|M{1,2}|h{1,2}|m{1,2}|s{1,2}")
_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)


def saves_files(class_type: str) -> bool:
    """Whether names in this class's `filename_prefix` are filled in by the page."""
    return bool(_SAVING.match(class_type))


def filled_in(text: str, nodes: Sequence[UiNode], value_of: Callable[[UiNode, str], object]) -> str:
    """`text` with %date:yyyy-MM-dd% and %Node.widget% replaced.

    A node is meant by its "Node name for S&R", else by its title; unknown ones stay as they are,
    like ComfyUI's own %width% and the like. `value_of` tells a node's widget's value.
    """

    def replacement(match: re.Match[str]) -> str:
        name, dot, widget = match[1].partition(".")
        if match[1].startswith("date:") and not dot:
            return _date(match[1].removeprefix("date:"), datetime.now())
        if not dot or "." in widget:
            return match[0]
        named = [n for n in nodes if n.properties.get("Node name for S&R") == name]
        found = named or [n for n in nodes if n.title == name]
        value = value_of(found[0], widget) if found else None
        return match[0] if value is None else _NOT_IN_NAMES.sub("_", _as_text(value))

    return _PLACEHOLDER.sub(replacement, text)


def chosen(text: str) -> str:
    """`text` with comments taken out and one of each {this|or that} drawn by chance."""
    return re.sub(r"\\([{}|])", r"\1", _without_choices(_COMMENT.sub("", text)))


def _without_choices(text: str) -> str:
    result, position = "", 0
    while position < len(text):
        char = text[position]
        if char == "\\":
            result += text[position : position + 2]
            position += 2
        elif char == "{":
            options, position = _options(text, position + 1)
            result += _without_choices(random.choice(options))
        else:
            result += char
            position += 1
    return result


def _options(text: str, start: int) -> tuple[list[str], int]:
    """What stands between the braces that open before `start`, and where to go on behind them."""
    options, depth, position = [""], 0, start
    while position < len(text):
        char = text[position]
        if char == "\\":
            options[-1] += text[position : position + 2]
            position += 2
            continue
        position += 1
        if char == "}" and depth == 0:
            break
        if char == "|" and depth == 0:
            options.append("")
            continue
        depth += {"{": 1, "}": -1}.get(char, 0)
        options[-1] += char
    return options, position


def _date(pattern: str, now: datetime) -> str:
    parts = {"d": now.day, "M": now.month, "h": now.hour, "m": now.minute, "s": now.second}

    def part(match: re.Match[str]) -> str:
        text = match[0]
        if text.startswith("y"):
            return str(now.year)[-len(text) :]
        return str(parts[text[0]]).zfill(len(text))

    return _DATE_PART.sub(part, pattern)


def _as_text(value: object) -> str:
    """As the page writes it: 2, not 2.0."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) and value.is_integer() else str(value)
