"""The process that computes: models loaded once, pictures as `upscale` makes them.

One picture has the device, while the next one is read and the one before is written. It hears
`load`, `run` and `cancel`, and says `started`, `loaded`, `ready`, and with a picture's id `begun`,
`progress`, `stage`, and in the end one of `done`, `failed` and `cancelled`.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from threading import Lock

import torch

from swin2sr_core.engine.upscale import room_on, upscale
from swin2sr_core.errors import InputError, ModelNotFoundError, disk_is_full
from swin2sr_core.faces.step import FaceStep
from swin2sr_core.machine.devices import used_bytes
from swin2sr_core.models.model import Model, load_model
from swin2sr_core.planning.budget import Room
from swin2sr_core.sentences import glossary
from swin2sr_headless.cli.arguments import picture_settings
from swin2sr_headless.cli.files import Done, FileUpscaler
from swin2sr_headless.cli.output import Bar, Console
from swin2sr_headless.cli.preparation import face_step, job_for, writing_of
from swin2sr_headless.cli.stopping import StopSwitch
from swin2sr_headless.cli.targets import Target
from swin2sr_headless.failures import INTERRUPTED, explain
from swin2sr_headless.service.admission import HELD
from swin2sr_headless.service.device_turn import DeviceTurn
from swin2sr_headless.service.errors import without_paths
from swin2sr_headless.service.options import parsed_options
from swin2sr_headless.service.pool import Cancelled, TaskFailed, last_message
from swin2sr_headless.service.shelf import Shelf, weight_bytes
from swin2sr_headless.service.speech import Message, Speech

logger = logging.getLogger("swin2sr_headless.service.worker")

_TRIAL_SIDE = 64
_TELL_SECONDS = 0.1


Say = Callable[[Message], None]


class _Progress(Bar):
    """Tells the parent instead of a terminal, ten times a second at most."""

    def __init__(self, say: Say, total: float) -> None:
        self._say, self._total, self._next = say, total, 0.0

    def to(self, done: float, total: float = 0) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _TELL_SECONDS
            self._say({"say": "progress", "done": round(done / self._total, 4)})

    def tell(self, text: str) -> None:
        self._say({"say": "stage", "text": text})


class _Voice(Console):
    def __init__(self, say: Say) -> None:
        super().__init__(json=True)
        self._say = say

    @contextmanager
    def bar(self, label: str, total: float | None, *, of_bytes: bool = False) -> Iterator[Bar]:
        yield _Progress(self._say, total or 1)


class Worker:
    """One device with its models."""

    def __init__(self) -> None:
        self.speech = Speech(self._hear)
        self.precision, self.device = "auto", "auto"
        self.sources: dict[str, str] = {}
        self.shelf = Shelf(lambda name: load_model(self.sources[name], self.precision, self.device))
        self._stops: dict[str, StopSwitch] = {}
        self._device, self._once = Lock(), Lock()
        self._threads = ThreadPoolExecutor(HELD)
        self._faces: FaceStep | None = None

    def serve(self) -> None:
        """Until the parent is gone."""
        self.speech.say({"say": "started"})
        while True:
            message = self.speech.next()
            if message["do"] == "load":
                self._load(message)
            else:
                self._threads.submit(self._run, message)

    def _hear(self, message: Message) -> bool:
        """Whatever comes, at once: who may be stopped is known from then on."""
        if message["do"] == "run":
            self._stops[message["id"]] = StopSwitch()
        elif message["do"] == "cancel" and (stop := self._stops.get(message["id"])) is not None:
            stop.requested = True
        return message["do"] == "cancel"

    def _load(self, message: Message) -> None:
        """All models in turn, the default one last: where bytes are short, it is what stays.

        models: what `load_model` takes, by their names here; max_memory: of the device, None where
        none was set; workers: that share it; program_bytes, spare: what else of ours is on a CPU.
        """
        self.precision, self.device = message["precision"], message["device"]
        self.sources = message["models"]
        device = torch.device("cpu")
        try:
            for name in reversed(self.sources):
                with self.shelf.model(name) as model:
                    device = model.device
                    self.speech.say({"say": "loaded", "model": name, **self._facts(model)})
        except Exception as error:
            failure = explain(error)
            self.speech.say({"say": "failed", **failure.to_dict(), "exit_code": failure.exit_code})
            return
        weights, free = self.shelf.weight_bytes, room_on(device).free
        own = max(0, (used_bytes(device) or 0) - weights) * message["workers"]
        if device.type == "cpu":
            own += message["program_bytes"] + own // message["workers"] * message["spare"]
        if message["max_memory"] is not None:
            self.shelf.most = message["max_memory"] - own
        elif free is not None:
            self.shelf.most = weights + free
        most = {"own_bytes": own, "most_bytes": self.shelf.most, "free_bytes": free}
        self.speech.say({"say": "ready", "device": str(device), **most})

    def _facts(self, model: Model) -> Message:
        """What others plan with, and how fast it was with a small picture."""
        picture = torch.rand(1, 3, _TRIAL_SIDE, _TRIAL_SIDE)
        upscale(model, picture)
        report = upscale(model, picture).report
        return {
            "prospect": asdict(model.prospect),
            "device": str(model.device),
            "weight_bytes": weight_bytes(model),
            "strategy": report.strategy,
            "rate": report.plan.work / max(report.seconds, 1e-6),
        }

    def _run(self, message: Message) -> None:
        """Whatever becomes of the picture, it is told."""
        stop = self._stops[message["id"]]

        def say(what: Message) -> None:
            self.speech.say({"id": message["id"], **what})

        turn = DeviceTurn(self._device, stop, lambda: say({"say": "begun"}))
        try:
            done = self._made(message, stop, turn, say)
        except (Exception, KeyboardInterrupt) as error:
            logger.debug("a picture failed", exc_info=True)
            answer = last_message(_failure(error, message))
        else:
            report = done.to_dict()
            answer = {
                "say": "done",
                "report": {**report, "words": glossary(report["notices"])},
                "work": done.plan.plan.work * len(done.done.reports),
                "seconds": done.done.seconds,
                "waited": turn.waited,
                "free_bytes": room_on(torch.device(done.report.device)).free,
            }
        del self._stops[message["id"]]
        say(answer)

    def _made(self, message: Message, stop: StopSwitch, turn: DeviceTurn, say: Say) -> Done:
        args = parsed_options(message["options"])
        args.model = self.sources[message["model"]]
        args.precision, args.device = self.precision, self.device
        output = Path(message["output"])
        writing = replace(writing_of(args), overwrite=True, first_only=message["first_only"])
        target = Target(Path(message["input"]), output, None)
        with self.shelf.model(message["model"], message["bytes"]) as model:
            settings = replace(
                picture_settings(args, model.config.scale), program_bytes=message["program_bytes"]
            )
            job = job_for(args, settings, model, self._face_step(args), [output])
            # the plan that was admitted, whatever other pictures take now
            job.room = lambda: Room(message["free_bytes"], where=str(model.device))
            return FileUpscaler(job, writing, _Voice(say), stop, turn).run(target, "")

    def _face_step(self, args: argparse.Namespace) -> FaceStep | None:
        """Raises InputError where this machine lacks what it needs: only its operator is told."""
        with self._once:
            if args.faces and self._faces is None:
                try:
                    self._faces = face_step(args)
                except ModelNotFoundError as error:
                    logger.warning("a picture was refused for its faces: %s", error)
                    raise InputError(
                        "faces: this server lacks what they need; leave them out, or ask who runs "
                        "it to look at its log"
                    ) from error
        return self._faces if args.faces else None


def _failure(error: BaseException, message: Message) -> Cancelled | TaskFailed:
    failure = explain(error)
    if failure.exit_code == INTERRUPTED:
        return Cancelled()
    sentence = without_paths(failure.sentence, message["input"], message["output"])
    full = disk_is_full(error)
    return TaskFailed(sentence, failure.exit_code == 2 and not full, full)


if __name__ == "__main__":
    Worker().serve()
