"""JSON lines over the standard streams, as a child process speaks them."""

from __future__ import annotations

import json
import logging
import os
import queue
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any

Message = dict[str, Any]


class Speech:
    """What comes in waits in a queue; the process ends at once when its parent is gone.

    Standard output belongs to the messages: what libraries print goes to standard error.
    """

    def __init__(self, urgent: Callable[[Message], bool] = lambda _message: False) -> None:
        """`urgent` sees every message as it comes, on another thread; true: it is done with."""
        for number in (signal.SIGINT, signal.SIGTERM):  # the parent's to decide on
            signal.signal(number, signal.SIG_IGN)
        self._input = os.fdopen(os.dup(0), "rb")
        self._output = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        warnings.simplefilter("ignore")  # each that a stranger's file causes would be kept for ever
        logging.getLogger("swin2sr_core.pictures").setLevel("ERROR")  # their reports tell the rest
        self._urgent = urgent
        self._lock = threading.Lock()
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def say(self, message: Message) -> None:
        with self._lock:
            try:
                self._output.write(json.dumps(message).encode() + b"\n")
                self._output.flush()
            except OSError:
                os._exit(0)

    def next(self) -> Message:
        """Wait for the next message."""
        return self._messages.get()

    def _listen(self) -> None:
        for line in self._input:
            message = json.loads(line)
            if not self._urgent(message):
                self._messages.put(message)
        os._exit(0)
