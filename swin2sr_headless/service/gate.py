"""Every file passes the gate first: a child that reads its header, killed where it takes long."""

from __future__ import annotations

import asyncio

from .child import Child, Message

PATIENCE = 2.0
"""Seconds for one file."""


class GateRefused(Exception):
    """The file is no picture that is taken, or no plan for it fits."""

    def __init__(self, sentence: str, too_large: bool = False) -> None:
        super().__init__(sentence)
        self.too_large = too_large


class Gate:
    """One child, asked one file at a time."""

    def __init__(self) -> None:
        self._child: Child | None = None
        self._turn = asyncio.Lock()

    async def start(self) -> None:
        """Start the child now rather than with the first file."""
        async with self._turn:
            await self._ready()

    async def ask(self, message: Message) -> Message:
        """The answer of `gate_process.answer`: `header` and `forecast`. Raises GateRefused."""
        async with self._turn:
            answer = await self._answer(message) or await self._answer(message)
        if answer is None:
            raise GateRefused("reading the picture's header failed; the file is damaged")
        if not answer["ok"]:
            raise GateRefused(answer["sentence"], answer["too_large"])
        return answer

    async def _answer(self, message: Message) -> Message | None:
        """None where the child died of it."""
        child = await self._ready()
        child.send(message)
        answer = None
        try:
            answer = await asyncio.wait_for(child.receive(), PATIENCE)
        except asyncio.TimeoutError:
            raise GateRefused(
                f"reading the picture's header took more than {PATIENCE:g} seconds; open and save "
                "it in a program that you trust"
            ) from None
        finally:
            if answer is None:  # also where nobody waits for it: it would be taken for the next one
                child.kill()
                self._child = None
        return answer

    async def stop(self) -> None:
        if self._child is not None:
            await self._child.end()

    async def _ready(self) -> Child:
        if self._child is None or not self._child.alive:
            child = self._child = await Child.start("swin2sr_headless.service.gate_process")
            await child.receive()
        return self._child
