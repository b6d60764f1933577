"""The chromium of this machine, driven by playwright."""

import os
import shutil
from collections.abc import Iterator
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
