"""The chromium of this machine, driven by playwright, and pages that may not complain."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


def browser_program() -> str | None:
    """Where it is; CHROMIUM names another."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    return found if found and Path(found).exists() else None


@contextmanager
def opened_browser() -> Iterator[Any]:
    """It, started; its event loop ends with it, which others need. Skips where there is none."""
    api = pytest.importorskip(
        "playwright.sync_api", reason="no playwright (pip install playwright)"
    )
    program = browser_program()
    if program is None:
        pytest.skip("no chromium on this machine (set CHROMIUM to one)")
    with api.sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--no-proxy-server"]
        opened = playwright.chromium.launch(executable_path=program, args=arguments)
        yield opened
        opened.close()


@contextmanager
def quiet_pages(browser: Any, about: str = "") -> Iterator[Callable[..., Any]]:
    """(ours, unless, context's options) -> a page of its own; at the end none may have complained.

    Complaints are errors, what is written to the console, and requests to other addresses than
    those that begin with one of `ours`. On a page with much that is not ours only errors and
    warnings count, where `about` stands in their text or place. `unless` (text -> bool) tells of a
    line in the console that it is meant.
    """
    contexts, complaints = [], []

    def open_(ours: tuple[str, ...] = (), unless: Any = None, **options: Any) -> Any:
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()

        def said(message: Any) -> None:
            loud = message.type in ("error", "warning") or not about
            ours_too = about in message.location.get("url", "") + message.text
            if loud and ours_too and not (unless and unless(message.text)):
                complaints.append(message.text)

        page.on("console", said)
        page.on("pageerror", lambda error: about in str(error.stack) and complaints.append(error))
        if ours:
            context.on("request", lambda r: r.url.startswith(ours) or complaints.append(r.url))
        return page

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []
