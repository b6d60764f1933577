"""Run as a program: several workflows in process with one ComfyUI checkout.

    python in_comfyui.py CHECKOUT JOBS.json

JOBS.json is a list of the arguments of `Session.run`, or of {"graph", "expect"} for validation; the
reports go to standard output as one JSON list.
"""

import json
import sys
from pathlib import Path

from swin2sr_core.headless import Session, make_host


def main() -> None:
    checkout, jobs = sys.argv[1:]
    with Session(make_host(comfyui=checkout)) as session:
        reports = [
            session.run(job.pop("workflow"), **job).to_dict()
            for job in json.loads(Path(jobs).read_text())
        ]
    print(json.dumps(reports))


if __name__ == "__main__":
    main()
