"""list, status, stop, rm, gc, cat-manifest and enter, as far as they go without a real pod."""
from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stage0 import entrypoints
from stage0.cli import main
from stage0.pods import Pod, Pods

ONE = "11111111-0000-4000-8000-000000000000"
TWO = "22222222-0000-4000-8000-000000000000"
ID = "sha512-" + "0123456789abcdef" * 8
Rkt = Callable[..., tuple[int, str, str]]


@pytest.fixture
def rkt(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Rkt:
    """Runs rkt in this process, as if as root: status, stdout, stderr."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()

    def call(*words: str) -> tuple[int, str, str]:
        status = main.main(["--dir", str(tmp_path), *words])
        done = capsys.readouterr()
        return status, done.out, done.err
    return call


@pytest.fixture
def pods(tmp_path: Path) -> Pods:
    return Pods(str(tmp_path))


def app(name: str) -> dict[str, object]:
    return {"name": name, "image": {"id": ID, "name": f"example.com/{name}",
                                    "labels": [{"name": "version", "value": "1.0"}]}}


def make(pods: Pods, uuid: str, directory: str, *apps: str, name: str | None = None, age_s: int = 0) -> Pod:
    """A pod in a directory; its lock is ours."""
    pod = pods.create(uuid, name)
    pod.write("pod", json.dumps({"acKind": "PodManifest", "apps": [app(word) for word in apps]}))
    pod.write("pod-created", "")
    pod.write("ppid", "123456789")
    os.makedirs(f"{pod.path}/stage1/rootfs/rkt/status")
    for file in ("pod-created", "ppid"):
        os.utime(f"{pod.path}/{file}", (time.time() - age_s, time.time() - age_s))
    if directory != "prepare":
        pod.move(directory)
    return pod


def ended(pods: Pods, uuid: str = ONE, *apps: str, **codes: int) -> None:
    with make(pods, uuid, "run", *(apps or ("web",))) as pod:
        for number, (name, code) in enumerate(codes.items(), 1):
            pod.write(f"stage1/rootfs/rkt/status/{name}", str(code))
            os.utime(f"{pod.path}/stage1/rootfs/rkt/status/{name}", ns=(number, number))


def test_an_empty_list(rkt: Rkt) -> None:
    assert rkt("list") == (0, "UUID\tAPP\tIMAGE NAME\tSTATE\tCREATED\tSTARTED\tNETWORKS\n", "")
    assert rkt("list", "--no-legend") == (0, "", "")
    assert rkt("list", "--format=json") == (0, "[]\n", "")


def cells(line: str) -> list[str]:
    return [cell for cell in line.split("\t") if cell]


def test_list_has_a_line_an_app_and_the_pod_on_the_first(rkt: Rkt, pods: Pods) -> None:
    pod = make(pods, ONE, "run", "web", "log", age_s=120)
    make(pods, TWO, "prepared", "db").close()
    status, out, err = rkt("list")
    assert (status, err) == (0, "")
    _, web, log, db = out.splitlines()
    assert cells(web) == ["11111111", "web", "example.com/web:1.0", "running", "2 minutes ago", "2 minutes ago"]
    assert cells(log) == ["log", "example.com/log:1.0"] and log.startswith("\t")
    assert cells(db) == ["22222222", "db", "example.com/db:1.0", "prepared", "now"]
    pod.close()


def test_a_full_list(rkt: Rkt, pods: Pods) -> None:
    with make(pods, ONE, "run", "web") as pod:
        os.utime(f"{pod.path}/pod-created", ns=(0, 1523865600_123000000))
        os.utime(f"{pod.path}/ppid", ns=(0, 1523865601_000000000))
    header, line = rkt("list", "--full")[1].splitlines()
    assert cells(header) == ["UUID", "APP", "IMAGE NAME", "IMAGE ID", "STATE", "CREATED", "STARTED", "NETWORKS"]
    assert cells(line) == [ONE, "web", "example.com/web:1.0", "sha512-0123456789ab", "exited",
                           "2018-04-16 08:00:00.123 +0000 UTC", "2018-04-16 08:00:01 +0000 UTC"]


def test_names_come_last_where_there_are_any(rkt: Rkt, pods: Pods) -> None:
    make(pods, ONE, "run", "web", name="front").close()
    header, line = rkt("list")[1].splitlines()
    assert cells(header)[-2:] == ["NETWORKS", "NAME"]
    assert cells(line)[-1] == "front"


def test_a_pod_without_apps(rkt: Rkt, pods: Pods) -> None:
    pods.create(ONE).close()
    [line] = rkt("list", "--no-legend", "--full")[1].splitlines()
    assert cells(line)[:5] == [ONE, "-", "-", "-", "aborted prepare"]


def test_embryos_and_garbage_are_not_listed(rkt: Rkt, pods: Pods) -> None:
    for directory in ("embryo", "garbage"):
        os.mkdir(f"{pods.directory(directory)}/{ONE}")
    assert rkt("list", "--format=json")[1] == "[]\n"


def test_a_pod_that_cannot_be_read_is_told_after_the_others(rkt: Rkt, pods: Pods) -> None:
    with make(pods, ONE, "run") as pod:
        pod.write("pod", "{")
    make(pods, TWO, "prepared", "db").close()
    status, out, err = rkt("list", "--no-legend")
    assert (status, out.count("\n")) == (0, 1)
    assert err.startswith(f"list: manifest of pod {ONE}: ") and err.count("\n") == 1


def test_the_json_of_a_pod(rkt: Rkt, pods: Pods) -> None:
    with make(pods, ONE, "run", "web", name="front") as pod:
        for name, text, time_ns in (("ppid", "1", 2_500_000_000), ("pod-created", "", 1_000_000_000)):
            pod.write(name, text)
            os.utime(f"{pod.path}/{name}", ns=(0, time_ns))
        for name, text, time_ns in (("web-created", "", 3), ("web-started", "", 4), ("web", "137", 5_000_000_000),
                                    ("web-signal", "9", 5)):
            pod.write(f"stage1/rootfs/rkt/status/{name}", text)
            os.utime(f"{pod.path}/stage1/rootfs/rkt/status/{name}", ns=(0, time_ns))
    status, out, _ = rkt("status", "--format=json", ONE)
    assert (status, out.count("\n")) == (0, 1)
    assert json.loads(out) == {
        "name": ONE, "pod_name": "front", "state": "exited", "networks": [], "app_names": ["web"],
        "created_at": 1, "created": "1970-01-01T00:00:01Z", "started_at": 2, "started": "1970-01-01T00:00:02.5Z",
        "apps": [{
            "name": "web", "state": "exited", "image_id": ID, "exit_code": 137, "signal": 9,
            "created_at": 3, "created": "1970-01-01T00:00:00.000000003Z",
            "started_at": 4, "started": "1970-01-01T00:00:00.000000004Z",
            "finished_at": 5_000_000_000, "finished": "1970-01-01T00:00:05Z",
        }],
    }
    assert json.loads(rkt("list", "--format=json-pretty")[1]) == [json.loads(out)]


def test_status_of_an_ended_pod(rkt: Rkt, pods: Pods) -> None:
    ended(pods, ONE, "web", "log", web=0, log=3)
    status, out, _ = rkt("status", ONE)
    keys = [line.partition("=")[0] for line in out.splitlines()]
    assert keys == ["state", "created", "started", "networks", "pid", "exited", "app-web", "app-log"]
    assert {"state=exited", "networks=", "pid=123456789", "exited=true", "app-web=0", "app-log=3"} < set(out.split())
    assert status == 0


def test_status_of_a_running_pod_has_no_exit_codes(rkt: Rkt, pods: Pods) -> None:
    with make(pods, ONE, "run", "web", "log", name="front") as pod:
        pod.write("stage1/rootfs/rkt/status/log", "0")
        keys = [line.partition("=")[0] for line in rkt("status", ONE)[1].splitlines()]
    assert keys == ["state", "created", "started", "networks", "pid", "exited", "name"]


def test_status_of_a_prepared_pod(rkt: Rkt, pods: Pods) -> None:
    make(pods, ONE, "prepared", "web").close()
    assert [line.partition("=")[0] for line in rkt("status", "1111")[1].splitlines()] == ["state", "created"]


@pytest.mark.parametrize(("codes", "status"), [({"web": 0, "log": 0}, 0), ({"web": 143, "log": 5}, 143)])
def test_status_can_return_the_status_of_the_pod(rkt: Rkt, pods: Pods, codes: dict[str, int], status: int) -> None:
    ended(pods, ONE, "web", "log", **codes)
    assert rkt("status", ONE)[0] == 0
    assert rkt("status", "--exit-status", ONE)[0] == status


def test_an_unknown_exit_status_is_an_error(rkt: Rkt, pods: Pods) -> None:
    ended(pods)
    status, out, err = rkt("status", "--exit-status", ONE)
    assert status == 254 and out.startswith("state=exited\n") and "app-web" not in out
    assert err == f'status: pod "{ONE}" ended before the exit status of web was known\n'


def test_waiting_runs_out(rkt: Rkt, pods: Pods) -> None:
    with make(pods, ONE, "run", "web"):
        assert rkt("status", "--wait=50ms", ONE) == (254, "", f'status: pod "{ONE}" has not ended after 0.05 s\n')
        assert rkt("status", "--wait-ready=50ms", ONE) == (254, "", f'status: pod "{ONE}" is not ready after 0.05 s\n')
    assert rkt("status", "--wait", ONE)[0] == 0


@pytest.mark.parametrize("command", ["status", "stop", "rm", "cat-manifest", "enter"])
def test_unknown_pods(rkt: Rkt, command: str) -> None:
    status, out, err = rkt(command, "f00d")
    assert (status, out) == (254, "")
    assert err.startswith(f'{command}: no matches found for "f00d"\n')


@pytest.mark.parametrize("command", ["status", "cat-manifest"])
def test_an_ambiguous_prefix(rkt: Rkt, pods: Pods, command: str) -> None:
    for uuid in (ONE, ONE.replace("-0000-", "-1111-")):
        ended(pods, uuid)
    assert rkt(command, "1") == (254, "", f"{command}: ambiguous uuid, 2 matches\n")


def test_cat_manifest(rkt: Rkt, pods: Pods) -> None:
    ended(pods)
    assert rkt("cat-manifest", ONE)[1].startswith('{\n\t"acKind": "PodManifest",\n')
    plain = rkt("cat-manifest", "--pretty-print=false", ONE)[1]
    assert plain.count("\n") == 1
    assert json.loads(plain)["apps"][0]["name"] == "web"


def test_rm(rkt: Rkt, pods: Pods, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entrypoints, "gc", lambda pod: 0)
    ended(pods)
    running = make(pods, TWO, "run", "web")
    assert rkt("rm", TWO, ONE) == (
        254, f'"{ONE}"\n', f'rm: pod "{TWO}" is running (rkt stop ends it)\nrm: failed to remove 1 pod(s)\n')
    running.close()
    assert rkt("rm", TWO) == (0, f'"{TWO}"\n', "")
    assert rkt("list", "--no-legend")[1] == ""


@pytest.mark.parametrize("directory", ["prepare", "prepared", "exited-garbage"])
def test_rm_takes_what_does_not_run(
        rkt: Rkt, pods: Pods, monkeypatch: pytest.MonkeyPatch, directory: str) -> None:
    monkeypatch.setattr(entrypoints, "gc", lambda pod: 0)
    make(pods, ONE, directory, "web").close()
    assert rkt("rm", ONE) == (0, f'"{ONE}"\n', "")
    assert pods.open(ONE) is None


def test_stop(rkt: Rkt, pods: Pods, monkeypatch: pytest.MonkeyPatch) -> None:
    running = make(pods, TWO, "run", "web")

    def stop(pod: Pod, *, force: bool) -> int:
        running.close()
        return 0

    monkeypatch.setattr(entrypoints, "stop", stop)
    ended(pods)
    assert rkt("stop", TWO, ONE) == (0, f'pod "{ONE}" is already stopped\n"{TWO}"\n', "")


def test_stop_of_what_does_not_run(rkt: Rkt, pods: Pods) -> None:
    make(pods, ONE, "prepared", "web").close()
    assert rkt("stop", ONE) == (
        254, "", f'stop: pod "{ONE}" is prepared, not running\nstop: failed to stop 1 pod(s)\n')


def test_stop_that_fails(rkt: Rkt, pods: Pods, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entrypoints, "stop", lambda pod, *, force: 3)
    with make(pods, ONE, "run", "web"):
        status, out, err = rkt("stop", ONE)
    assert (status, out) == (254, "")
    assert err.splitlines() == [
        f'stop: pod "{ONE}": its stop entry point failed with status 3', "stop: failed to stop 1 pod(s)"]


def test_a_pod_that_does_not_end(rkt: Rkt, pods: Pods, monkeypatch: pytest.MonkeyPatch) -> None:
    from stage0.cli import stop

    monkeypatch.setattr(entrypoints, "stop", lambda pod, *, force: 0)
    monkeypatch.setattr(stop, "MARGIN_S", 0.05)
    with make(pods, ONE, "run", "web"):
        assert rkt("stop", "--force", ONE)[2].startswith(
            f'stop: pod "{ONE}" still runs 0.05 s after it was asked to end')


def test_enter_needs_a_running_pod_and_a_clear_app(rkt: Rkt, pods: Pods) -> None:
    make(pods, ONE, "prepared", "web").close()
    make(pods, TWO, "run", "web", "log").close()
    assert rkt("enter", ONE, "sh") == (254, "", f'enter: pod "{ONE}" is prepared, not running\n')
    assert rkt("enter", TWO, "sh") == (
        254, "", f'enter: pod "{TWO}" has several apps: web, log (--app=NAME names one)\n')
    assert rkt("enter", "--app=db", TWO, "sh") == (254, "", f'enter: pod "{TWO}" has no app db, only web, log\n')


def test_gc(rkt: Rkt, pods: Pods, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entrypoints, "gc", lambda pod: 0)
    ended(pods)
    assert rkt("gc", "--mark-only") == (0, "", f'gc: moving pod "{ONE}" to garbage\n')
    assert rkt("status", ONE)[1].startswith("state=exited garbage\n")
    assert rkt("gc") == (0, "", "")
    assert rkt("gc", "--grace-period=0") == (0, f'Garbage collecting pod "{ONE}"\n', "")


@pytest.mark.parametrize("words", [["run", "x"], ["prepare", "x"], ["run-prepared", ONE], ["enter", ONE],
                                   ["rm", ONE], ["gc"], ["export", ONE, "x.aci"]])
def test_what_needs_root(rkt: Rkt, monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    pytest.importorskip("stage1.appc.pod")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert rkt(*words) == (254, "", f"{words[0]}: root privileges are needed (sudo)\n")
