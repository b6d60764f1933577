"""What a text must lose before it is shown to strangers: places, names, and secrets."""

from __future__ import annotations

import contextlib
import getpass
import os
import re
from collections.abc import Iterable
from pathlib import Path

_URL = re.compile(r"\b(?:https?|s3|gs|az|wss?)://[^\s'\"<>]+", re.IGNORECASE)
_ENDING = r"\.[A-Za-z]\w{0,11}"
_PATH = re.compile(
    # /a/b, ~/a, C:\a, C:/a, \\server\a: with blanks where an ending follows in the same clause
    r"(?<![\w.<>])(?:~|[A-Za-z]:|\\)?[\\/](?!\s)(?:[^:;,'\"<>()\n]*?"
    + _ENDING
    + r"\b|[^\s:;,'\"<>()]*)"
)
_FILE = re.compile(
    r"(?<![\w<])[^\s:;,'\"<>()]+\.(?:png|jpe?g|jfif|webp|tiff?|gif|bmp|avif|hei[cf]|jxl|jp2|mp4|mov|"
    r"mkv|webm|avi|json|pth|pt|bin|safetensors|onnx)\b",
    re.IGNORECASE,
)
_SECRET_NAME = re.compile(r"key|token|secret|passw", re.IGNORECASE)
_LEAST = 3
"""Shorter words than this are parts of others, and tell nothing."""


def scrubbed(text: str, words: Iterable[str] = ()) -> str:
    """The text without addresses, paths, names of files and of the user, and secrets.

    `words` are those that the user has typed: names and values, which go, too.
    """
    for secret in _secrets():
        text = text.replace(secret, "<secret>")
    text = _URL.sub("<address>", text)
    for word in sorted(set(words), key=len, reverse=True):
        if len(word) >= _LEAST and not word.isalpha():
            text = text.replace(word, _placeholder(word))
    text = _PATH.sub(lambda match: _placeholder(match[0]), text)
    text = _FILE.sub(lambda match: _placeholder(match[0]), text)
    for name in _user_names():
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "<user>", text, flags=re.IGNORECASE)
    return text


def _placeholder(name: str) -> str:
    ending = re.search(_ENDING + "$", name)
    return f"<file{ending[0]}>" if ending else "<path>" if re.search(r"[\\/]", name) else "<value>"


def _secrets() -> list[str]:
    found = [value for name, value in os.environ.items() if _SECRET_NAME.search(name)]
    return [each for each in found if len(each) > _LEAST]


def _user_names() -> list[str]:
    names = {os.environ.get(each, "") for each in ("USER", "USERNAME", "LOGNAME")}
    with contextlib.suppress(OSError, KeyError, RuntimeError):  # a user without an entry, or a home
        names |= {getpass.getuser(), Path.home().name}
    return [name for name in names if len(name) >= _LEAST]
