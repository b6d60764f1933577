"""Every file passes the gate first: a child that reads its header, killed where it takes long."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from swin2sr_core.sentences import sentence, spoken

from .child import Child, Message

_LOOK_SECONDS = 0.1


class GateRefused(Exception):
    """The file is no picture that is taken, or no plan for it fits."""

    def __init__(self, text: str, too_large: bool = False) -> None:
        super().__init__(text)
        self.too_large = too_large


@dataclass
class Gate:
    """One child, asked one file at a time.

    patience: seconds that it may compute for one file; longest: seconds in all, as a busy machine
    lets it wait.
    """

    patience: float = 2.0
    longest: float = 15.0
    _child: Child | None = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def start(self) -> None:
        """Start the child now rather than with the first file."""
        async with self._turn:
            await self._ready()

    async def ask(self, message: Message) -> Message:
        """The answer of `gate_process.answer`: `header` and `forecast`. Raises GateRefused."""
        async with self._turn:
            answer = await self._answer(message) or await self._answer(message)
        if answer is None:
            raise GateRefused(
                sentence("serve_header", "reading the picture's header failed; the file is damaged")
            )
        if not answer["ok"]:
            raise GateRefused(spoken(answer["sentence"], answer["words"]), answer["too_large"])
        return answer

    async def _answer(self, message: Message) -> Message | None:
        """None where the child died of it."""
        child = await self._ready()
        child.send(message)
        answer = None
        try:
            answer = await self._patiently(child)
        finally:
            if answer is None:  # also where nobody waits for it: it would be taken for the next one
                self._child = None
                child.kill()
                await child.ended()
        return answer

    async def _patiently(self, child: Child) -> Message | None:
        """Its answer. Raises GateRefused where that takes too long."""
        loop = asyncio.get_running_loop()
        end, before = loop.time() + self.longest, child.cpu_seconds()
        coming = asyncio.create_task(child.receive())
        try:
            while loop.time() < end:
                await asyncio.wait({coming}, timeout=_LOOK_SECONDS)
                if coming.done():
                    return coming.result()
                now = child.cpu_seconds()
                if before is not None and now is not None and now - before > self.patience:
                    break
        finally:
            coming.cancel()
        raise GateRefused(
            sentence(
                "serve_header_slow",
                "reading the picture's header took more than {seconds:g} seconds; open and save "
                "it in a program that you trust",
                seconds=self.patience,
            )
        )

    async def stop(self) -> None:
        if self._child is not None:
            await self._child.end()

    async def _ready(self) -> Child:
        if self._child is None or not self._child.alive:
            child = self._child = await Child.start("swin2sr_headless.service.gate_process")
            await child.receive()
        return self._child
