"""A pytest fixture that runs workflows: for this project, and for authors of node packs.

    def test_it_upscales(swin2sr_workflow):
        report = swin2sr_workflow("upscale.json", inputs={"example.png": "small.png"})
        assert report.files[0].name == "picture_00001_.png"

Installing swin2sr makes the fixture known to pytest. Tests run on the embedded host, or on another
with `--swin2sr-comfyui DIR` or `--swin2sr-server URL`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .report import Report
    from .runner import Session, Source

Run = Callable[..., "Report"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Choose the host for all tests."""
    group = parser.getgroup("swin2sr")
    group.addoption("--swin2sr-comfyui", metavar="DIR", help="run workflows with this ComfyUI")
    group.addoption("--swin2sr-server", metavar="URL", help="run workflows on this server")


@pytest.fixture(scope="session")
def swin2sr_session(request: pytest.FixtureRequest) -> Iterator[Session]:
    """The host of all tests, which keeps its models loaded."""
    from .runner import Session, make_host

    option = request.config.getoption
    host = make_host(
        comfyui=option("--swin2sr-comfyui", None), server=option("--swin2sr-server", None)
    )
    with Session(host) as session:
        yield session


@pytest.fixture
def swin2sr_workflow(swin2sr_session: Session, tmp_path: Path) -> Run:
    """(workflow, inputs=, values=, out=, timeout=, status="done") -> the report of its run.

    The test fails with the report's sentences where the status is another one. Outputs go into
    the test's `tmp_path / "output"`.
    """

    def run(
        workflow: Source,
        *,
        inputs: Mapping[str, str | Path] | None = None,
        values: Mapping[str, object] | None = None,
        out: str | Path | None = None,
        timeout: float | None = None,
        status: str = "done",
    ) -> Report:
        report = swin2sr_session.run(
            workflow,
            inputs=inputs,
            values=values,
            out=tmp_path / "output" if out is None else out,
            timeout=timeout,
        )
        if report.status != status:
            pytest.fail(f"expected a run that is {status}, got:\n{report}", pytrace=False)
        return report

    return run
