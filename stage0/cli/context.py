"""What every command needs: the global options, and where its lines go."""
from __future__ import annotations

import os
import sys
import time

from stage2.errors import RktError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from stage0.config import Config

DATA_DIR = "/var/lib/rkt"
_STARTED = time.perf_counter()       # as early as this module is imported: close to the start of the process


class ReaderGone(BaseException):
    """Nobody reads our standard output any more; not an error, the rest is not wanted."""


def flush() -> None:
    """Write out what was said. Raises RktError, or ReaderGone."""
    try:
        sys.stdout.flush()
    except OSError as err:
        raise _failed(err) from err


def _failed(err: OSError) -> BaseException:
    return ReaderGone() if isinstance(err, BrokenPipeError) else RktError("writing to standard output")


def tell(text: str) -> None:
    """A line on stderr; that nobody takes it changes nothing."""
    try:
        sys.stderr.write(text + "\n")
    except OSError:
        pass


class Context:
    """The global options of one call, and its output: results on stdout, all else on stderr."""

    def __init__(self, command: str, common: dict[str, Any]) -> None:
        self.command = command                       # first word of the command: what lines on stderr begin with
        self.debug: bool = common["debug"]
        self.system_config: str = common["system_config"]
        self.local_config: str = common["local_config"]
        self.user_config: str = common["user_config"]
        self.insecure: frozenset[str] = common["insecure_options"]
        self.trust_keys_from_https: bool = common["trust_keys_from_https"]
        self._dir: str | None = common["dir"]
        self._data_dir = ""
        self._config: Config | None = None
        self._last = _STARTED

    @property
    def config_dirs(self) -> tuple[str, ...]:
        """The configuration directories, the weakest first."""
        return tuple(path for path in (self.system_config, self.local_config, self.user_config) if path)

    @property
    def data_dir(self) -> str:
        """The data directory, absolute and free of symlinks: --dir, the configured one, or the default."""
        if not self._data_dir:
            chosen = self._dir
            if chosen is None:
                from stage0 import config  # late: two failed look-ups where nothing is configured

                chosen = config.paths(self.config_dirs).data or DATA_DIR
            elif not chosen:
                raise RktError("--dir is empty")
            self._data_dir = os.path.realpath(chosen)
        return self._data_dir

    @property
    def config(self) -> Config:
        """The merged configuration, read when first asked for."""
        if self._config is None:
            from stage0 import config  # late: few commands read it

            self._config = config.load(self.config_dirs)
        return self._config

    def say(self, text: str) -> None:
        """A line of results, on stdout."""
        try:
            sys.stdout.write(text + "\n")
        except OSError as err:
            raise _failed(err) from err

    def note(self, text: str) -> None:
        """A line for people, on stderr, behind the command's name."""
        flush()                      # keeps the order where both go to one file
        tell(f"{self.command}: {text}")

    def debug_note(self, text: str) -> None:
        """A line that only --debug shows."""
        if self.debug:
            self.note(text)

    def step(self, name: str) -> None:
        """With --debug: how long the work since the last step took, and all since the start."""
        if self.debug:
            now = time.perf_counter()
            self.note(f"{(now - self._last) * 1e3:7.2f} ms  {(now - _STARTED) * 1e3:8.2f} ms  {name}")
            self._last = now

    def require_root(self) -> None:
        """Refuse to go on without root."""
        if os.geteuid() != 0:
            raise RktError("root privileges are needed (sudo)")
