"""Sentences that other languages can word: the English text, its key, and the values within."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from string import Formatter
from typing import Any

Glossary = dict[str, dict[str, Any]]
"""By the text of a sentence its `key` and its `values`: how JSON tells what a `Sentence` knows."""


class Sentence(str):
    """An English sentence for people that knows how it was made.

    It is the text, wherever a text is wanted, as the argument of an error too: `str(error)` is the
    sentence again. By `key` a page has its own words for it, into which `values` go; each is as it
    stands in the text, and may be a sentence itself.
    """

    key: str
    values: Mapping[str, str]

    def __new__(cls, text: str, key: str, values: Mapping[str, str]) -> Sentence:
        made = super().__new__(cls, text)
        made.key, made.values = key, values
        return made

    def __reduce__(self) -> tuple[type[Sentence], tuple[str, str, Mapping[str, str]]]:
        return Sentence, (str.__str__(self), self.key, self.values)

    def __str__(self) -> str:
        return self  # and not a copy without the key


def sentence(key: str, template: str, /, **values: object) -> Sentence:
    """The template with its {name}s (and formats, as {name:g}) filled in, under that key."""
    fields = [(name, form or "") for _, name, form, _ in Formatter().parse(template) if name]
    shown = {name: _shown(values[name], form) for name, form in fields}
    return Sentence(template.format(**values), key, shown)


def _shown(value: object, form: str) -> str:
    return value if isinstance(value, Sentence) else format(value, form)


def words(value: object) -> Iterator[Sentence]:
    """All sentences within (nested) mappings, lists and tuples, those within sentences too."""
    if isinstance(value, Sentence):
        yield value
        yield from words(value.values)
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from words(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from words(each)


def glossary(*values: object) -> Glossary:
    """Of all sentences within the values."""
    return {str(each): {"key": each.key, "values": each.values} for each in words(values)}


def spoken(text: str, told: Glossary) -> str:
    """The inverse for one text: the sentence again, or the text where nothing is told of it."""
    if text not in told:
        return text
    values = {name: spoken(value, told) for name, value in told[text]["values"].items()}
    return Sentence(text, told[text]["key"], values)


def changed(text: str, change: Callable[[str], str]) -> str:
    """What `change` makes of the text, and of the values within where it is a sentence."""
    if not isinstance(text, Sentence):
        return change(text)
    values = {name: changed(value, change) for name, value in text.values.items()}
    return Sentence(change(text), text.key, values)
