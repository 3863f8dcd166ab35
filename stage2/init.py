"""PID 1 of the pod: starts the apps, reaps, passes signals on, writes exit statuses.

One loop over one poll object; nothing in it blocks. The pod ends when all its apps
ended, or when one failed and the others were stopped (cli.md section 1.3).
"""
from __future__ import annotations

import _signal
import os
import select
import time

from stage2 import app as application
from stage2 import errors, files, listening, memory, output, paths, record, root, syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

FAILED = 254
# SIGPWR and SIGRTMIN+3, +4: how a service manager and machinectl ask a container to end.
_STOP = frozenset((_signal.SIGTERM, _signal.SIGINT, _signal.SIGPWR, _signal.SIGRTMIN + 3, _signal.SIGRTMIN + 4))
_PASSED_ON = frozenset((_signal.SIGHUP, _signal.SIGUSR1, _signal.SIGUSR2, _signal.SIGWINCH))
_POST_STOP_S = 10.0


def main() -> int:
    """Run the pod of /rkt/record.json; returns its exit status."""
    return Init(record.read(paths.RECORD)).run()


class Process:
    """An app of the pod: its main process, or the handler that runs after it."""

    def __init__(self, app: record.App) -> None:
        self.app = app
        self.pid = 0
        self.status: int | None = None    # of the main process
        self.started = False
        self.ready = not app.notify
        self.cleaning = False             # pid is that of the post-stop handler

    @property
    def ended(self) -> bool:
        """No process of it is left to wait for."""
        return self.status is not None and not self.cleaning


class Init:
    """The state of PID 1."""

    def __init__(self, pod: record.Record) -> None:
        self.pod = pod
        self.processes = [Process(app) for app in pod.apps]
        self.single = len(pod.apps) == 1
        self.streams = [output.Stream(1), output.Stream(2)]
        self.sources: list[output.Source] = []
        self.poll = select.poll()
        self.watched: dict[int, Callable[[], None]] = {}
        self.failure = 0                  # status of the first app that failed
        self.deadline: float | None = None
        self.notify_socket = os.environ.pop("NOTIFY_SOCKET", None)
        self.inherited = listening.inherited()

    def run(self) -> int:
        """Start the apps and see them to their ends; returns the exit status of the pod."""
        # systemd-nspawn, our parent, sees to this for itself alone: a `kill -9` of it would leave the pod running.
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, _signal.SIGKILL)
        self._catch_signals()
        for process in self.processes:
            self._start(process)
        trimmed = False
        while not all(process.ended for process in self.processes):
            self._turn()
            if not trimmed and self.deadline is None and all(process.started for process in self.processes):
                trimmed = True
                self._started()
        self._drain()
        return self.failure

    # signals

    def _catch_signals(self) -> None:
        read, write = os.pipe()
        os.set_blocking(read, False)
        os.set_blocking(write, False)
        _signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        for number in (_signal.SIGCHLD, *_STOP, *_PASSED_ON):
            _signal.signal(number, lambda _number, _frame: None)
        _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
        self._watch(read, lambda: self._signalled(os.read(read, 4096)))

    def _signalled(self, numbers: bytes) -> None:
        for number in numbers:
            if number in _STOP:
                self._stop()
            elif number in _PASSED_ON and self.single:
                self._signal(self.processes[0], number)
        self._reap()

    def _stop(self) -> None:
        """Ask every app to end; what is left after the time-out is killed."""
        if self.deadline is None:
            self.deadline = time.monotonic() + self.pod.stop_timeout_s
            for process in self.processes:
                self._signal(process, process.app.stop_signal)

    def _signal(self, process: Process, number: int) -> None:
        if process.pid and not process.cleaning:
            os.kill(process.pid, number)

    # the loop

    def _watch(self, fd: int, ready: Callable[[], None]) -> None:
        self.watched[fd] = ready
        self.poll.register(fd, select.POLLIN)

    def _forget(self, fd: int) -> None:
        self.poll.unregister(fd)
        del self.watched[fd]
        os.close(fd)

    def _turn(self) -> None:
        timeout_ms = None
        if self.deadline is not None:
            left_s = self.deadline - time.monotonic()
            if left_s <= 0:
                self._kill_all()
            timeout_ms = max(0, left_s) * 1000 + 1
        full = self._await_output()
        for fd, _event in self.poll.poll(timeout_ms):
            if (ready := self.watched.get(fd)) is not None:
                ready()
        for stream in full:
            self.poll.unregister(stream.fd)

    def _await_output(self) -> list[output.Stream]:
        """Watch the streams that have something to write; their sources wait meanwhile."""
        full = [stream for stream in self.streams if stream.waiting]
        for stream in full:
            try:
                self.poll.register(stream.fd, select.POLLOUT)
                self.watched[stream.fd] = stream.flush_some
            except OSError:
                stream.waiting.clear()
        for source in self.sources:
            self.poll.register(source.fd, 0 if source.stream in full else select.POLLIN)
        return full

    def _kill_all(self) -> None:
        self.deadline = time.monotonic() + _POST_STOP_S
        try:
            os.kill(-1, _signal.SIGKILL)
        except ProcessLookupError:
            pass

    def _drain(self) -> None:
        """Write the last lines, as long as somebody reads them."""
        for source in self.sources:
            os.set_blocking(source.fd, False)
            try:
                while source.read_some():
                    pass
            except BlockingIOError:  # a process that outlived its app holds the pipe
                pass
        for stream in self.streams:
            waiter = select.poll()
            waiter.register(stream.fd, select.POLLOUT)
            while stream.waiting and waiter.poll(self.pod.stop_timeout_s * 1000):
                stream.flush_some()

    # one app

    def _start(self, process: Process) -> None:
        """Fork the process of an app; `_exec_done` hears how that went."""
        app = process.app
        _touch(f"{paths.status(app.name)}-created")
        failed_read, failed_write = os.pipe()
        outputs = [] if self.single else [os.pipe(), os.pipe()]
        notify = self._notify_socket(process) if app.notify else None
        process.pid = os.fork()
        if process.pid == 0:
            if outputs:
                os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
                os.dup2(outputs[0][1], 1)
                os.dup2(outputs[1][1], 2)
            self._child(app, failed_write, lambda: self._become(app, notify))
        os.close(failed_write)
        files.replace(paths.pid(app.name), f"{process.pid}\n")
        prefix = f"{app.name}[{process.pid}]: ".encode() if self.pod.prefix else b""
        for (read, write), stream in zip(outputs, self.streams):
            os.close(write)
            source = output.Source(read, stream, prefix)
            self.sources.append(source)
            self._watch(read, lambda source=source: self._output(source))  # type: ignore[misc]
        self._watch(failed_read, lambda: self._exec_done(process, failed_read))

    def _child(self, app: record.App, failed: int, do: Callable[[], NoReturn]) -> NoReturn:
        """The rest of a forked child: its failure goes through the pipe `failed`, in one line."""
        try:
            application.reset_signals()
            os.setsid()
            if self.pod.interactive:
                import fcntl
                fcntl.ioctl(0, 0x540E, 1)  # TIOCSCTTY, from PID 1, whose terminal it was
                os.fchown(0, app.uid, -1)
            do()
        except (OSError, errors.RktError) as err:
            os.write(failed, errors.line(err).encode())
        except BaseException as err:
            os.write(failed, f"{type(err).__name__}: {err}".encode())
        os._exit(FAILED)

    def _become(self, app: record.App, notify: str | None) -> NoReturn:
        environment = dict(app.environment)
        if notify is not None:
            # The app reaches its own socket; PID 1 passes the word on, since nobody else is heard outside.
            app = app.replace(mounts=(*app.mounts, record.Mount(notify, "/run/systemd/notify", "file")))
            environment["NOTIFY_SOCKET"] = "/run/systemd/notify"
        filters = application.filters_of(app)
        root.enter(app, self.pod.interactive)
        if app.pre_start:
            self._handler(app, app.pre_start, environment, filters)
        keep_fds = listening.hand_over(self.inherited, app, self.single, environment)
        application.become(app, app.exec, environment, filters, keep_fds)

    def _handler(self, app: record.App, words: tuple[str, ...], environment: dict[str, str],
                 filters: tuple[bytes, ...]) -> None:
        """Run the pre-start handler to its end, as root in the app's root."""
        pid = os.fork()
        if pid == 0:
            try:
                application.become(app, words, environment, filters, as_root=True)
            except (OSError, errors.RktError) as err:
                os.write(2, f"stage2: {app.name}: pre-start: {errors.line(err)}\n".encode())
            os._exit(FAILED)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if status:
            raise application.StartError(f"pre-start handler of {app.name} ended with status {status}")

    def _exec_done(self, process: Process, failed: int) -> None:
        """The app's program runs, or the pipe says why not."""
        fault = os.read(failed, 4096).decode(errors="replace")
        self._forget(failed)
        if fault:
            os.write(2, f"stage2: {process.app.name}: {fault}\n".encode())
        else:
            process.started = True
            _touch(f"{paths.status(process.app.name)}-started")

    def _output(self, source: output.Source) -> None:
        if not source.read_some():
            self.sources.remove(source)
            self._forget(source.fd)

    # readiness

    def _notify_socket(self, process: Process) -> str:
        """A socket for the app's own READY=1."""
        import _socket
        os.makedirs(paths.NOTIFY, exist_ok=True)
        path = f"{paths.NOTIFY}/{process.app.name}"
        made = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK)
        made.bind(path)
        os.chmod(path, 0o666)

        def heard() -> None:
            if b"READY=1" in made.recv(4096).split(b"\n") and not process.ready:
                process.ready = True
                self._tell_ready()

        self._watch(made.fileno(), heard)
        return path

    def _started(self) -> None:
        """All apps run."""
        self._tell_ready()
        if self.pod.debug:
            os.write(2, f"stage2: apps started {time.clock_gettime(time.CLOCK_PROCESS_CPUTIME_ID) * 1000:.1f} ms "
                        f"of CPU after the start of PID 1\n".encode())
        memory.give_back_code()

    def _tell_ready(self) -> None:
        if not all(process.ready and process.started for process in self.processes):
            return
        os.symlink(paths.READY, paths.SUPERVISOR_STATUS)
        if self.notify_socket:
            import _socket
            sender = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
            sender.sendto(b"READY=1", self.notify_socket)
            sender.close()

    # ends

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for process in self.processes:
                if process.pid == pid:
                    self._ended(process, os.waitstatus_to_exitcode(status))

    def _ended(self, process: Process, code: int) -> None:
        app = process.app
        process.pid = 0
        if process.cleaning:
            process.cleaning = False
            return
        status = 128 - code if code < 0 else code
        process.status = status
        _unlink(paths.pid(app.name))
        if code < 0:
            files.replace(f"{paths.status(app.name)}-signal", f"{-code}\n")
        files.replace(paths.status(app.name), f"{status}\n")
        if status and not self.failure:
            self.failure = status
        if app.post_stop and process.started:
            self._post_stop(process)
        if status:
            self._stop()

    def _post_stop(self, process: Process) -> None:
        """Start the post-stop handler, as root in the app's root; its end does not change the pod's status."""
        app = process.app
        failed_read, failed_write = os.pipe()

        def clean() -> NoReturn:
            filters = application.filters_of(app)
            root.enter(app, self.pod.interactive)
            application.become(app, app.post_stop, dict(app.environment), filters, as_root=True)

        process.cleaning = True
        process.pid = os.fork()
        if process.pid == 0:
            self._child(app, failed_write, clean)
        os.close(failed_write)

        def heard() -> None:
            fault = os.read(failed_read, 4096).decode(errors="replace")
            self._forget(failed_read)
            if fault:
                os.write(2, f"stage2: {app.name}: post-stop: {fault}\n".encode())

        self._watch(failed_read, heard)


def _touch(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644))


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
