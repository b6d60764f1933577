"""Run as a program: workflows in process with one ComfyUI checkout.

    python in_comfyui.py CHECKOUT

Each line of standard input is a JSON list of arguments of `Session.run`; for each line one with the
list of the reports is written to standard output.
"""

import json
import sys

from swin2sr_headless import Session, make_host


def main() -> None:
    with Session(make_host(comfyui=sys.argv[1])) as session:
        for line in sys.stdin:
            jobs = json.loads(line)
            reports = [session.run(job.pop("workflow"), **job).to_dict() for job in jobs]
            sys.stdout.write(json.dumps(reports) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
