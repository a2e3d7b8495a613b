"""Being asked to stop: a flag that training looks at between two steps."""

import signal
from collections.abc import Callable
from typing import Any


class Interrupted(Exception):  # noqa: N818 (it is no error)
    """The run was asked to stop; what it had saved is whole."""


class stopped_by_signals:  # noqa: N801 (used as a context manager)
    """SIGTERM and the first Ctrl-C set a flag that training looks at between two steps; before it they end the run."""

    signals = (signal.SIGTERM, signal.SIGINT)

    def __enter__(self) -> Callable[[], bool]:
        self._stop = False
        self._asked = False
        try:
            self._before = {number: signal.signal(number, self._handle) for number in self.signals}
        except ValueError:  # not the main thread: whoever runs us there handles signals
            self._before = {}
        return self._should_stop

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _should_stop(self) -> bool:
        self._asked = True
        return self._stop

    def _handle(self, number: int, frame: Any) -> None:
        if self._stop or not self._asked:
            raise Interrupted(f"stopped by {signal.Signals(number).name}; the same command continues from there")
        self._stop = True
