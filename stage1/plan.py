"""Manifests and options → all that happens when a pod starts (pure).

The plan holds the mounts on the host's side, the words of systemd-nspawn and the run
record for stage2. `run` looks up what it needs beforehand and carries it out.
"""
from __future__ import annotations

import os
import sys

from stage1 import capabilities, poddir
from stage2 import paths, record, syscalls
from stage2.app import DEFAULT_PATH
from stage2.errors import RktError
from stage2.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stage1.appc.image import App
    from stage1.appc.pod import PodManifest, RuntimeApp
    from stage1.appc.types import Volume

STOP_SIGNAL = "rkt.dev/stop-signal"
SUPPORTS_NOTIFY = "appc.io/executor/supports-systemd-notify"
SIGNALS = {"HUP": 1, "INT": 2, "QUIT": 3, "KILL": 9, "USR1": 10, "USR2": 12, "TERM": 15, "CONT": 18, "WINCH": 28,
           "PWR": 30, "RTMIN+3": 37, "RTMIN+4": 38}

# runtime.md section 7.1, and what the kernel has come to show since
MASKED_PATHS = (
    "/proc/acpi", "/proc/asound", "/proc/config.gz", "/proc/interrupts", "/proc/kallsyms", "/proc/kcore", "/proc/keys",
    "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats",
    "/sys/devices/virtual/powercap", "/sys/firmware", "/sys/fs", "/sys/hypervisor", "/sys/module", "/sys/power",
    "/sys/kernel/debug", "/sys/kernel/tracing", "/sys/kernel/security",
)
READ_ONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


class PlanError(RktError):
    """A pod that cannot be started as its manifest wants it."""


class Options(Value):
    """The options of the entry point `run`."""

    uuid: str
    debug: bool = False
    net: str = "none"
    interactive: bool = False
    hostname: str = ""
    prefix: bool = True
    stop_timeout_s: float = 10.0
    restrict_capabilities: bool = True
    restrict_paths: bool = True
    restrict_seccomp: bool = True


class Identity(Value):
    """What an app's own root said of its user and groups."""

    uid: int
    gid: int


class Bind(Value):
    """A path of the host that the pod gets to see: by bind mount, at `pod_path` below the stage1 root."""

    host_path: str
    pod_path: str
    read_only: bool = True
    recursive: bool = False
    is_file: bool = False


class Source(Value):
    """The source of a volume as it is on the host."""

    volume: str
    host_path: str
    is_file: bool


class Plan(Value):
    """All that is decided; what is left is to do it."""

    binds: tuple[Bind, ...]
    supervisor: tuple[str, ...]          # the words of systemd-nspawn
    environment: tuple[tuple[str, str], ...]
    record: record.Record


def make(options: Options, manifest: PodManifest, apps: dict[str, App], identities: dict[str, Identity],
         sources: dict[str, Source], filters: dict[str, tuple[str, ...]], *, registers: bool, stage2: str,
         annotations: dict[str, dict[str, str]]) -> Plan:
    """The plan of a pod.

    `apps` are the effective apps by name, `identities`, `filters` (names of compiled ones)
    and `annotations` (the image's under the pod's) too; `sources` the volumes by name;
    `stage2` the directory of that package. Raises PlanError.
    """
    binds = list(_system_binds(stage2))
    for number, name in enumerate(sorted(sources)):
        source = sources[name]
        binds.append(Bind(source.host_path, paths.volume(number), read_only=False,
                          recursive=_volume(manifest, name).recursive is not False, is_file=source.is_file))
    places = {name: number for number, name in enumerate(sorted(sources))}
    made = tuple(
        _app(options, manifest, runtime, apps[runtime.name], identities[runtime.name], filters.get(runtime.name, ()),
             sources, places, annotations[runtime.name])
        for runtime in manifest.apps)
    run_record = record.Record(options.uuid, made, options.interactive, options.prefix, options.stop_timeout_s,
                               options.debug)
    return Plan(tuple(binds), supervisor_words(options, made, registers=registers),
                supervisor_environment(options), run_record)


def _system_binds(stage2: str) -> tuple[Bind, ...]:
    """What of the host the supervisor's side of the pod needs: /usr, the interpreter, stage2."""
    prefix = sys.base_prefix
    interpreter = () if f"{prefix}/".startswith("/usr/") else (Bind(prefix, prefix),)
    return (Bind("/usr", "/usr"), *interpreter, Bind(stage2, "/rkt/lib/stage2"))


def _volume(manifest: PodManifest, name: str) -> Volume:
    return next(volume for volume in manifest.volumes if volume.name == name)


def _app(options: Options, manifest: PodManifest, runtime: RuntimeApp, app: App, identity: Identity,
         filters: tuple[str, ...], sources: dict[str, Source], places: dict[str, int],
         annotations: dict[str, str]) -> record.App:
    if not app.exec:
        raise PlanError(f"app {runtime.name}: neither its image nor --exec names a program")
    handlers = {handler.name: tuple(handler.exec) for handler in app.event_handlers}
    mask = capabilities.bounding_set(app.isolators) if options.restrict_capabilities else capabilities.ALL
    return record.App(
        name=runtime.name,
        exec=tuple(app.exec),
        environment=tuple(environment(runtime.name, app).items()),
        working_directory=app.working_directory or "/",
        uid=identity.uid,
        gid=identity.gid,
        groups=tuple(app.supplementary_gids),
        capabilities=mask,
        no_new_privileges=no_new_privileges(app),
        seccomp=filters,
        read_only_rootfs=bool(runtime.read_only_rootfs),
        mounts=tuple(_mounts(manifest, runtime, app, sources, places)),
        masked_paths=MASKED_PATHS if options.restrict_paths else (),
        read_only_paths=READ_ONLY_PATHS if options.restrict_paths else (),
        pre_start=handlers.get("pre-start", ()),
        post_stop=handlers.get("post-stop", ()),
        stop_signal=stop_signal(runtime.name, annotations.get(STOP_SIGNAL, "TERM")),
        notify=annotations.get(SUPPORTS_NOTIFY) == "true",
        listen_ports=tuple(_listen_ports(manifest, app)),
    )


def environment(name: str, app: App) -> dict[str, str]:
    """The environment of an app: its own over what the executor promises (image-format.md section 5)."""
    return {"PATH": DEFAULT_PATH, "SHELL": "/bin/sh", "USER": "root", "LOGNAME": "root", "HOME": "/root",
            **{variable.name: variable.value for variable in app.environment},
            "container": "rkt", "AC_APP_NAME": name}


def no_new_privileges(app: App) -> bool:
    """Whether an isolator asks for it."""
    found = [isolator.value_to_json() for isolator in app.isolators if isolator.name == "os/linux/no-new-privileges"]
    return bool(found and found[-1])  # the last of several counts


def stop_signal(name: str, text: str) -> int:
    """The number of a signal by name, with or without SIG, or number. Raises PlanError."""
    word = text.removeprefix("SIG")
    if word in SIGNALS:
        return SIGNALS[word]
    if word.isascii() and word.isdigit() and len(word) < 3 and 0 < int(word) < 65:
        return int(word)
    raise PlanError(f"app {name}: {STOP_SIGNAL}: {text} is not a signal")


def _mounts(manifest: PodManifest, runtime: RuntimeApp, app: App, sources: dict[str, Source],
            places: dict[str, int]) -> list[record.Mount]:
    """The volumes of an app, parents before what is mounted below them."""
    points = {pod_path(point.path): point for point in app.mount_points}
    made = []
    for mount in runtime.mounts:
        volume, source = _volume(manifest, mount.volume), sources[mount.volume]
        target = pod_path(mount.path)
        if target == "/":
            raise PlanError(f"app {runtime.name}: volume {mount.volume}: / is the root of its image")
        point = points.get(target)
        read_only = volume.read_only if volume.read_only is not None else bool(point and point.read_only)
        flags = (syscalls.MS_RDONLY if read_only else 0) | (
            syscalls.MS_REC if volume.recursive is not False else 0)
        made.append(record.Mount(paths.volume(places[mount.volume]), target,
                                 "file" if source.is_file else "directory", flags))
    return sorted(made, key=lambda mount: mount.target.count("/"))


def pod_path(path: str) -> str:
    """A path of an app, which manifests may write in several ways."""
    return "/" + os.path.normpath("/" + path).lstrip("/")  # normpath leaves two slashes


def _listen_ports(manifest: PodManifest, app: App) -> list[int]:
    """The host's port of each socketActivated port; its own where the pod does not map it."""
    mapped = {port.name: port.host_port for port in manifest.ports}
    return [mapped.get(port.name, port.port) for port in app.ports if port.socket_activated]


def supervisor_words(options: Options, apps: tuple[record.App, ...], *, registers: bool) -> tuple[str, ...]:
    """The command line of systemd-nspawn; stage2 on the interpreter of this process is its payload."""
    wanted = 0
    for app in apps:
        wanted |= app.capabilities
    extra = ",".join(capabilities.names(wanted)) if options.restrict_capabilities else "all"
    return (
        "systemd-nspawn",
        *(() if options.debug else ("--quiet",)),
        f"--directory={os.path.abspath(poddir.STAGE1_ROOTFS)}",
        f"--machine=rkt-{options.uuid}",
        f"--uuid={options.uuid}",
        f"--hostname={options.hostname or 'rkt-' + options.uuid}",
        "--keep-unit",
        f"--register={'yes' if registers else 'no'}",
        f"--console={'interactive' if options.interactive else 'pipe'}",
        "--kill-signal=SIGTERM",
        "--notify-ready=yes",
        "--settings=no",
        "--resolv-conf=off",
        "--timezone=off",
        "--link-journal=no",
        *(() if options.net == "host" else ("--private-network",)),
        *((f"--capability={extra}",) if extra else ()),
        "--",
        os.path.realpath(sys.executable), "-I", "-S", "/rkt/lib/stage2/__main__.py",
    )


def supervisor_environment(options: Options) -> tuple[tuple[str, str], ...]:
    """What systemd-nspawn is told by variables."""
    return (
        ("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1"),      # before 257 it would mount, even create, v1 hierarchies
        ("SYSTEMD_SECCOMP", "0"),                       # our filters are stricter, and made once
        ("SYSTEMD_NSPAWN_CONTAINER_SERVICE", "rkt"),
        ("SYSTEMD_NSPAWN_TMPFS_TMP", "0"),
        ("SYSTEMD_NSPAWN_API_VFS_WRITABLE", "yes"),     # only stage2 sees that /proc and /sys: an app has its own
        *(() if options.debug else (("SYSTEMD_LOG_LEVEL", "err"),)),
    )
