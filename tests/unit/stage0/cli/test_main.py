"""main: exit statuses, error lines, signals, and what goes where."""
from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from stage0.cli import main as entry
from stage0.cli import options
from stage0.cli.context import Context
from stage2.errors import RktError

CHECKOUT = Path(__file__).resolve().parents[4]
PROGRAM = "import sys; from stage0.cli.main import main; sys.exit(main(sys.argv[1:]))"


def rkt(*words: str, program: str = PROGRAM, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program, *words], cwd=CHECKOUT, capture_output=True, text=True,
                          check=False, **options)  # type: ignore[call-overload,no-any-return]


@pytest.fixture
def as_version(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., int]], None]:
    """Puts a function in the place of the command `version`."""
    def put(command: Callable[..., int]) -> None:
        module = types.ModuleType("stage0.cli.version")
        module.command = command  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "stage0.cli.version", module)
    return put


def test_version_is_five_lines_that_programs_can_read(capsys: pytest.CaptureFixture[str]) -> None:
    import re

    assert entry.main(["version"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert [line.split(": ")[0] for line in lines] == [
        "rkt Version", "appc Version", "Python Version", "Python OS/Arch", "Features"]
    assert re.match(r"rkt [vV]ersion[:]? (\d[.\d]+)", lines[0])[1] == "2.0.0"           # type: ignore[index]
    assert re.match(r"appc [vV]ersion[:]? (\d[.\d]+)", lines[1])[1] == "0.8.11"         # type: ignore[index]


@pytest.mark.parametrize(("words", "status", "line"), [
    (["frob"], 2, "rkt: unknown command frob"),
    (["st"], 2, "rkt: st could be any of stop, status"),
    (["--nope"], 254, "rkt: unknown option --nope"),
    (["image", "frob"], 254, "image: unknown command frob"),
    (["image", "rm"], 254, "image: IMAGE is missing (usage: rkt image rm [OPTIONS] IMAGE…)"),
    (["list", "--nope"], 254, "list: unknown option --nope"),
    (["version", "--dir"], 254, "version: --dir needs a value (DIR)"),
    (["completion", "tcsh"], 254, "completion: no completion for tcsh, only for bash, zsh, fish"),
    (["help", "frob"], 254, "help: unknown command frob")])
def test_a_misused_command(words: list[str], status: int, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.main(words) == status
    captured = capsys.readouterr()
    assert captured.err.splitlines()[0] == line
    assert captured.err.splitlines()[1].startswith("Try `rkt ")
    assert captured.out == ""


@pytest.mark.parametrize(("words", "status", "usage"), [
    ([], 2, "rkt [OPTIONS] COMMAND …"), (["image"], 254, "rkt image [OPTIONS] COMMAND …")])
def test_no_command_shows_the_commands(words: list[str], status: int, usage: str,
                                       capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.main(words) == status
    captured = capsys.readouterr()
    assert f"  {usage}\n" in captured.err
    assert captured.out == ""


def raising(error: BaseException, cause: BaseException | None = None) -> Callable[..., int]:
    def command(_ctx: Context) -> int:
        raise error from cause
    return command


def test_an_expected_failure_is_a_line(as_version: Callable[[Callable[..., int]], None],
                                       capsys: pytest.CaptureFixture[str]) -> None:
    middle = RktError("the store")
    middle.__cause__ = FileNotFoundError(2, "No such file or directory", "/x")
    as_version(raising(RktError("finding things"), middle))
    assert entry.main(["version"]) == 254
    assert capsys.readouterr().err == "version: finding things: /x: no such file or directory\n"
    assert entry.main(["version", "--debug"]) == 254
    assert capsys.readouterr().err.endswith(
        "version: finding things\n└─the store\n  └─/x: no such file or directory\n")


def test_an_error_of_the_system_is_a_line_too(as_version: Callable[[Callable[..., int]], None],
                                              capsys: pytest.CaptureFixture[str]) -> None:
    as_version(raising(PermissionError(13, "Permission denied", "/root/x")))
    assert entry.main(["version"]) == 254
    assert capsys.readouterr().err == "version: /root/x: permission denied\n"


def test_a_bug_shows_its_traceback(as_version: Callable[[Callable[..., int]], None]) -> None:
    as_version(raising(KeyError("oops")))
    with pytest.raises(KeyError, match="oops"):
        entry.main(["version"])


def test_the_status_of_the_command_is_that_of_main(as_version: Callable[[Callable[..., int]], None]) -> None:
    as_version(lambda _ctx: 42)
    assert entry.main(["version"]) == 42


def called_with(monkeypatch: pytest.MonkeyPatch, words: list[str]) -> dict[str, object]:
    """The values that a command gets; the command itself is left out."""
    found: dict[str, object] = {}

    def command(_ctx: Context, **values: object) -> int:
        found.update(values)
        return 0

    for name in {known.module for known in options.COMMANDS if known.module}:
        module = types.ModuleType(name)
        module.command = command  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, f"stage0.cli.{name}", module)
    assert entry.main(words) == 0
    return found


def test_the_content_of_a_uuid_file_stands_for_the_pod(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "uuid"
    file.write_text("  0123-abc\n")
    assert called_with(monkeypatch, ["status", f"--uuid-file={file}"])["uuid"] == "0123-abc"
    assert called_with(monkeypatch, ["rm", "--uuid-file", str(file)]) == {"uuids": ("0123-abc",)}
    assert called_with(monkeypatch, ["stop", "a", "b"]) == {"uuids": ("a", "b"), "force": False}


@pytest.mark.parametrize("command", [c.title for c in options.COMMANDS
                                     if any(a.name in ("uuid", "uuids") for a in c.arguments)])
def test_every_command_that_takes_a_pod_takes_a_uuid_file(command: str, tmp_path: Path,
                                                          capsys: pytest.CaptureFixture[str]) -> None:
    words = [command, f"--uuid-file={tmp_path}/none", *(["out.aci"] if command == "export" else [])]
    assert entry.main(words) == 254
    assert capsys.readouterr().err == (
        f"{command}: reading --uuid-file: {tmp_path}/none: no such file or directory\n")
    (tmp_path / "empty").write_text(" \n")
    words[1] = f"--uuid-file={tmp_path}/empty"
    assert entry.main(words) == 254
    assert capsys.readouterr().err == f"{command}: reading --uuid-file: {tmp_path}/empty: the file is empty\n"


def test_debug_tells_how_long_each_step_took() -> None:
    import re

    done = rkt("version", "--debug")
    assert done.returncode == 0
    assert re.fullmatch(r"version: +\d+\.\d\d ms +\d+\.\d\d ms  arguments\n"
                        r"version: +\d+\.\d\d ms +\d+\.\d\d ms  modules\n", done.stderr)


def test_nobody_reads_on() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with subprocess.Popen([sys.executable, "-c", PROGRAM, "completion", "bash"], cwd=CHECKOUT, stdout=writer,
                          stderr=subprocess.PIPE, text=True) as process:
        os.close(writer)
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert process.returncode == -signal.SIGPIPE


def test_nobody_reads_the_page_of_a_command() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-c", PROGRAM, "run", "--help"], cwd=CHECKOUT, stdout=writer,
                          stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (-signal.SIGPIPE, "")


@pytest.mark.parametrize("redirection", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_descriptors_that_the_caller_closed_are_not_taken_by_files(redirection: str) -> None:
    program = ("import os, sys; from stage0.cli import main; status = main.main(['list', '--nope']); "
               "status = main.main(['version']) or status; "
               "os._exit(status if all(os.path.exists(f'/proc/self/fd/{fd}') "
               "for fd in range(3)) else 99)")
    done = subprocess.run(["sh", "-c", f"exec {sys.executable} -c \"$0\" {redirection}", program], cwd=CHECKOUT,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 254
    assert ("unknown option --nope" in done.stderr) is ("2>&-" not in redirection)


def test_standard_output_that_is_full() -> None:
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run([sys.executable, "-c", PROGRAM, "version"], cwd=CHECKOUT, stdout=full,
                              stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 254
    assert done.stderr == "version: writing to standard output: no space left on device\n"


WAITING = """
import sys, time, types
from stage0.cli.main import main
module = types.ModuleType("stage0.cli.version")
def command(ctx):
    try:
        print("waiting", flush=True)
        time.sleep(60)
    finally:
        sys.stderr.write("cleaned up\\n")
module.command = command
sys.modules["stage0.cli.version"] = module
sys.exit(main(["version"]))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_unwinds_the_command_and_is_what_the_caller_sees(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", WAITING], cwd=CHECKOUT, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == "waiting\n"
        time.sleep(0.05)
        process.send_signal(number)
        assert process.stderr.read() == "cleaned up\n"
    assert process.returncode == -number


def test_a_signal_that_the_caller_ignores_stays_ignored() -> None:
    program = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + WAITING.replace("60", "0.3")
    with subprocess.Popen([sys.executable, "-c", program], cwd=CHECKOUT, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_nobody_takes_what_goes_to_stderr() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-c", PROGRAM, "list", "--nope"], cwd=CHECKOUT, stderr=writer, check=False)
    os.close(writer)
    assert done.returncode == 254
