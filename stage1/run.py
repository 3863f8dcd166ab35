"""Entry point `run`: makes the container of a pod and becomes its supervisor.

Called in the pod directory, by `rkt run` in its own process and by `python3 -m stage1
run`. It execs systemd-nspawn, so that the PID the caller started is the supervisor.
"""
from __future__ import annotations

import os
import sys

from stage1 import cgroups, mounts, plan, poddir, scope, seccomp, users
from stage1.appc import image as image_schema
from stage1.appc import pod as pod_schema
from stage2 import files, jsontext, paths, record
from stage2.errors import RktError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from stage1.appc.image import App, ImageManifest
    from stage1.appc.pod import PodManifest

_MACHINED = "/usr/share/dbus-1/system-services/org.freedesktop.machine1.service"
_LONGEST_S = 1e9
_RELAY_AFTER_S = 0.25   # a pod that ends before needs no relay, which costs as much as the start of an interpreter
_SYSTEM_BUS = "/run/dbus/system_bus_socket"
_SWITCHES = {"--debug": ("debug", True), "--interactive": ("interactive", True), "--no-prefix": ("prefix", False),
             "--disable-capabilities-restriction": ("restrict_capabilities", False),
             "--disable-paths": ("restrict_paths", False), "--disable-seccomp": ("restrict_seccomp", False)}


class RunError(RktError):
    """A pod cannot be started."""


def main(argv: list[str], scope: scope.Scope | None = None) -> NoReturn:
    """Start the pod whose directory is the working directory; returns only by raising.

    `scope` is what `scope.request` answered if that was called already. A failure leaves
    no mount and no process; the pod directory is the caller's.
    """
    options, slice_name, properties = parse(argv)
    if options.interactive and not (os.isatty(0) and os.isatty(1)):
        options = options.replace(interactive=False)  # the caller's descriptors are handed through as they are
    steps = Steps(options.debug)
    place = scope or request(options.uuid, slice_name, properties, options.debug)
    try:
        _start(options, place, steps)
    except BaseException:
        abandon(place)
        raise


def _start(options: plan.Options, place: scope.Scope, steps: Steps) -> NoReturn:
    if options.net not in ("none", "host"):
        raise RunError(f"network {options.net}: only host and none can be had here (--net=host, --net=none)")
    manifest = pod_schema.loads(files.read(poddir.MANIFEST))
    images = {app.name: image_schema.loads(files.read(poddir.app_manifest(app.name))) for app in manifest.apps}
    apps = {runtime.name: effective(runtime.app, images[runtime.name], runtime.name) for runtime in manifest.apps}
    steps.done("manifests")
    mounts.skeleton()
    mounts.separate()
    roots = {runtime.name: _root(runtime.name) for runtime in manifest.apps}
    steps.done("roots")
    machined = place.keeps_unit and os.path.exists(_MACHINED) and os.path.exists(_SYSTEM_BUS)
    in_user_slice = cgroups.owner_uid(place.caller) is not None
    identities = {name: _identity(roots[name], app) for name, app in apps.items()}
    filters = _filters(apps) if options.restrict_seccomp else {}
    made = plan.make(
        options, manifest, apps, identities, _sources(manifest), filters,
        registers=machined and not in_user_slice, stage2=os.path.dirname(os.path.abspath(record.__file__)),
        annotations={name: _annotations(images[name], manifest, name) for name in apps})
    record.write(poddir.RECORD, made.record)
    mounts.apply(made)
    if not place.keeps_unit:
        mounts.hide_runtime_directory()
    _write_runtime_config(options)
    steps.done("mounts")
    _relay_signals(options, place.caller)  # now: the kernel takes its time with the scope
    cgroup = wait(place)
    steps.done("scope")
    files.replace(poddir.SUBCGROUP, cgroup.strip("/") + "/payload\n")
    files.replace(poddir.PPID, f"{os.getpid()}\n")
    steps.say(made)
    if machined and in_user_slice:
        from stage1 import machine
        machine.register(options.uuid, os.path.abspath(poddir.STAGE1_ROOTFS), place.caller)
    scope.remove_after(place)
    if options.interactive:
        from stage1 import terminal
        terminal.restore_after(0, place.caller)
    _exec(made)


# The parameter of main has the module's name.
request, wait, abandon = scope.request, scope.wait, scope.abandon


class Steps:
    """Says with --debug how long each step took."""

    def __init__(self, debug: bool) -> None:
        self.debug = debug
        if debug:
            import time
            self.clock = time.perf_counter
            self.last = self.clock()

    def done(self, name: str) -> None:
        """A step ended."""
        if self.debug:
            now = self.clock()
            os.write(2, f"stage1: {name}: {(now - self.last) * 1000:.1f} ms\n".encode())
            self.last = now

    def say(self, made: plan.Plan) -> None:
        """The mounts and the command, ready to paste."""
        if self.debug:
            import shlex
            for bind in made.binds:
                os.write(2, f"stage1: bind {bind.host_path} on {bind.pod_path}\n".encode())
            words = [f"{name}={value}" for name, value in made.environment] + list(made.supervisor)
            os.write(2, f"stage1: exec env {shlex.join(words)}\n".encode())


def parse(argv: list[str]) -> tuple[plan.Options, str | None, tuple[str, ...]]:
    """The arguments of the entry point (docs/stage1-interface.md): options, slice, unit properties."""
    found: dict[str, object] = {}
    slice_name, properties = None, []
    for word in argv:
        name, equals, value = word.partition("=")
        if word in _SWITCHES:
            field, state = _SWITCHES[word]
            found[field] = state
        elif equals and name in ("--net", "--hostname"):
            found[name[2:]] = value
        elif equals and name == "--stop-timeout":
            found["stop_timeout_s"] = _seconds(value)
        elif equals and name == "--slice":
            slice_name = value
        elif equals and name == "--property":
            properties.append(value)
        elif equals and name == "--local-config":
            continue  # of networks, which host and none do not read
        elif word.startswith("-"):
            raise RunError(f"run: {word}: unknown option")
        else:
            found["uuid"] = word
    if "uuid" not in found:
        raise RunError("run: the UUID of the pod is missing")
    return plan.Options(**found), slice_name, tuple(properties)  # type: ignore[arg-type]


def _seconds(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found <= _LONGEST_S:
        raise RunError(f"run: --stop-timeout={text}: not a number of seconds")
    return found


def effective(app: App | None, image: ImageManifest, name: str) -> App:
    """The app of the pod manifest, which replaces that of the image."""
    found = app or image.app
    if found is None:
        raise RunError(f"app {name}: neither the pod manifest nor its image has an app section")
    return found


def _root(name: str) -> int:
    """Make the root of an app as it starts and open it."""
    target = poddir.app_rootfs(name)
    if os.path.exists(poddir.OVERLAY_PREPARED):
        pod = os.getcwd()
        tree_id = files.read(poddir.app_tree_id(name)).decode().strip()
        tree = poddir.tree_rootfs(poddir.data_dir(pod), tree_id)
        mounts.overlay(tree, f"{pod}/{poddir.overlay(tree_id, name, 'upper')}",
                       f"{pod}/{poddir.overlay(tree_id, name, 'work')}", target)
    return os.open(target, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def _identity(root_fd: int, app: App) -> plan.Identity:
    return plan.Identity(users.uid(root_fd, app.user), users.gid(root_fd, app.group))


def _filters(apps: dict[str, App]) -> dict[str, tuple[str, ...]]:
    """Compile the filters of the apps, or take them from the cache, and put them into the pod."""
    from stage1 import capabilities
    cache = f"{poddir.data_dir(os.getcwd())}/seccomp"
    found = {}
    for name, app in apps.items():
        programs = seccomp.default_filters(cache, capabilities.bounding_set(app.isolators))
        for filter_name, program in programs:
            files.replace(f"{poddir.STAGE1_ROOTFS}{paths.seccomp_filter(filter_name)}", program)
        found[name] = tuple(filter_name for filter_name, _program in programs)
    return found


def _sources(manifest: PodManifest) -> dict[str, plan.Source]:
    """The sources of the volumes that some app mounts."""
    used = {mount.volume for app in manifest.apps for mount in app.mounts}
    found = {}
    for volume in manifest.volumes:
        if volume.name in used:
            path = volume.source if volume.kind == "host" else f"{os.getcwd()}/{poddir.SHARED_VOLUMES}/{volume.name}"
            if not path or not os.path.exists(path):
                raise RunError(f"volume {volume.name}: its source {path} does not exist")
            found[volume.name] = plan.Source(volume.name, path, not os.path.isdir(path))
    return found


def _annotations(image: ImageManifest, manifest: PodManifest, name: str) -> dict[str, str]:
    """The annotations of an app: those of its image under those of the pod manifest."""
    runtime = next(app for app in manifest.apps if app.name == name)
    return {annotation.name: annotation.value for annotation in (*image.annotations, *runtime.annotations)}


def _write_runtime_config(options: plan.Options) -> None:
    values = {field: getattr(options, field) for field in plan.Options._fields}
    files.replace(poddir.RUNTIME_CONFIG, jsontext.dumps(values) + "\n")


def _relay_signals(options: plan.Options, cgroup: str) -> None:
    """Start the process that passes signals for the supervisor on (stage1.relay), unless the pod is a short one.

    Until the relay is there these signals wait: it finds them blocked, and unblocks them.
    """
    import _signal

    from stage1 import background, relay
    _signal.pthread_sigmask(_signal.SIG_BLOCK, relay.PASSED_ON)
    program = os.path.abspath(relay.__file__)
    words = (os.path.realpath(sys.executable), "-I", "-S", program, str(os.getpid()),
             *(("--interactive",) if options.interactive else ()))
    background.beside_the_pod(cgroup, lambda: os.execve(words[0], words, {}), after_s=_RELAY_AFTER_S)


def _exec(made: plan.Plan) -> NoReturn:
    environment = {**os.environ, **dict(made.environment)}
    lock_fd = environment.get("RKT_LOCK_FD")
    if lock_fd is not None:
        os.set_inheritable(int(lock_fd), True)
    try:
        os.execvpe(made.supervisor[0], made.supervisor, environment)
    except FileNotFoundError as err:
        raise RunError("systemd-nspawn is not installed (Debian package systemd-container)") from err
