"""completion: what could follow on a command line, and the scripts that ask for it."""
from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stage0.cli import complete, completion
from stage0.cli import main as entry
from stage0.cli.complete import Wanted, want

CHECKOUT = Path(__file__).resolve().parents[4]


def choices(*words: str) -> list[str]:
    wanted = want(words)
    return [wanted.before + text for text, _ in wanted.choices if text.startswith(wanted.word)]


def test_commands() -> None:
    assert choices("r") == ["run", "run-prepared", "rm"]
    assert choices("image", "e") == ["export", "extract"]
    assert choices("--debug", "--dir", "/x", "ver") == ["version"]
    assert choices("help", "image", "li") == ["list"]
    assert choices("image", "help-less", "") == []
    assert "__complete" not in choices("")
    assert choices("nonsense", "") == []


def test_options() -> None:
    assert choices("list", "--f") == ["--full", "--format="]
    assert choices("run", "--n") == ["--name=", "--no-overlay", "--net", "--no-prefix"]
    assert choices("run", "--e") == []
    assert choices("run", "a.aci", "--e") == ["--exec=", "--environment="]
    assert choices("run", "a.aci", "--na") == ["--name="]
    assert choices("--insec") == ["--insecure-options="]
    assert "--store-only" not in choices("run", "--")


def test_nothing_of_ours_among_the_arguments_of_an_app() -> None:
    assert want(["run", "a", "--", "--e"]) == Wanted()
    assert choices("run", "a", "--", "x", "---", "--ex") == ["--exec="]
    assert want(["enter", "pod", "-"]).choices == ()


@pytest.mark.parametrize(("words", "found"), [
    (["list", "--format", ""], ["json", "json-pretty"]),
    (["list", "--format=json-"], ["--format=json-pretty"]),
    (["run", "--net=h"], ["--net=host"]),
    (["run", "--insecure-options=image,t"], ["--insecure-options=image,tls"]),
    (["run", "--insecure-options", "image,im"], []),
    (["image", "list", "--fields=id,"], [f"--fields=id,{name}" for name in ("name", "size", "importtime", "lastused")]),
    (["cat-manifest", "--pretty-print="], ["--pretty-print=true", "--pretty-print=false"]),
    (["completion", ""], ["bash", "zsh", "fish"])])
def test_values(words: list[str], found: list[str]) -> None:
    assert choices(*words) == found


@pytest.mark.parametrize(("words", "kind"), [
    (["status", ""], "pod"), (["stop", "a", ""], "pod"), (["status", "a", ""], ""), (["rm", "--uuid-file=f", ""], ""),
    (["enter", ""], "pod"), (["enter", "pod", ""], ""), (["enter", "--app="], "app"), (["enter", "--app", ""], "app"),
    (["export", "pod", ""], "file"), (["export", "--uuid-file", "f", ""], "file"), (["run", ""], "image-or-file"),
    (["run", "a", ""], "image-or-file"), (["image", "rm", "a", ""], "image"), (["image", "extract", "a", ""], "dir"),
    (["--dir", ""], "dir"), (["--dir="], "dir"), (["run", "--set-env-file="], "file"), (["run", "a", "--user="], ""),
    (["list", ""], "")])
def test_kinds(words: list[str], kind: str) -> None:
    assert want(words).kind == kind


def test_the_data_directory_of_the_line_is_looked_at() -> None:
    assert want(["--dir=/a", "status", ""]).data_dir == "/a"
    assert want(["status", "--dir", "/b", ""]).data_dir == "/b"


def test_what_cannot_be_looked_up_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert entry.main(["__complete", "--", f"--dir={tmp_path}/file", "status", ""]) == 0
    assert capsys.readouterr() == ("", "")


def test_pods_and_apps_of_a_data_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                           monkeypatch: pytest.MonkeyPatch) -> None:
    def lines(*words: str) -> list[str]:
        assert entry.main(["__complete", "--", f"--dir={tmp_path}", *words]) == 0
        return capsys.readouterr().out.splitlines()

    from stage0.pods import Pods

    pods = Pods(str(tmp_path))
    uuid = "3bf2a6b8-0000-4000-8000-000000000001"
    with pods.create(uuid, "web") as pod:
        pod.write("pod", '{"acVersion":"0.8.11","acKind":"PodManifest","apps":[{"name":"front","image":{"id":"sha512-'
                         + "a" * 128 + '"}}]}')
        pod.move("prepared")
    assert lines("run-prepared", "") == ["web\tprepared: front", f"{uuid}\tprepared: front"]
    assert lines("status", "3b") == [f"{uuid}\tprepared: front"]
    assert lines("stop", "") == []
    assert lines("export", "--app=") == []
    monkeypatch.setitem(complete._STATES, "export", ("prepared",))
    assert lines("export", "--app=") == ["--app=front\tin web"]


def test_images_by_name_or_by_id(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from stage0.store.store import ImageInfo, Store

    key = "sha512-" + "ab" * 64
    monkeypatch.setattr(Store, "images", lambda _self: [ImageInfo(key, "x.com/app", {"version": "1"}, 0, 0, 0)])
    assert entry.main(["__complete", "--", "image", "rm", "x"]) == 0
    assert capsys.readouterr().out == f"x.com/app:1\t{key[:19]}\n"
    assert entry.main(["__complete", "--", "run", "sha512-ab"]) == 0
    assert capsys.readouterr().out == f"{key}\tx.com/app:1\n:files\n"


def test_files_follow_where_they_may(capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.main(["__complete", "--", "export", "pod", ""]) == 0
    assert capsys.readouterr().out == ":files\n"
    assert entry.main(["__complete", "--", "--dir="]) == 0
    assert capsys.readouterr().out == ":dirs\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_is_printed(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.main(["completion", shell]) == 0
    assert capsys.readouterr().out == completion.SCRIPTS[shell]


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A PATH with an rkt of this checkout in front."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/rkt"
    program.write_text(f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(CHECKOUT)!r})\n"
                       "from stage0.cli.main import main\nsys.exit(main())\n")
    program.chmod(0o755)
    (tmp_path / "some.aci").touch()
    (tmp_path / "some.dir").mkdir()
    return f"{tmp_path}/bin:/usr/bin:/bin"


@pytest.mark.parametrize(("line", "found"), [
    ("rkt r", ["run", "run-prepared", "rm"]),
    ("rkt list --fo", ["--format="]),
    ("rkt list --format=json-", ["json-pretty"]),
    ("rkt list --format json-", ["json-pretty"]),
    ("rkt --insecure-options=image,tl", ["image,tls"]),
    ("rkt export pod some", ["some.aci", "some.dir"]),
    ("rkt --dir=some", ["some.dir"]),
    ("rkt image ", ["list", "cat-manifest", "export", "extract", "render", "rm", "verify", "gc"])])
def test_bash_completes(line: str, found: list[str], path: str, tmp_path: Path) -> None:
    script = (f"{completion.SCRIPTS['bash']}\ncompopt() {{ :; }}\nCOMP_LINE='{line}' COMP_POINT=${{#COMP_LINE}}\n"
              "COMP_POINT=${#COMP_LINE}\n_rkt\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n")
    done = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True, cwd=tmp_path, check=True,
                          env={"PATH": path})
    assert (sorted(done.stdout.split()), done.stderr) == (sorted(found), "")


@pytest.mark.skipif(not shutil.which("fish"), reason="fish is not installed")
def test_fish_completes(path: str, tmp_path: Path) -> None:
    script = completion.SCRIPTS["fish"] + "\ncomplete -C 'rkt run-'\ncomplete -C 'rkt list --format=json-'\n"
    done = subprocess.run(["fish", "--no-config", "-c", script], capture_output=True, text=True, cwd=tmp_path,
                          check=True, env={"PATH": path, "HOME": str(tmp_path)})
    assert done.stdout.splitlines() == [
        "run-prepared\tStart a prepared pod, in the foreground.", "--format=json-pretty"]


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed")
def test_zsh_takes_the_script() -> None:
    subprocess.run(["zsh", "-n", "-c", completion.SCRIPTS["zsh"]], check=True)
