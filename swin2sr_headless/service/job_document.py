"""A job as it is told to clients."""

from __future__ import annotations

from typing import Any

from .access import Access
from .job_store import Job
from .jobs import Jobs


def job_document(jobs: Jobs, access: Access | None, job: Job) -> dict[str, Any]:
    """Its state; `link` is where a result is had without a key, for ten minutes."""
    here = f"/jobs/{job.id}"

    def link(path: str) -> str:
        return path if access is None else access.links.signed(path)

    done = [each.number for each in job.pictures if each.state == "done"]
    return {
        "id": job.id,
        "state": job.state,
        "created": job.created,
        "ended": job.ended,
        **jobs.position(job),
        "pictures": [
            {
                "number": each.number,
                "name": each.name,
                "state": each.state,
                "report": each.report,
                "problem": each.problem,
                "link": link(f"{here}/result/{each.number}") if each.number in done else None,
            }
            for each in job.pictures
        ],
        "events": f"{here}/events",
        "result": f"{here}/result",
        "link": link(f"{here}/result") if done else None,
    }
