"""`rkt run`: what goes in, what comes out, and the exit status."""
from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from tests.lib import images
from tests.lib.host import Host


@pytest.mark.parametrize("status", [0, 1, 42, 254, 255])
def test_the_exit_status_of_an_app_is_that_of_rkt(host: Host, busybox: Path, status: int) -> None:
    pod = host.shell(busybox, f"exit {status}")
    assert (pod.returncode, pod.stdout, pod.stderr) == (status, "", "")
    state = host.state(pod.uuid)
    assert (state["state"], state["app-busybox"]) == ("exited", str(status))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGUSR1])
def test_an_app_killed_by_a_signal_gives_128_and_its_number(host: Host, busybox: Path, number: int) -> None:
    pod = host.shell(busybox, f"kill -{int(number)} $$")
    assert pod.returncode == 128 + number
    assert host.state(pod.uuid)["app-busybox"] == str(128 + number)


def test_stdin_and_stdout_are_the_callers_own_byte_for_byte(host: Host, busybox: Path) -> None:
    data = os.urandom(3_000_001)
    assert host.shell(busybox, "cat", input=data).output == data


def test_wc_counts_exactly_what_the_app_wrote(host: Host, busybox: Path) -> None:
    words = " ".join(map(str, host.rkt_command("--insecure-options=image", "run", busybox, "--exec=/bin/echo")[0]))
    assert host.run("sh", "-c", f"{words} -- hello | wc -c").stdout == "6\n"


def test_stdout_and_stderr_stay_apart(host: Host, busybox: Path) -> None:
    pod = host.shell(busybox, "echo out; echo err >&2")
    assert (pod.stdout, pod.stderr) == ("out\n", "err\n")


def test_a_file_as_stdout_is_written_by_the_app_itself(host: Host, busybox: Path, tmp_path: Path) -> None:
    with open(tmp_path / "out", "wb") as out:
        host.shell(busybox, "readlink /proc/self/fd/1 >&2; echo text", stdout=out).ok()
    assert (tmp_path / "out").read_text() == "text\n"


def test_the_image_gives_the_command_and_words_after_two_dashes_are_added(host: Host, shared: Path) -> None:
    image = images.build(shared / "echo.aci", images.manifest("example.com/echo", ["/bin/echo", "a b", "$HOME"]))
    pod = host.rkt("--insecure-options=image", "run", image, "--", "c  d", "--net")
    assert pod.stdout == "a b $HOME c  d --net\n"


def test_an_image_in_the_store_runs_by_name_and_by_hash(host: Host, busybox: Path) -> None:
    image_id = host.rkt("--insecure-options=image", "fetch", "--full", busybox).ok().stdout.strip()
    assert re.fullmatch(r"sha512-[0-9a-f]{128}", image_id)
    for word in ("example.com/busybox", "example.com/busybox:1.0", "example.com/busybox:1.0,os=linux",
                 image_id, image_id[:20]):
        assert host.rkt("run", word, "--exec=/bin/echo", "--", "here").stdout == "here\n"


def test_an_unsigned_file_is_refused(host: Host, busybox: Path) -> None:
    refused = host.rkt("run", busybox)
    assert (refused.returncode, refused.stdout) == (254, "")
    assert refused.stderr.startswith("run: ")
    assert refused.stderr.endswith("(--insecure-options=image skips the check)\n")
    assert refused.stderr.count("\n") == 1


def test_a_program_that_is_not_there_is_said_in_one_line(host: Host, busybox: Path) -> None:
    pod = host.rkt("--insecure-options=image", "run", busybox, "--exec=/bin/nothing")
    assert (pod.returncode, pod.stdout) == (254, "")
    assert "/bin/nothing" in pod.stderr and pod.stderr.count("\n") == 1


def test_the_uuid_file_is_there_while_the_pod_runs(host: Host, busybox: Path) -> None:
    pod = host.start_shell(busybox, "echo up; read line", stdin=-1)
    pod.until_line("up")
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", pod.uuid_file.read_text())
    assert host.rkt("status", f"--uuid-file={pod.uuid_file}").stdout.startswith("state=running\n")
    assert pod.wait(input=b"\n").returncode == 0


class TestSeveralApps:
    """A pod of several apps."""

    def pod(self, host: Host, busybox: Path, scripts: dict[str, str], *options: str,
            **more: bytes) -> tuple[int, str, str]:
        words: list[object] = ["--insecure-options=image", "run", "--net=host", *options]
        for name, script in scripts.items():
            words += [busybox, f"--name={name}", "--exec=/bin/sh", "--", "-c", script, "---"]
        pod = host.rkt(*words, **more)
        self.uuid = pod.uuid
        return pod.returncode, pod.stdout, pod.stderr

    def test_lines_come_out_whole_with_the_name_and_pid_of_their_app(self, host: Host, busybox: Path) -> None:
        script = 'for i in $(seq 100); do printf "%03000d\\n" $i; done'
        status, out, _ = self.pod(host, busybox, {"one": script, "two": script})
        assert status == 0
        found: dict[str, list[int]] = {"one": [], "two": []}
        for line in out.splitlines():
            match = re.fullmatch(r"(one|two)\[\d+\]: (\d{3000})", line)
            assert match, line
            found[match[1]].append(int(match[2]))
        assert found == {"one": list(range(1, 101)), "two": list(range(1, 101))}

    def test_no_prefix_leaves_the_prefix_away(self, host: Host, busybox: Path) -> None:
        status, out, _ = self.pod(host, busybox, {"one": "echo 1", "two": "echo 2"}, "--no-prefix")
        assert (status, sorted(out.splitlines())) == (0, ["1", "2"])

    def test_a_last_line_without_its_end_comes_out_too(self, host: Host, busybox: Path) -> None:
        _, out, _ = self.pod(host, busybox, {"one": "printf end", "two": "true"}, "--no-prefix")
        assert out.rstrip("\n") == "end"

    def test_stdin_is_null(self, host: Host, busybox: Path) -> None:
        _, out, _ = self.pod(host, busybox, {"one": "wc -c", "two": "true"}, "--no-prefix", input=b"text")
        assert out.strip() == "0"

    def test_the_first_failure_ends_the_others_and_is_the_status_of_the_pod(self, host: Host, busybox: Path) -> None:
        lasting = "trap 'exit 3' TERM; while :; do sleep 0.1; done"
        status, _, _ = self.pod(host, busybox, {"lasting": lasting, "failing": "sleep 0.2; exit 7"})
        state = host.state(self.uuid)
        assert (status, state["app-failing"], state["app-lasting"]) == (7, "7", "3")

    def test_a_pod_runs_until_its_last_app_ends(self, host: Host, busybox: Path) -> None:
        status, out, _ = self.pod(host, busybox, {"brief": "true", "longer": "sleep 0.5; echo end"}, "--no-prefix")
        assert (status, out) == (0, "end\n")

    def test_apps_share_the_network_and_processes_but_not_their_files(self, host: Host, busybox: Path) -> None:
        show = "for kind in net ipc pid; do readlink /proc/self/ns/$kind; done"
        scripts = {"one": f"touch /mine; {show}; sleep 1", "two": f"sleep 0.5; {show}; ls /mine 2>/dev/null"}
        status, out, _ = self.pod(host, busybox, scripts, "--no-prefix")
        assert status == 1
        assert len(out.splitlines()) == 6 and len(set(out.splitlines())) == 3

    def test_two_apps_of_one_name_are_refused(self, host: Host, busybox: Path) -> None:
        pod = host.rkt("--insecure-options=image", "run", busybox, busybox)
        assert pod.returncode == 254
        assert "busybox" in pod.stderr and pod.stderr.count("\n") == 1


class TestOptions:
    """Options of the pod and of its images."""

    def test_environment_from_weak_to_strong(self, host: Host, shared: Path) -> None:
        image = images.build(shared / "environment.aci", images.manifest("example.com/environment", app={
            "environment": [{"name": name, "value": "image"} for name in ("IMAGE", "OPTION", "FILE", "SET")]}))
        (shared / "env").write_text("# a comment\n; another\n\nFILE=file\nSET=file\n")
        names = ("INHERITED", "IMAGE", "OPTION", "FILE", "SET")
        pod = host.shell(image, "echo " + " ".join(f"${name}" for name in names), "--inherit-env", "--set-env=SET=set",
                         f"--set-env-file={shared}/env", env={"INHERITED": "caller", "IMAGE": "caller"},
                         app_options=["--environment=OPTION=option", "--environment=FILE=option"])
        assert pod.stdout == "caller image option file set\n"

    def test_the_environment_that_every_app_has(self, host: Host, busybox: Path) -> None:
        found = dict(line.split("=", 1) for line in host.shell(busybox, "env", env={"LEAK": "1"}).stdout.splitlines())
        assert {name: found.get(name) for name in ("PATH", "AC_APP_NAME", "container", "HOME", "USER", "LOGNAME")} == {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "AC_APP_NAME": "busybox",
            "container": "rkt", "HOME": "/root", "USER": "root", "LOGNAME": "root"}
        assert "LEAK" not in found and not [name for name in found if name.startswith("RKT_")]

    @pytest.mark.parametrize(("options", "ids"), [
        (["--user=web", "--group=web"], "1000 1001 1001"),
        (["--user=12", "--group=34"], "12 34 34"),
        (["--user=web", "--group=0", "--supplementary-gids=7,9"], "1000 0 0 7 9"),
        (["--user=/owned", "--group=/owned"], "0 0 0"),
    ])
    def test_user_and_groups(self, host: Host, shared: Path, options: list[str], ids: str) -> None:
        image = images.build(shared / "owned.aci", images.manifest("example.com/owned"), {"/owned": ""})
        pod = host.shell(image, "echo $(id -u) $(id -g) $(id -G)", app_options=options)
        assert (pod.stdout, pod.stderr) == (ids + "\n", "")

    def test_an_unknown_user_is_an_error(self, host: Host, busybox: Path) -> None:
        pod = host.shell(busybox, "id", app_options=["--user=nobody-such"])
        assert pod.returncode == 254
        assert "nobody-such" in pod.stderr and pod.stderr.count("\n") == 1

    def test_working_directory(self, host: Host, busybox: Path) -> None:
        assert host.shell(busybox, "pwd", app_options=["--working-dir=/etc"]).stdout == "/etc\n"

    def test_hostname(self, host: Host, busybox: Path) -> None:
        assert host.shell(busybox, "hostname", "--hostname=north").stdout == "north\n"
        pod = host.shell(busybox, "hostname")
        assert pod.stdout == f"rkt-{pod.uuid}\n"

    def test_a_readonly_rootfs_cannot_be_written(self, host: Host, busybox: Path) -> None:
        pod = host.shell(busybox, "touch /etc/new; touch /data/new && echo volume", "--volume=data,kind=empty",
                         "--mount=volume=data,target=/data", app_options=["--readonly-rootfs"])
        assert pod.stderr == "touch: /etc/new: Read-only file system\n"
        assert pod.stdout == "volume\n"

    def test_a_host_volume_is_seen_and_written(self, host: Host, busybox: Path) -> None:
        source = host.file("volume")
        source.mkdir()
        (source / "in").write_text("from the host")
        host.shell(busybox, "cat /data/in >/data/out", f"--volume=data,kind=host,source={source}",
                   "--mount=volume=data,target=/data").ok()
        assert (source / "out").read_text() == "from the host"

    def test_a_read_only_volume_stays_so(self, host: Host, busybox: Path) -> None:
        source = host.file("volume")
        source.mkdir()
        pod = host.shell(busybox, "touch /data/new", f"--volume=data,kind=host,source={source},readOnly=true",
                         "--mount=volume=data,target=/data")
        assert pod.returncode == 1
        assert pod.stderr == "touch: /data/new: Read-only file system\n"

    def test_an_empty_volume_is_shared_by_the_apps(self, host: Host, busybox: Path) -> None:
        pod = TestSeveralApps()
        _, out, _ = pod.pod(host, busybox, {
            "one": "stat -c '%a %u' /both; echo hi >/both/new; mv /both/new /both/there",
            "two": "until cat /both/there 2>/dev/null; do sleep 0.05; done"},
            "--no-prefix", "--volume=both,kind=empty,mode=0770,uid=12", "--mount=volume=both,target=/both")
        assert sorted(out.splitlines()) == ["770 12", "hi"]

    def test_a_missing_source_is_an_error(self, host: Host, busybox: Path) -> None:
        pod = host.shell(busybox, "true", "--volume=data,kind=host,source=/no/such", "--mount=volume=data,target=/data")
        assert pod.returncode == 254
        assert "/no/such" in pod.stderr and pod.stderr.count("\n") == 1

    def test_a_mount_needs_its_volume(self, host: Host, busybox: Path) -> None:
        pod = host.shell(busybox, "true", "--mount=volume=data,target=/data")
        assert pod.returncode == 254
        assert "data" in pod.stderr and pod.stderr.count("\n") == 1

    def test_no_overlay_copies_the_tree(self, host: Host, busybox: Path) -> None:
        pod = host.shell(busybox, "grep ' / / ' /proc/self/mountinfo; touch /new && ls /bin/busybox", "--no-overlay")
        assert "overlay" not in pod.stdout and pod.stdout.endswith("/bin/busybox\n")

    def test_an_image_without_app_needs_a_program(self, host: Host, shared: Path) -> None:
        image = images.build(shared / "plain.aci", images.manifest("example.com/plain", None))
        pod = host.rkt("--insecure-options=image", "run", image)
        assert pod.returncode == 254
        assert "--exec" in pod.stderr and pod.stderr.count("\n") == 1
        assert host.rkt("run", "example.com/plain", "--exec=/bin/echo", "--", "here").stdout == "here\n"

    def test_debug_prints_the_milliseconds_of_each_step(self, host: Host, busybox: Path) -> None:
        pod = host.rkt("--debug", "--insecure-options=image", "run", busybox, "--exec=/bin/true").ok()
        assert len(re.findall(r"^run: .*\d+(\.\d+)? ms", pod.stderr, re.MULTILINE)) >= 4
