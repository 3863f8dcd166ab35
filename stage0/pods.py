"""Pods on disk: a pod is a directory, and its state is where the directory stands and whether it is locked.

The directory is DATA/pods/STATE/UUID; the lock is a BSD lock on the directory itself, taken before
the pod can be seen and kept by whoever prepares, runs or deletes it. When that process ends, however
it ends, the kernel drops the lock: no state can be left over (docs/pod-lifecycle.md).
"""
from __future__ import annotations

import fcntl
import os

from stage0 import faultpoints, podnames
from stage1 import poddir
from stage2 import files
from stage2.errors import RktError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

# States, as users see them.
EMBRYO, PREPARING, ABORTED_PREPARE, PREPARED = "embryo", "preparing", "aborted prepare", "prepared"
RUNNING, EXITED, EXITED_GARBAGE, EXITED_DELETING = "running", "exited", "exited garbage", "exited deleting"
GARBAGE, DELETING = "garbage", "deleting"

# Directories below pods/, in the order in which a pod passes them; it never goes back.
IN_EMBRYO, IN_PREPARE, IN_PREPARED = "embryo", "prepare", "prepared"
IN_RUN, IN_EXITED_GARBAGE, IN_GARBAGE = "run", "exited-garbage", "garbage"
DIRECTORIES = (IN_EMBRYO, IN_PREPARE, IN_PREPARED, IN_RUN, IN_EXITED_GARBAGE, IN_GARBAGE)
VISIBLE = (IN_PREPARE, IN_PREPARED, IN_RUN, IN_EXITED_GARBAGE)
NAMES = "names"

_STATES = {  # directory: state when unlocked, when locked
    IN_EMBRYO: (EMBRYO, EMBRYO),
    IN_PREPARE: (ABORTED_PREPARE, PREPARING),
    IN_PREPARED: (PREPARED, PREPARED),
    IN_RUN: (EXITED, RUNNING),
    IN_EXITED_GARBAGE: (EXITED_GARBAGE, EXITED_DELETING),
    IN_GARBAGE: (GARBAGE, DELETING),
}
_NOT_YET_ENDED = (EMBRYO, PREPARING, PREPARED, RUNNING)
_TRIES = 100
_BLOCK = 1 << 16
_FOREVER = float("inf")


class PodError(RktError):
    """A pod that is not there, not in the right state, or in other hands."""


class PodGone(PodError):
    """The pod was deleted while we looked at it."""

    def __init__(self, uuid: str) -> None:
        super().__init__(f"pod {uuid} is gone")


def new_uuid() -> str:
    """A random UUID, lower-case with dashes."""
    digits = bytearray(os.urandom(16))
    digits[6] = digits[6] & 0x0F | 0x40
    digits[8] = digits[8] & 0x3F | 0x80
    return podnames.dashed(digits.hex())


class Pod:
    """A pod, held by a descriptor of its directory; close it, or use it in a `with`."""

    __slots__ = ("directory", "fd", "owned", "pods", "uuid")

    def __init__(self, pods: Pods, uuid: str, directory: str, fd: int) -> None:
        self.pods = pods
        self.uuid = uuid
        self.directory = directory  # of DIRECTORIES, where it was last seen
        self.fd = fd
        self.owned = False          # whether we hold the lock

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Drop the descriptor, and with it the lock if we hold it."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd, self.owned = -1, False

    @property
    def path(self) -> str:
        """The pod directory, where it was last seen."""
        return f"{self.pods.root}/{self.directory}/{self.uuid}"

    @property
    def lock_fd(self) -> int:
        """The descriptor that carries the lock, for the program that becomes the pod."""
        return self.fd

    @property
    def state(self) -> str:
        """The state at this moment. Raises PodGone."""
        while True:
            held = self.is_held()
            if os.path.lexists(self.path):
                return _STATES[self.directory][held]
            self._look()

    def is_held(self) -> bool:
        """Whether some process owns the pod; never waits."""
        return self.owned or not self._probe()

    def name(self) -> str | None:
        """The name given with --name."""
        try:
            return self.read(poddir.NAME).decode()
        except FileNotFoundError:
            return None

    def read(self, name: str) -> bytes:
        """The content of a file in the pod directory, wherever that moves meanwhile."""
        fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self.fd)
        try:
            data = os.read(fd, _BLOCK)
            return data if len(data) < _BLOCK else data + files.read_fd(fd, name)
        finally:
            os.close(fd)

    def write(self, name: str, content: str, mode: int = 0o644, *, sync: bool = False) -> None:
        """Write a file of the pod, whole or not at all."""
        files.replace(f"{self.path}/{name}", content, mode, sync=sync)

    def lock(self) -> bool:
        """Take the pod over; False if another process has it. Raises PodGone.

        Waits for a moment while the pod is only read: who looks at a state does that briefly.
        """
        for _ in range(_TRIES):
            try:
                fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not self._probe():
                    return False
                _pause(0.002)
            else:
                self.owned = True
                self._look()
                return True
        return False

    def hold(self) -> bool:
        """Keep the pod from being taken over, and so deleted, until it is closed; False if it is in other hands."""
        try:
            fcntl.flock(self.fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        self._look()
        return True

    def unlock(self) -> None:
        """Give the pod up."""
        fcntl.flock(self.fd, fcntl.LOCK_UN)
        self.owned = False

    def move(self, directory: str) -> None:
        """Rename the pod into another state, for good: it stays there over a power loss."""
        target = f"{self.pods.directory(directory)}/{self.uuid}"
        while self.directory != directory:
            try:
                os.rename(self.path, target)
                self.directory = directory
            except FileNotFoundError:
                self._look()  # a gc marked it before us
        faultpoints.reach("pod-renamed")
        files.sync_directory(f"{self.pods.root}/{directory}")

    def remove(self) -> None:
        """Delete the pod; the caller owns it. What a crash leaves is garbage that can be deleted again."""
        from stage0.removal import remove_tree
        if self.directory in (IN_RUN, IN_PREPARED, IN_PREPARE, IN_EMBRYO):
            self.move(IN_EXITED_GARBAGE if self.directory == IN_RUN else IN_GARBAGE)
        name = self.name()
        if name is not None:
            podnames.release(self.pods.directory(NAMES), name, self.uuid)
        faultpoints.reach("remove-name-released")
        # The roots of the apps first: as long as the manifest is there, the pod can be told and removed.
        remove_tree(f"{self.path}/overlay")
        faultpoints.reach("remove-overlay-gone")
        remove_tree(f"{self.path}/{poddir.STAGE1_ROOTFS}")
        faultpoints.reach("remove-rootfs-gone")
        remove_tree(self.path)
        faultpoints.reach("remove-done")

    def discard(self) -> None:
        """Delete a pod that we own and that did not come to run."""
        os.chdir("/")
        self.remove()
        self.close()

    def wait_ended(self, timeout_s: float = _FOREVER) -> bool:
        """Wait until the pod neither runs nor ever will; False if the time is up first.

        Sleeps on the lock, which the kernel drops with the last process of the pod.
        """
        import time
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                state = self.state
            except PodGone:
                return True
            if state not in _NOT_YET_ENDED:
                return True
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return False
            if state in (RUNNING, PREPARING):
                self._wait_unlocked(left_s)
            else:
                _pause(min(0.1, left_s))

    def wait_ready(self, timeout_s: float = _FOREVER) -> bool:
        """Wait until the apps of the pod started; False if the time is up. Raises PodError if it ends first."""
        import time
        deadline = time.monotonic() + timeout_s
        while True:
            state = self.state
            if os.path.lexists(f"{self.path}/{poddir.SUPERVISOR_STATUS}"):
                return True
            if state not in _NOT_YET_ENDED:
                raise PodError(f'pod "{self.uuid}" is {state} and never was ready')
            if time.monotonic() >= deadline:
                return False
            _pause(0.02)

    def _probe(self) -> bool:
        """Whether a shared lock can be had right now; it is dropped at once."""
        try:
            fcntl.flock(self.fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        fcntl.flock(self.fd, fcntl.LOCK_UN)
        return True

    def _wait_unlocked(self, timeout_s: float) -> None:
        import signal

        def expire(*_: object) -> None:
            raise TimeoutError

        previous = signal.signal(signal.SIGALRM, expire)
        try:
            try:
                signal.setitimer(signal.ITIMER_REAL, 0 if timeout_s == _FOREVER else timeout_s)
                fcntl.flock(self.fd, fcntl.LOCK_SH)
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        except TimeoutError:
            pass
        finally:
            fcntl.flock(self.fd, fcntl.LOCK_UN)
            signal.signal(signal.SIGALRM, previous)

    def _look(self) -> None:
        """Find out where the directory is now. A pod only moves forward, so one pass cannot miss it."""
        for directory in DIRECTORIES[DIRECTORIES.index(self.directory):]:
            if os.path.lexists(f"{self.pods.root}/{directory}/{self.uuid}"):
                self.directory = directory
                return
        raise PodGone(self.uuid)


class Pods:
    """The pods of a data directory."""

    def __init__(self, data_dir: str) -> None:
        self.data_dir = data_dir
        self.root = f"{data_dir}/pods"
        faultpoints.arm(data_dir)

    def directory(self, name: str) -> str:
        """A directory below pods/, made if it is not there."""
        path = f"{self.root}/{name}"
        if not os.path.isdir(path):
            from stage0.store.layout import Layout
            Layout(self.data_dir).directory(f"pods/{name}")
        return path

    def create(self, uuid: str, name: str | None = None) -> Pod:
        """A new pod in prepare/, owned by us.

        A failure leaves nothing, a crash an unlocked directory that gc deletes.
        Raises PodNameError if the name is that of a live pod.
        """
        pod = self.begin(uuid)
        try:
            self.admit(pod, name)
        except BaseException:
            pod.discard()
            raise
        return pod

    def admit(self, pod: Pod, name: str | None) -> None:
        """Let others see a pod that was begun, under its UUID and a name: from embryo/ to prepare/.

        Raises PodNameError if the name is that of a live pod.
        """
        if name is not None:
            podnames.check(name)
            pod.write(poddir.NAME, name)
            podnames.reserve(self.directory(NAMES), name, pod.uuid, self._lives)
            faultpoints.reach("pod-named")
        pod.move(IN_PREPARE)
        faultpoints.reach("pod-created")

    def begin(self, uuid: str) -> Pod:
        """A new pod in embryo/, owned by us: from here on gc finds what a crash leaves."""
        path = f"{self.directory(IN_EMBRYO)}/{uuid}"
        while True:
            try:
                os.mkdir(path, 0o750)
            except FileExistsError:
                pass
            faultpoints.reach("pod-made")
            pod = self.open(uuid)
            try:
                if pod is not None and pod.lock() and pod.directory == IN_EMBRYO:
                    faultpoints.reach("pod-locked")
                    return pod
            except PodGone:
                pass
            if pod is not None:
                pod.close()
            _pause(0.002)  # a gc came between mkdir and lock and took it for a leftover: again

    def open(self, uuid: str, directories: tuple[str, ...] = DIRECTORIES) -> Pod | None:
        """The pod of a full UUID, if it stands in one of the directories."""
        for directory in directories:
            try:
                fd = os.open(f"{self.root}/{directory}/{uuid}",
                             os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except (FileNotFoundError, NotADirectoryError):
                continue
            return Pod(self, uuid, directory, fd)
        return None

    def find(self, word: str) -> Pod:
        """The pod of a UUID, a name, or an unambiguous beginning of a UUID, tried in this order.

        Embryos and pods that never ran and are being deleted are not found.
        """
        wanted = word.strip().lower()
        uuid = podnames.full_uuid(wanted) or podnames.holder(f"{self.root}/{NAMES}", word.strip())
        uuid = uuid or self._by_prefix(wanted)
        pod = self.open(uuid, VISIBLE) if uuid else None
        if pod is None:
            raise PodError(f'no matches found for "{word}"')
        return pod

    def all(self, directories: tuple[str, ...] = VISIBLE) -> Iterator[Pod]:
        """Every pod in these directories, one after another; each is closed when the next is asked for."""
        seen = set()
        for directory in directories:
            for uuid in self.uuids(directory):
                if uuid in seen or (pod := self.open(uuid, DIRECTORIES[DIRECTORIES.index(directory):])) is None:
                    continue
                seen.add(uuid)
                with pod:
                    yield pod

    def uuids(self, directory: str) -> list[str]:
        """The UUIDs of the pods in one directory."""
        try:
            return [entry for entry in os.listdir(f"{self.root}/{directory}") if podnames.full_uuid(entry) == entry]
        except FileNotFoundError:
            return []

    def release_names(self) -> None:
        """Free the names that lead to pods that are gone."""
        for name, uuid in podnames.all_names(f"{self.root}/{NAMES}").items():
            if self.open(uuid) is None:
                podnames.release(self.directory(NAMES), name, uuid)

    def _lives(self, uuid: str) -> bool:
        pod = self.open(uuid)
        if pod is None:
            return False
        with pod:
            try:
                state = pod.state
            except PodGone:
                return False
            return state in (PREPARED, PREPARING, RUNNING) or (state == EMBRYO and pod.is_held())

    def _by_prefix(self, prefix: str) -> str | None:
        if not prefix:
            return None
        found = {uuid for directory in VISIBLE for uuid in self.uuids(directory) if uuid.startswith(prefix)}
        if len(found) > 1:
            raise PodError(f"ambiguous uuid, {len(found)} matches")
        return found.pop() if found else None


def _pause(seconds: float) -> None:
    import time
    time.sleep(seconds)
