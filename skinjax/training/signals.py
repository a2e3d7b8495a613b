"""Being asked to stop: a flag that training looks at between two steps."""

import os
import signal
from collections.abc import Callable
from typing import Any

from skinjax.processes import AgreedStop, several


class Interrupted(Exception):  # noqa: N818 (it is no error)
    """The run was asked to stop; what it had saved is whole."""


class stopped_by_signals:  # noqa: N801 (used as a context manager)
    """SIGTERM and the first Ctrl-C set a flag that training looks at between two steps; before it they end the run.

    Of several processes, the signal to one stops all, at the same step; a Ctrl-C is handed on as SIGTERM once.
    """

    signals = (signal.SIGTERM, signal.SIGINT)

    def __enter__(self) -> Callable[[], bool]:
        self._stop = False
        self._asked = False
        if several():
            self._before = {signal.SIGINT: signal.signal(signal.SIGINT, self._hand_on)}
            return AgreedStop()
        try:
            self._before = {number: signal.signal(number, self._handle) for number in self.signals}
        except ValueError:  # not the main thread: whoever runs us there handles signals
            self._before = {}
        return self._should_stop

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
            around = getattr(handler, "__self__", None)
            if self._stop and isinstance(around, stopped_by_signals):  # who runs several hears of it too
                around._stop = True

    def _should_stop(self) -> bool:
        self._asked = True
        return self._stop

    def _hand_on(self, number: int, frame: Any) -> None:
        signal.signal(signal.SIGINT, self._before[signal.SIGINT])
        os.kill(os.getpid(), signal.SIGTERM)

    def _handle(self, number: int, frame: Any) -> None:
        if self._stop or not self._asked:
            raise Interrupted(f"stopped by {signal.Signals(number).name}; the same command continues from there")
        self._stop = True
