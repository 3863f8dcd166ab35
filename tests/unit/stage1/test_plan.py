"""Manifests and options → the plan of a pod."""
from __future__ import annotations

import os
import sys
from typing import Any

import pytest

from stage1 import capabilities, plan
from stage1.appc import image as image_schema
from stage1.appc import pod as pod_schema
from stage1.appc.image import App
from stage1.appc.pod import PodManifest
from stage1.plan import Bind, Identity, Options, Plan, PlanError, Source
from stage2 import jsontext, record
from stage2.app import DEFAULT_PATH
from stage2.record import Mount, Record
from stage2.syscalls import MS_RDONLY, MS_REC

UUID = "12345678-1234-4234-8234-123456789abc"
STAGE2 = "/opt/rkt/stage2"
OWN = {"PATH": DEFAULT_PATH, "SHELL": "/bin/sh", "USER": "root", "LOGNAME": "root", "HOME": "/root"}


def app(**members: Any) -> App:
    """An app section; Python's names stand for those of JSON."""
    section = {"exec": ["/bin/web"], "user": "0", "group": "0", **members}
    found = image_schema.from_json(
        {"acKind": "ImageManifest", "acVersion": "0.8.11", "name": "example.com/web", "app": section}).app
    assert found is not None
    return found


def pod(*apps: dict[str, Any], **members: Any) -> PodManifest:
    return pod_schema.loads(jsontext.dumps({
        "acKind": "PodManifest", "acVersion": "0.8.11",
        "apps": [{"name": "web", "image": {"id": "sha512-" + "0" * 128}, **runtime} for runtime in apps or ({},)],
        **members}))


def make(manifest: PodManifest | None = None, made: App | dict[str, App] | None = None, *,
         options: Options | None = None, identity: Identity | None = None, sources: dict[str, Source] | None = None,
         filters: dict[str, tuple[str, ...]] | None = None, registers: bool = False,
         annotations: dict[str, dict[str, str]] | None = None) -> Plan:
    manifest = manifest or pod()
    names = [runtime.name for runtime in manifest.apps]
    apps = made if isinstance(made, dict) else dict.fromkeys(names, made or app())
    return plan.make(
        options or Options(UUID), manifest, apps, dict.fromkeys(names, identity or Identity(0, 0)), sources or {},
        filters or {}, registers=registers, stage2=STAGE2,
        annotations={name: (annotations or {}).get(name, {}) for name in names})


def only(made: Plan) -> record.App:
    [found] = made.record.apps
    return found


# --- the record -------------------------------------------------------------------------------------


def test_the_plainest_app() -> None:
    assert make().record == Record(UUID, (record.App(
        name="web", exec=("/bin/web",),
        environment=tuple({**OWN, "container": "rkt", "AC_APP_NAME": "web"}.items()),
        capabilities=capabilities.mask(capabilities.DEFAULT),
        masked_paths=plan.MASKED_PATHS, read_only_paths=plan.READ_ONLY_PATHS),))


def test_an_app_that_says_everything() -> None:
    made = app(
        exec=["/bin/web", "--port=80"], user="www", group="www", supplementaryGIDs=[10, 20], workingDirectory="/srv",
        environment=[{"name": "HOME", "value": "/srv"}, {"name": "A", "value": "b"}],
        eventHandlers=[{"name": "pre-start", "exec": ["/bin/pre", "x"]}, {"name": "post-stop", "exec": ["/bin/post"]}],
        isolators=[{"name": "os/linux/capabilities-retain-set", "value": {"set": ["CAP_KILL"]}},
                   {"name": "os/linux/no-new-privileges", "value": True}],
        ports=[{"name": "http", "protocol": "tcp", "port": 80, "socketActivated": True},
               {"name": "tls", "protocol": "tcp", "port": 443, "socketActivated": True},
               {"name": "plain", "protocol": "tcp", "port": 8080}])
    manifest = pod({"readOnlyRootFS": True}, ports=[{"name": "http", "hostPort": 8000}])
    assert only(make(manifest, made, identity=Identity(33, 34), filters={"web": ("calls", "arguments")},
                     annotations={"web": {"rkt.dev/stop-signal": "SIGINT",
                                          "appc.io/executor/supports-systemd-notify": "true"}})) == record.App(
        name="web", exec=("/bin/web", "--port=80"),
        environment=tuple({**OWN, "HOME": "/srv", "A": "b", "container": "rkt", "AC_APP_NAME": "web"}.items()),
        working_directory="/srv", uid=33, gid=34, groups=(10, 20), capabilities=1 << 5, no_new_privileges=True,
        seccomp=("calls", "arguments"), read_only_rootfs=True, masked_paths=plan.MASKED_PATHS,
        read_only_paths=plan.READ_ONLY_PATHS, pre_start=("/bin/pre", "x"), post_stop=("/bin/post",), stop_signal=2,
        notify=True, listen_ports=(8000, 443))


def test_options_reach_the_record() -> None:
    options = Options(UUID, debug=True, interactive=True, prefix=False, stop_timeout_s=2.5)
    found = make(options=options).record
    assert (found.debug, found.interactive, found.prefix, found.stop_timeout_s) == (True, True, False, 2.5)


def test_restrictions_can_be_lifted_one_by_one() -> None:
    free = only(make(options=Options(UUID, restrict_capabilities=False)))
    assert (free.capabilities, free.masked_paths) == (capabilities.ALL, plan.MASKED_PATHS)
    open_ = only(make(options=Options(UUID, restrict_paths=False)))
    assert (open_.masked_paths, open_.read_only_paths) == ((), ())
    assert open_.capabilities == capabilities.mask(capabilities.DEFAULT)


def test_an_app_cannot_take_the_executors_variables() -> None:
    found = plan.environment("web", app(environment=[
        {"name": "AC_APP_NAME", "value": "other"}, {"name": "container", "value": "none"},
        {"name": "PATH", "value": "/own"}]))
    assert found == {**OWN, "PATH": "/own", "container": "rkt", "AC_APP_NAME": "web"}


def test_an_app_without_a_program() -> None:
    with pytest.raises(PlanError) as caught:
        make(made=app(exec=[]))
    assert str(caught.value) == "app web: neither its image nor --exec names a program"


@pytest.mark.parametrize("values, expected", [((), False), ((True,), True), ((False,), False), ((True, False), False),
                                              ((False, True), True)])
def test_the_last_of_several_isolators_counts(values: tuple[bool, ...], expected: bool) -> None:
    made = app(isolators=[{"name": "os/linux/no-new-privileges", "value": value} for value in values])
    assert plan.no_new_privileges(made) is expected


@pytest.mark.parametrize("text, number", [("TERM", 15), ("SIGTERM", 15), ("SIGRTMIN+3", 37), ("9", 9), ("64", 64),
                                          ("PWR", 30)])
def test_a_stop_signal(text: str, number: int) -> None:
    assert plan.stop_signal("web", text) == number


@pytest.mark.parametrize("text", ["", "SIG", "term", "0", "65", "-1", "SIGSIGTERM", "٣", "9" * 5000])
def test_what_is_no_signal(text: str) -> None:
    with pytest.raises(PlanError) as caught:
        make(annotations={"web": {"rkt.dev/stop-signal": text}})
    assert str(caught.value) == f"app web: rkt.dev/stop-signal: {text} is not a signal"


@pytest.mark.parametrize("text", ["True", "1", "", "false"])
def test_only_true_announces_readiness(text: str) -> None:
    assert only(make(annotations={"web": {"appc.io/executor/supports-systemd-notify": text}})).notify is False


def test_apps_keep_their_order_and_what_is_their_own() -> None:
    manifest = pod({"name": "b"}, {"name": "a", "readOnlyRootFS": True})
    made = make(manifest, {"a": app(exec=["/a"]), "b": app(exec=["/b"])}, filters={"b": ("f",)})
    assert [(found.name, found.exec, found.read_only_rootfs, found.seccomp) for found in made.record.apps] == [
        ("b", ("/b",), False, ("f",)), ("a", ("/a",), True, ())]


# --- volumes ----------------------------------------------------------------------------------------


def volumes(*found: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"kind": "host", "source": f"/srv/{volume['name']}", **volume} for volume in found]


def sources(*names: str, is_file: bool = False) -> dict[str, Source]:
    return {name: Source(name, f"/srv/{name}", is_file) for name in names}


def test_each_volume_is_bound_once_and_mounted_where_it_is_wanted() -> None:
    manifest = pod({"mounts": [{"volume": "data", "path": "/data"}, {"volume": "conf", "path": "/etc/conf"}]},
                   {"name": "other", "mounts": [{"volume": "data", "path": "/elsewhere"}]},
                   volumes=volumes({"name": "data"}, {"name": "conf", "readOnly": True}))
    made = make(manifest, sources=sources("data", "conf"))
    assert made.binds[-2:] == (Bind("/srv/conf", "/rkt/volumes/0", read_only=False, recursive=True),
                               Bind("/srv/data", "/rkt/volumes/1", read_only=False, recursive=True))
    assert [found.mounts for found in made.record.apps] == [
        (Mount("/rkt/volumes/1", "/data", "directory", MS_REC),
         Mount("/rkt/volumes/0", "/etc/conf", "directory", MS_REC | MS_RDONLY)),
        (Mount("/rkt/volumes/1", "/elsewhere", "directory", MS_REC),)]


def test_a_file_is_bound_as_one() -> None:
    manifest = pod({"mounts": [{"volume": "file", "path": "/etc/file"}]}, volumes=volumes({"name": "file"}))
    made = make(manifest, sources=sources("file", is_file=True))
    assert made.binds[-1] == Bind("/srv/file", "/rkt/volumes/0", read_only=False, recursive=True, is_file=True)
    assert only(made).mounts == (Mount("/rkt/volumes/0", "/etc/file", "file", MS_REC),)


@pytest.mark.parametrize("recursive, bound, flags", [(True, True, MS_REC), (False, False, 0)])
def test_recursive_or_not(recursive: bool, bound: bool, flags: int) -> None:
    manifest = pod({"mounts": [{"volume": "data", "path": "/data"}]},
                   volumes=volumes({"name": "data", "recursive": recursive}))
    made = make(manifest, sources=sources("data"))
    assert (made.binds[-1].recursive, only(made).mounts[0].flags) == (bound, flags)


@pytest.mark.parametrize("volume, point, flags", [
    (None, None, 0), (None, True, MS_RDONLY), (None, False, 0), (False, True, 0), (True, False, MS_RDONLY),
    (True, None, MS_RDONLY)])
def test_the_volume_says_whether_it_is_read_only_else_the_mount_point(
        volume: bool | None, point: bool | None, flags: int) -> None:
    manifest = pod({"mounts": [{"volume": "data", "path": "/data"}]},
                   volumes=volumes({"name": "data", **({} if volume is None else {"readOnly": volume})}))
    points = [] if point is None else [{"name": "p", "path": "/data", "readOnly": point}]
    assert only(make(manifest, app(mountPoints=points), sources=sources("data"))).mounts[0].flags == MS_REC | flags


@pytest.mark.parametrize("mount, point", [("/data/", "/data"), ("/data", "//data/"), ("/x/../data", "data"),
                                          ("data", "/data")])
def test_paths_are_the_same_however_they_are_written(mount: str, point: str) -> None:
    manifest = pod({"mounts": [{"volume": "data", "path": mount}]}, volumes=volumes({"name": "data"}))
    made = make(manifest, app(mountPoints=[{"name": "p", "path": point, "readOnly": True}]), sources=sources("data"))
    assert only(made).mounts == (Mount("/rkt/volumes/0", "/data", "directory", MS_REC | MS_RDONLY),)


def test_what_is_mounted_below_another_mount_comes_after_it() -> None:
    manifest = pod({"mounts": [{"volume": "a", "path": "/x/y/z"}, {"volume": "b", "path": "/x"},
                               {"volume": "c", "path": "/x/y/"}, {"volume": "d", "path": "/w"}]},
                   volumes=volumes(*({"name": name} for name in "abcd")))
    assert [found.target for found in only(make(manifest, sources=sources(*"abcd"))).mounts] == [
        "/x", "/w", "/x/y", "/x/y/z"]


@pytest.mark.parametrize("path", ["/", "//", "/a/..", "..", "/../.."])
def test_a_volume_cannot_be_the_root_of_an_app(path: str) -> None:
    manifest = pod({"mounts": [{"volume": "data", "path": path}]}, volumes=volumes({"name": "data"}))
    with pytest.raises(PlanError) as caught:
        make(manifest, sources=sources("data"))
    assert str(caught.value) == "app web: volume data: / is the root of its image"


# --- systemd-nspawn ---------------------------------------------------------------------------------


def test_the_host_shows_its_usr_and_stage2(monkeypatch) -> None:
    monkeypatch.setattr(sys, "base_prefix", "/usr/local")
    assert make().binds == (Bind("/usr", "/usr"), Bind(STAGE2, "/rkt/lib/stage2"))


def test_an_interpreter_outside_of_usr_is_shown_too(monkeypatch) -> None:
    for prefix in ("/opt/python", "/usrlocal"):
        monkeypatch.setattr(sys, "base_prefix", prefix)
        assert make().binds == (Bind("/usr", "/usr"), Bind(prefix, prefix), Bind(STAGE2, "/rkt/lib/stage2"))


@pytest.fixture
def interpreter(monkeypatch, tmp_path) -> str:
    """The interpreter by the name that it really has."""
    (tmp_path / "python3").symlink_to("/bin/sh")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python3"))
    return os.path.realpath("/bin/sh")


def test_the_supervisors_words(interpreter: str, monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    made = app(isolators=[{"name": "os/linux/capabilities-retain-set", "value": {"set": ["CAP_KILL", "CAP_CHOWN"]}}])
    assert make(made=made).supervisor == (
        "systemd-nspawn", "--quiet", f"--directory={tmp_path}/stage1/rootfs", f"--machine=rkt-{UUID}", f"--uuid={UUID}",
        f"--hostname=rkt-{UUID}", "--keep-unit", "--register=no", "--console=pipe", "--kill-signal=SIGTERM",
        "--notify-ready=yes", "--settings=no", "--resolv-conf=off", "--timezone=off", "--link-journal=no",
        "--private-network", "--capability=CAP_CHOWN,CAP_KILL", "--", interpreter, "-I", "-S",
        "/rkt/lib/stage2/__main__.py")


@pytest.mark.parametrize("options, there, gone", [
    (Options(UUID, debug=True), [], ["--quiet"]),
    (Options(UUID, net="host"), [], ["--private-network"]),
    (Options(UUID, interactive=True), ["--console=interactive"], ["--console=pipe"]),
    (Options(UUID, hostname="name"), ["--hostname=name"], [f"--hostname=rkt-{UUID}"]),
    (Options(UUID, restrict_capabilities=False), ["--capability=all"], []),
])
def test_an_option_changes_its_words(options: Options, there: list[str], gone: list[str]) -> None:
    plain, made = make().supervisor, make(options=options).supervisor
    assert [word for word in made if word not in plain] == there
    assert set(gone) <= set(plain) - set(made)


def test_the_pod_is_registered_if_asked_for() -> None:
    assert "--register=yes" in make(registers=True).supervisor
    assert "--register=no" not in make(registers=True).supervisor


def test_the_supervisor_keeps_what_any_app_may_have() -> None:
    def retaining(*names: str) -> App:
        return app(isolators=[{"name": "os/linux/capabilities-retain-set", "value": {"set": list(names)}}])

    made = make(pod({}, {"name": "b"}), {"web": retaining("CAP_KILL"), "b": retaining("CAP_SYS_TIME")})
    assert "--capability=CAP_KILL,CAP_SYS_TIME" in made.supervisor


@pytest.mark.parametrize("options, level", [(Options(UUID), "err"), (Options(UUID, debug=True), None)])
def test_the_supervisors_environment(options: Options, level: str | None) -> None:
    found = dict(make(options=options).environment)
    assert found.pop("SYSTEMD_LOG_LEVEL", None) == level
    assert found == {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1", "SYSTEMD_SECCOMP": "0",
                     "SYSTEMD_NSPAWN_CONTAINER_SERVICE": "rkt", "SYSTEMD_NSPAWN_TMPFS_TMP": "0",
                     "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "yes"}


def test_a_record_of_a_plan_is_what_stage2_reads(tmp_path) -> None:
    manifest = pod({"mounts": [{"volume": "data", "path": "/data"}]}, volumes=volumes({"name": "data"}))
    made = make(manifest, app(environment=[{"name": "A", "value": "é\n\""}]), sources=sources("data"))
    record.write(str(tmp_path / "record"), made.record)
    assert record.read(str(tmp_path / "record")) == made.record
