"""Every command of actool, with its flags and failures: status, stdout, stderr, files."""
from __future__ import annotations

import io
import json
import os
import signal
import stat
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from stage0.aci import compression
from stage0.actool import checks
from stage0.actool.options import COMMANDS

MANIFEST = json.loads(
    '{"acKind":"ImageManifest","acVersion":"0.8.11","name":"example.com/app",'
    '"labels":[{"name":"os","value":"linux"},{"name":"arch","value":"amd64"}],'
    '"app":{"exec":["/bin/app"],"user":"0","group":"0"}}')
NAMES = ["rootfs", "rootfs/bin", "rootfs/bin/app", "manifest"]


def names(path: str) -> list[str]:
    with tarfile.open(path) as tar:
        return tar.getnames()


def kind(path: str) -> str:
    return compression.detect(Path(path).read_bytes()[:512])


def make_tar(path: str, *members: tuple[str, bytes | str | None], mode: str = "w") -> None:
    """A tar of files (bytes), symlinks (str) and directories (None)."""
    with tarfile.open(path, mode) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.mtime = 1_000_000_000
            if content is None:
                info.type = tarfile.DIRTYPE
                tar.addfile(info)
            elif isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))


GOOD = json.dumps(MANIFEST).encode()


# --- help, version, the command line ---


def test_version(actool):
    assert actool("version") == 0
    assert (actool.out, actool.err) == ("actool version 0.8.11\n", "")


@pytest.mark.parametrize("words", [(), ("help",), ("--help",), ("-help",), ("-h",)])
def test_help(actool, words):
    assert actool(*words) == 0
    headings = [line for line in actool.out.splitlines() if line.isupper()]
    assert headings == ["NAME:", "USAGE:", "VERSION:", "COMMANDS:", "GLOBAL OPTIONS:"]
    for command in COMMANDS:
        assert f"\t{command.title} " in actool.out
    assert "--debug=false" in actool.out


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.title)
def test_help_of_a_command(actool, command):
    assert actool("help", command.title) == 0
    page = actool.out
    headings = [line for line in page.splitlines() if line.isupper()]
    assert headings == ["NAME:", "USAGE:", "DESCRIPTION:", *(["OPTIONS:"] if command.options else [])]
    for option in command.options:
        assert f"\t--{option.name}=" in page
    assert actool(command.title, "--help") == 0
    assert actool.out == page


def test_help_on_an_unknown_topic(actool):
    assert actool("help", "discover") == 1
    assert actool.err == ("help: unknown topic discover "
                          "(one of build, cat-manifest, help, patch-manifest, validate, version)\n")


@pytest.mark.parametrize("words, line", [
    (("biuld",), "actool: unknown command biuld (did you mean build?)\nTry `actool help`.\n"),
    (("build", "--wrong"), "build: unknown flag --wrong\nTry `actool help build`.\n"),
])
def test_a_command_line_that_cannot_be_parsed_exits_2(actool, words, line):
    assert actool(*words) == 2
    assert (actool.out, actool.err) == ("", line)


def test_a_wrong_number_of_arguments_exits_1(actool):
    assert actool("build", "layout") == 1
    assert actool.err == "build: OUTPUT.aci is missing (usage: actool build [OPTIONS] DIRECTORY OUTPUT.aci)\n"


# --- build ---


def test_build(actool):
    assert actool("build", "layout", "o.aci") == 0
    assert (actool.out, actool.err) == ("", "")
    assert names("o.aci") == NAMES
    assert kind("o.aci") == "gzip"
    assert stat.S_IMODE(os.stat("o.aci").st_mode) == 0o644
    assert actool.manifest("o.aci") == MANIFEST
    assert sorted(os.listdir()) == ["layout", "o.aci"]


@pytest.mark.parametrize("flag, expected", [
    ("--no-compression", "none"), ("--no-compression=false", "gzip"),
    *((f"--compression={name}", name) for name in compression.COMPRESSIONS)])
def test_build_compressions(actool, flag, expected):
    assert actool("build", flag, "layout", "o.aci") == 0
    assert kind("o.aci") == expected
    assert actool("validate", "o.aci") == 0
    assert actool.manifest("o.aci") == MANIFEST


def test_build_with_two_compressions(actool):
    assert actool("build", "--no-compression", "--compression=xz", "layout", "o.aci") == 1
    assert actool.err == "build: --no-compression and --compression=xz exclude each other\n"
    assert actool("build", "--no-compression", "--compression=none", "layout", "o.aci") == 0


def test_build_keeps_an_existing_target_unless_told_otherwise(actool):
    Path("o.aci").write_text("old")
    assert actool("build", "layout", "o.aci") == 1
    assert actool.err == "build: o.aci exists (--overwrite replaces it)\n"
    assert Path("o.aci").read_text() == "old"
    assert actool("build", "--overwrite", "layout", "o.aci") == 0
    assert names("o.aci") == NAMES


def test_a_build_that_fails_keeps_the_old_target(actool, monkeypatch):
    Path("o.aci").write_text("old")
    monkeypatch.setattr(os, "pread", lambda *_: b"")
    assert actool("build", "--overwrite", "layout", "o.aci") == 1
    assert actool.err == "build: rootfs/bin/app changed while it was read\n"
    assert Path("o.aci").read_text() == "old"
    assert sorted(os.listdir()) == ["layout", "o.aci"]


def test_build_wants_the_extension(actool):
    assert actool("build", "layout", "o.tar") == 1
    assert actool.err == "build: o.tar: the name of an image ends in .aci\n"
    assert os.listdir() == ["layout"]


@pytest.mark.parametrize("change, reason", [
    (lambda: os.unlink("layout/manifest"), "manifest is missing"),
    (lambda: os.rename("layout/rootfs", "elsewhere"), "rootfs is missing"),
    (lambda: Path("layout/more").touch(), "more is neither manifest nor rootfs"),
    (lambda: Path("layout/manifest").write_text("{"), None),
    (lambda: Path("layout/manifest").write_text(json.dumps({**MANIFEST, "name": "UPPER"})), None),
    (lambda: Path("layout/manifest").write_text('{"acKind":"PodManifest"}'),
     'acKind: "PodManifest" is not "ImageManifest"'),
])
def test_build_refuses_a_layout_that_is_not_valid(actool, change, reason):
    change()
    assert actool("build", "layout", "o.aci") == 1
    assert actool.err.startswith("build: layout is no valid layout: ")
    if reason:
        assert actool.err == f"build: layout is no valid layout: {reason}\n"
    assert not os.path.exists("o.aci")


def test_build_names_all_violations(actool):
    os.unlink("layout/manifest")
    Path("layout/b").touch()
    Path("layout/a").touch()
    assert actool("build", "layout", "o.aci") == 1
    assert actool.err == ("build: layout is no valid layout: manifest is missing; "
                          "a is neither manifest nor rootfs; b is neither manifest nor rootfs\n")


def test_build_of_a_directory_that_is_not_there(actool):
    assert actool("build", "nowhere", "o.aci") == 1
    assert actool.err == "build: nowhere: no such file or directory\n"


def test_build_into_a_directory_that_is_not_there(actool):
    assert actool("build", "layout", "no/o.aci") == 1
    assert actool.err.startswith("build: ") and actool.err.endswith("no such file or directory\n")


def test_build_warns_of_an_old_version_and_validate_fails_the_layout(actool, monkeypatch):
    monkeypatch.setattr(checks, "APPC_VERSION", "1.0.0")
    text = "acVersion: 0.8.11 is too old, of a major version before that of 1.0.0\n"
    assert actool("build", "layout", "o.aci") == 0
    assert actool.err == f"build: layout: {text}"
    assert actool("validate", "layout") == 1
    assert actool.err == f"validate: layout: {text}"
    assert actool("validate", "o.aci") == 0
    assert actool.err == f"validate: o.aci: {text}"


def test_the_rootfs_has_to_be_a_directory_itself(actool):
    os.rename("layout/rootfs", "elsewhere")
    os.symlink("../elsewhere", "layout/rootfs")
    assert actool("build", "layout", "o.aci") == 1
    assert actool.err == "build: layout is no valid layout: rootfs is not a directory\n"


def test_builds_of_the_same_layout_are_the_same(actool, monkeypatch):
    assert actool("build", "layout", "1.aci") == 0
    time.sleep(0.01)
    assert actool("build", "layout", "2.aci") == 0
    assert Path("1.aci").read_bytes() == Path("2.aci").read_bytes()
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    assert actool("build", "layout", "3.aci") == 0
    for path in Path("layout").rglob("*"):
        os.utime(path, (1_500_000_000, 1_500_000_000))
    old = os.umask(0o077)
    assert actool("build", "layout", "4.aci") == 0
    os.umask(old)
    assert Path("3.aci").read_bytes() == Path("4.aci").read_bytes()
    with tarfile.open("4.aci") as tar:
        assert {member.mtime for member in tar} == {1_000_000_000}


def test_a_wrong_epoch(actool, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "now")
    assert actool("build", "layout", "o.aci") == 1
    assert actool.err == "build: SOURCE_DATE_EPOCH: now is not a number of seconds since 1970\n"


def test_build_owner_root(actool):
    if os.geteuid() != 0:
        pytest.skip("changes an owner")
    os.chown("layout/rootfs/bin/app", 5, 6)
    for flags, expected in (((), (5, 6, "")), (("--owner-root",), (0, 0, "root"))):
        assert actool("build", "--overwrite", *flags, "layout", "o.aci") == 0
        with tarfile.open("o.aci") as tar:
            member = tar.getmember("rootfs/bin/app")
            assert (member.uid, member.gid, member.uname) == expected


def test_debug_tells_what_was_written_and_the_causes_of_a_failure(actool):
    assert actool("--debug", "build", "layout", "o.aci") == 0
    assert actool.err == f"build: o.aci: {os.path.getsize('o.aci')} bytes, gzip\n"
    make_tar("bad.aci", ("rootfs", None), ("manifest", b"{"))
    assert actool("--debug", "cat-manifest", "--pretty-print", "bad.aci") == 1
    assert actool.err.splitlines()[0] == "cat-manifest: manifest of bad.aci"
    assert actool.err.splitlines()[1].startswith("└─")


def test_a_build_that_is_terminated_leaves_nothing(actool):
    with open("layout/rootfs/big", "wb") as file:
        for _ in range(64):
            file.write(os.urandom(1 << 20))
    code = "import sys; from stage0.actool.main import main; sys.exit(main())"
    with subprocess.Popen([sys.executable, "-c", code, "build", "--compression=xz", "layout", "o.aci"],
                          env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])}) as build:
        until = time.monotonic() + 20
        while not any(name.startswith(".o.aci.") for name in os.listdir()) and time.monotonic() < until:
            time.sleep(0.01)
        build.send_signal(signal.SIGTERM)
        assert build.wait(20) == 128 + signal.SIGTERM
    assert os.listdir() == ["layout"]


# --- cat-manifest ---


def test_cat_manifest_prints_the_bytes_as_stored(actool):
    odd = b'{ "name":"example.com/a",\n "unknown": 1, "acversion":"0.8.11", "ackind":"ImageManifest"}'
    make_tar("o.aci", ("rootfs", None), ("manifest", odd))
    assert actool("cat-manifest", "o.aci") == 0
    assert (actool.out, actool.err) == (odd.decode() + "\n", "")
    assert actool("cat-manifest", "--pretty-print", "o.aci") == 0
    assert actool.out == ('{\n    "name": "example.com/a",\n    "unknown": 1,\n    "acversion": "0.8.11",\n'
                          '    "ackind": "ImageManifest"\n}\n')


def test_cat_manifest_of_one_that_is_not_valid(actool):
    make_tar("o.aci", ("rootfs", None), ("manifest", json.dumps({**MANIFEST, "name": "A"}).encode()))
    for flags in ((), ("--pretty-print",)):
        assert actool("cat-manifest", *flags, "o.aci") == 1
        assert json.loads(actool.out)["name"] == "A"
        assert actool.err.startswith('cat-manifest: o.aci: name: "A" is not ')


@pytest.mark.parametrize("members, line", [
    ([("rootfs", None)], "o.aci: manifest is missing"),
    ([("rootfs", None), ("manifest", "x")], "o.aci: manifest is a symlink, not a file"),
])
def test_cat_manifest_of_an_image_without_one(actool, members, line):
    make_tar("o.aci", *members)
    assert actool("cat-manifest", "o.aci") == 1
    assert (actool.out, actool.err) == ("", f"cat-manifest: {line}\n")


def test_cat_manifest_of_what_is_no_archive(actool):
    Path("o.aci").write_text("text")
    assert actool("cat-manifest", "o.aci") == 1
    assert actool.err.startswith("cat-manifest: o.aci: ")
    assert actool("cat-manifest", "no.aci") == 1
    assert actool.err == "cat-manifest: no.aci: no such file or directory\n"


def test_cat_manifest_into_a_closed_pipe(actool, image):
    code = "import sys; from stage0.actool.main import main; sys.exit(main())"
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([sys.executable, "-c", code, "cat-manifest", image], stdout=write, stderr=subprocess.PIPE,
                          env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])}, timeout=60)
    os.close(write)
    assert (done.returncode, done.stderr) == (1, b"")


# --- validate ---

POD = {"acKind": "PodManifest", "acVersion": "0.8.11",
       "apps": [{"name": "a", "image": {"id": "sha512-" + "0" * 128}}]}


def test_validate_is_silent_and_tells_the_kind_with_debug(actool, image):
    actool.write("pod.json", POD)
    things = (image, "layout", "layout/manifest", "pod.json")
    assert actool("validate", *things) == 0
    assert (actool.out, actool.err) == ("", "")
    assert actool("--debug", "validate", *things) == 0
    assert actool.err == ("validate: image.aci: valid app container image\n"
                          "validate: layout: valid image layout\n"
                          "validate: layout/manifest: valid ImageManifest\n"
                          "validate: pod.json: valid PodManifest\n")


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_validate_archives_of_others(actool, mode, format):
    with tarfile.open("o.aci", mode, format=format) as tar:
        tar.add("layout/manifest", "./manifest")
        tar.add("layout/rootfs", "./rootfs")
    assert actool("validate", "o.aci") == 0, actool.err
    assert actool.manifest("o.aci") == MANIFEST


def test_validate_reports_all_that_is_wrong_a_line_each(actool):
    actool.write("m.json", {**MANIFEST, "name": "A", "app": {
        "exec": [], "user": "0", "ports": [{"name": "p", "protocol": "tcp", "port": 70000}]}})
    assert actool("validate", "m.json", "layout") == 1
    lines = actool.err.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith('validate: m.json: name: "A" is not ')
    assert lines[1].startswith("validate: m.json: app.group: missing, must be ")
    assert lines[2] == "validate: m.json: app.ports[0].port: 70000 is not a whole number from 1 to 65535"


def test_validate_goes_on_behind_a_file_that_is_not_valid(actool):
    actool.write("1.json", {**MANIFEST, "name": 1})
    actool.write("2.json", {**MANIFEST, "name": 2})
    assert actool("--debug", "validate", "1.json", "layout", "2.json") == 1
    assert [line.split(": ")[1] for line in actool.err.splitlines()] == ["1.json", "layout", "2.json"]


def test_validate_stops_at_a_file_that_cannot_be_read(actool):
    assert actool("--debug", "validate", "nowhere", "layout") == 1
    assert actool.err == "validate: nowhere: no such file or directory\n"


@pytest.mark.parametrize("content", [b"", b"\0\1\2"])
def test_validate_stops_at_a_file_of_no_kind(actool, content):
    Path("thing").write_bytes(content)
    assert actool("validate", "thing", "layout") == 1
    assert actool.err == ("validate: thing is neither an image nor a manifest "
                          "(--type=appimage|layout|manifest tells what)\n")


@pytest.mark.parametrize("members, lines", [
    ([("rootfs", None)], ["manifest is missing"]),
    ([("manifest", GOOD)], ["rootfs is missing"]),
    ([("manifest", GOOD), ("rootfs/a", b"")], ["rootfs is missing"]),
    ([("manifest", GOOD), ("rootfs", b"x")], ["rootfs is a file, not a directory"]),
    ([("manifest", GOOD), ("rootfs", "/")], ["rootfs is a symlink, not a directory"]),
    ([("manifest", None), ("rootfs", None)], ["manifest is a directory, not a file"]),
    ([("manifest", GOOD), ("rootfs", None), ("rootfsX", b""), ("etc", None), ("etc/a", b""), ("etc/b", b"")],
     ["rootfsX is neither manifest nor rootfs", "etc is neither manifest nor rootfs"]),
    ([("manifest", GOOD), ("rootfs", None), ("manifest", GOOD)], ["manifest: comes twice"]),
    ([("manifest", GOOD), ("rootfs", None), ("./rootfs/", None)], ["rootfs: comes twice"]),
    ([("manifest", GOOD), ("rootfs", None), ("rootfs/../../x", b"")],
     ["rootfs/../../x: the name leads out of the archive"]),
])
def test_validate_an_archive_that_is_not_valid(actool, members, lines):
    make_tar("o.aci", *members)
    assert actool("validate", "o.aci") == 1
    assert actool.err.splitlines() == [f"validate: o.aci: {line}" for line in lines]


def test_validate_reports_archive_and_manifest_together(actool):
    make_tar("o.aci", ("manifest", json.dumps({**MANIFEST, "name": 1}).encode()), ("more", b""))
    assert actool("validate", "o.aci") == 1
    lines = actool.err.splitlines()
    assert lines[:2] == ["validate: o.aci: more is neither manifest nor rootfs", "validate: o.aci: rootfs is missing"]
    assert lines[2].startswith("validate: o.aci: name: 1 is not ")


def test_validate_an_archive_that_is_cut_off(actool, image):
    Path("cut.aci").write_bytes(Path(image).read_bytes()[:-20])
    assert actool("validate", "cut.aci") == 1
    assert actool.err.startswith("validate: cut.aci: ")


@pytest.mark.parametrize("words, status, line", [
    (("--type=layout", "layout"), 0, ""),
    (("--type=manifest", "layout/manifest"), 0, ""),
    (("--type=appimage", "image.aci"), 0, ""),
    (("-type", "appimage", "layout"), 1, "layout is a directory, no appimage (--type=layout)"),
    (("--type=manifest", "layout"), 1, "layout is a directory, no manifest (--type=layout)"),
    (("--type=layout", "image.aci"), 1, "image.aci is no directory, so no layout"),
    (("--type=appimage", "layout/manifest"), 1, None),
    (("--type=manifest", "image.aci"), 1, None),
])
def test_validate_type(actool, image, words, status, line):
    assert actool("validate", *words) == status
    if line is not None:
        assert actool.err == (f"validate: {line}\n" if line else "")
    else:
        assert actool.err.startswith(f"validate: {words[-1]}: ")


@pytest.mark.parametrize("text, line", [
    ('{"acKind":"Other"}', 'acKind: "Other" is not "ImageManifest" or "PodManifest"'),
    ("{}", 'acKind: missing, must be "ImageManifest" or "PodManifest"'),
    ("[]", "manifest: a list is not an object"),
])
def test_validate_a_manifest_of_no_kind(actool, text, line):
    actool.write("m.json", text)
    assert actool("validate", "m.json") == 1
    assert actool.err == f"validate: m.json: {line}\n"


def test_a_syntax_error_tells_line_and_column(actool):
    actool.write("m.json", '{\n "acKind": x}')
    assert actool("validate", "m.json") == 1
    assert "line 2 column 12" in actool.err


# --- patch-manifest ---


def test_patch_manifest_copies_members_as_they_are(actool, image):
    assert actool("patch-manifest", "--name=example.com/new", image, "new.aci") == 0
    assert (actool.out, actool.err) == ("", "")
    assert names("new.aci") == NAMES
    assert actool.manifest("new.aci") == {**MANIFEST, "name": "example.com/new"}
    assert actool("validate", "new.aci") == 0
    with tarfile.open(image) as old, tarfile.open("new.aci") as new:
        for name in NAMES[:-1]:
            assert old.getmember(name).get_info() == new.getmember(name).get_info()


def test_patch_manifest_without_changes_gives_the_same_tar(actool):
    assert actool("build", "--no-compression", "layout", "1.aci") == 0
    assert actool("patch-manifest", "--no-compression", "1.aci", "2.aci") == 0
    assert Path("1.aci").read_bytes() == Path("2.aci").read_bytes()


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("size", [0, 1, 1000, 5000])
def test_the_manifest_keeps_its_place_and_its_header(actool, place, size):
    members = [("rootfs", None), ("rootfs/a", os.urandom(700_000))]
    members.insert(place, ("./manifest", GOOD + b" " * size))
    with tarfile.open("o.aci", "w", format=tarfile.GNU_FORMAT) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.mtime, info.uid, info.gid, info.uname, info.mode = 77, 12, 34, "who", 0o600
            info.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
            info.size = len(content or b"")
            tar.addfile(info, io.BytesIO(content or b""))
    assert actool("patch-manifest", "--name=example.com/" + "n" * 600, "o.aci", "new.aci") == 0, actool.err
    assert actool("validate", "new.aci") == 0
    with tarfile.open("new.aci") as tar:
        assert [os.path.normpath(name) for name in tar.getnames()] == [os.path.normpath(name) for name, _ in members]
        member = tar.getmember("manifest")
        assert (member.mtime, member.uid, member.gid, member.uname, member.mode) == (77, 12, 34, "who", 0o600)
        assert tar.extractfile("rootfs/a").read() == next(content for name, content in members if name == "rootfs/a")


def test_extended_headers_of_the_manifest_go_and_global_ones_stay(actool):
    with tarfile.open("o.aci", "w", format=tarfile.PAX_FORMAT, pax_headers={"comment": "for all"}) as tar:
        info = tarfile.TarInfo("manifest")
        info.size, info.pax_headers = len(GOOD), {"mtime": "12.5", "SCHILY.xattr.user.a": "b"}
        tar.addfile(info, io.BytesIO(GOOD))
        info = tarfile.TarInfo("rootfs")
        info.type = tarfile.DIRTYPE
        tar.addfile(info)
    assert actool("patch-manifest", "--no-compression", "--user=7", "o.aci", "new.aci") == 0, actool.err
    assert actool.manifest("new.aci")["app"]["user"] == "7"
    with tarfile.open("new.aci") as tar:
        assert tar.pax_headers == {"comment": "for all"}
        assert tar.getmember("manifest").pax_headers == {"comment": "for all"}


@pytest.mark.parametrize("flag, field, value", [
    ("--exec=/bin/other 'a b'", "exec", ["/bin/other", "a b"]),
    ("--user=nobody", "user", "nobody"),
    ("--group=5", "group", "5"),
    ("--supplementary-groups=1,2", "supplementaryGIDs", [1, 2]),
    ("--working-directory=/srv", "workingDirectory", "/srv"),
    ("--capability=CAP_CHOWN", "isolators",
     [{"name": "os/linux/capabilities-retain-set", "value": {"set": ["CAP_CHOWN"]}}]),
    ("--revoke-capability=CAP_CHOWN,CAP_KILL", "isolators",
     [{"name": "os/linux/capabilities-remove-set", "value": {"set": ["CAP_CHOWN", "CAP_KILL"]}}]),
    ("--mounts=data,path=/data,readOnly=true:more,path=/more", "mountPoints",
     [{"name": "data", "path": "/data", "readOnly": True}, {"name": "more", "path": "/more"}]),
    ("--add-mounts=data,path=/data", "mountPoints", [{"name": "data", "path": "/data"}]),
    ("--ports=http,protocol=tcp,port=80,count=2,socketActivated=true", "ports",
     [{"name": "http", "protocol": "tcp", "port": 80, "count": 2, "socketActivated": True}]),
    ("--add-ports=dns,protocol=udp,port=53", "ports", [{"name": "dns", "protocol": "udp", "port": 53}]),
    ("--isolators=os/linux/no-new-privileges,true", "isolators",
     [{"name": "os/linux/no-new-privileges", "value": True}]),
    ("--isolators=os/linux/oom-score-adj,10", "isolators", [{"name": "os/linux/oom-score-adj", "value": 10}]),
    ("--isolators=example.com/unknown,key=value", "isolators",
     [{"name": "example.com/unknown", "value": {"key": "value"}}]),
    ("--environment=A=b c", "environment", [{"name": "A", "value": "b c"}]),
])
def test_patch_manifest_changes_the_app(actool, image, flag, field, value):
    assert actool("patch-manifest", flag, image, "new.aci") == 0, actool.err
    changed = actool.manifest("new.aci")["app"][field]
    if field in ("mountPoints", "ports"):  # the schema may spell defaults out
        assert [{key: item[key] for key in wanted} for item, wanted in zip(changed, value, strict=True)] == value
    else:
        assert changed == value


def test_patch_manifest_resource_isolators_and_seccomp(actool, image):
    assert actool("patch-manifest", "--isolators=resource/cpu,request=50m,limit=100m:resource/memory,limit=1Gi",
                  "--seccomp-mode=retain,errno=EPERM", "--seccomp-set=read,write", image, "new.aci") == 0, actool.err
    found = {item["name"]: item["value"] for item in actool.manifest("new.aci")["app"]["isolators"]}
    assert found["resource/cpu"]["limit"] == "100m"
    assert found["resource/memory"]["limit"] == "1Gi"
    assert found["os/linux/seccomp-retain-set"] == {"set": ["read", "write"], "errno": "EPERM"}


def test_patch_manifest_changes_labels_annotations_and_dependencies(actool, image):
    assert actool("patch-manifest", "--label=version=2", "--remove-label=arch", "--annotation=authors=us",
                  "--dependency=example.com/base:1.0,os=linux,imageSize=5", image, "new.aci") == 0, actool.err
    changed = actool.manifest("new.aci")
    assert changed["labels"] == [{"name": "os", "value": "linux"}, {"name": "version", "value": "2"}]
    assert changed["annotations"] == [{"name": "authors", "value": "us"}]
    assert changed["dependencies"] == [{"imageName": "example.com/base", "size": 5, "labels": [
        {"name": "version", "value": "1.0"}, {"name": "os", "value": "linux"}]}]
    assert actool("patch-manifest", "--overwrite", "--remove-dependency=example.com/base",
                  "--remove-annotation=authors", "new.aci", "new.aci") == 0, actool.err
    assert not actool.manifest("new.aci").keys() & {"dependencies", "annotations"}


def test_patch_manifest_with_a_file_takes_its_bytes(actool, image):
    text = json.dumps({**MANIFEST, "name": "example.com/other"}, indent=3)
    actool.write("new.json", text)
    assert actool("patch-manifest", "--manifest=new.json", image, "new.aci") == 0, actool.err
    assert actool("cat-manifest", "new.aci") == 0
    assert actool.out == text + "\n"


@pytest.mark.parametrize("words, line", [
    (("image.aci",), "OUTPUT.aci is missing (--replace changes INPUT.aci itself)"),
    (("image.aci", "o.tar"), "o.tar: the name of an image ends in .aci"),
    (("--replace", "image.aci", "o.aci"), "--replace and OUTPUT.aci exclude each other"),
    (("--replace", "--overwrite", "image.aci"), "--replace and --overwrite exclude each other"),
    (("image.aci", "image.aci"), "image.aci exists (--overwrite replaces it)"),
    (("--manifest=layout/manifest", "--name=a", "image.aci", "o.aci"), "--manifest and --name exclude each other"),
    (("--manifest=layout/manifest", "--seccomp-set=a", "image.aci", "o.aci"),
     "--manifest and --seccomp-set exclude each other"),
    (("--manifest=nowhere", "image.aci", "o.aci"), "nowhere: no such file or directory"),
    (("nowhere.aci", "o.aci"), "nowhere.aci: no such file or directory"),
    (("--capability=A", "--revoke-capability=B", "image.aci", "o.aci"),
     "--capability and --revoke-capability exclude each other"),
    (("--seccomp-mode=retain", "image.aci", "o.aci"), "--seccomp-mode and --seccomp-set go together"),
    (("--remove-label=none", "image.aci", "o.aci"), "--remove-label: the image has no none"),
    (("--ports=p,protocol=tcp,port=70000", "image.aci", "o.aci"),
     "changed manifest: app.ports[0].port: 70000 is not a whole number from 1 to 65535"),
    (("--no-compression", "--compression=gzip", "image.aci", "o.aci"),
     "--no-compression and --compression=gzip exclude each other"),
])
def test_patch_manifest_failures(actool, image, words, line):
    before = Path(image).read_bytes()
    assert actool("patch-manifest", *words) == 1
    assert (actool.out, actool.err) == ("", f"patch-manifest: {line}\n")
    assert sorted(os.listdir()) == ["image.aci", "layout"]
    assert Path(image).read_bytes() == before


def test_a_manifest_file_is_checked(actool, image):
    actool.write("bad.json", {**MANIFEST, "name": 1, "acVersion": "x"})
    assert actool("patch-manifest", "--manifest=bad.json", image, "o.aci") == 1
    assert actool.err.startswith("patch-manifest: manifest bad.json: name: 1 is not ")
    assert '; acVersion: "x" is not ' in actool.err
    assert not os.path.exists("o.aci")


def test_patch_manifest_of_an_image_without_app(actool):
    plain = {key: value for key, value in MANIFEST.items() if key != "app"}
    make_tar("o.aci", ("rootfs", None), ("manifest", json.dumps(plain).encode()))
    assert actool("patch-manifest", "--user=0", "o.aci", "new.aci") == 1
    assert actool.err == "patch-manifest: --user: the image has no app (--exec makes one)\n"
    assert actool("patch-manifest", "--exec=/bin/x", "o.aci", "new.aci") == 1
    assert "app.user: missing" in actool.err and "app.group: missing" in actool.err
    assert actool("patch-manifest", "--exec=/bin/x", "--user=0", "--group=0", "o.aci", "new.aci") == 0
    assert actool.manifest("new.aci")["app"] == {"exec": ["/bin/x"], "user": "0", "group": "0"}


def test_a_broken_manifest_can_be_replaced_but_not_edited(actool):
    make_tar("o.aci", ("rootfs", None), ("manifest", b"{}"))
    assert actool("patch-manifest", "--name=a", "o.aci", "new.aci") == 1
    assert actool.err.startswith("patch-manifest: manifest of o.aci: acKind: missing")
    assert actool.err.endswith("(--manifest=FILE replaces all of it)\n")
    assert actool("patch-manifest", "--manifest=layout/manifest", "o.aci", "new.aci") == 0
    assert actool.manifest("new.aci") == MANIFEST


def test_patch_manifest_of_an_image_that_is_not_valid(actool):
    make_tar("o.aci", ("rootfs", None))
    assert actool("patch-manifest", "--name=a", "o.aci", "new.aci") == 1
    assert actool.err == "patch-manifest: o.aci is no valid image: manifest is missing\n"


@pytest.mark.parametrize("name", compression.COMPRESSIONS)
def test_replace_keeps_the_compression_the_mode_and_the_owner(actool, name):
    assert actool("build", f"--compression={name}", "layout", "o.aci") == 0
    os.chmod("o.aci", 0o640)
    if os.geteuid() == 0:
        os.chown("o.aci", 12, 34)
    before = os.stat("o.aci")
    assert actool("patch-manifest", "--replace", "--user=7", "o.aci") == 0, actool.err
    after = os.stat("o.aci")
    assert kind("o.aci") == name
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino
    assert actool.manifest("o.aci")["app"]["user"] == "7"
    assert sorted(os.listdir()) == ["layout", "o.aci"]
    assert actool("patch-manifest", "--replace", "--no-compression", "o.aci") == 0
    assert kind("o.aci") == "none"


def test_a_replace_that_fails_keeps_the_file(actool, image, monkeypatch):
    before = Path(image).read_bytes()
    seen = []

    def fail(fd):
        seen.extend(name for name in os.listdir() if name.startswith(".actool-tmp.image.aci-"))
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", fail)
    assert actool("patch-manifest", "--replace", "--user=7", image) == 1
    assert actool.err == "patch-manifest: writing image.aci: no space left on device\n"
    assert len(seen) == 1
    assert Path(image).read_bytes() == before
    assert sorted(os.listdir()) == ["image.aci", "layout"]


def test_a_new_output_is_gzip_whatever_the_input_was(actool):
    assert actool("build", "--compression=xz", "layout", "1.aci") == 0
    assert actool("patch-manifest", "1.aci", "2.aci") == 0
    assert kind("2.aci") == "gzip"
    assert actool("patch-manifest", "--compression=zstd", "1.aci", "3.aci") == 0
    assert kind("3.aci") == "zstd"


# --- the manual ---


def test_the_manual_has_every_command_and_flag():
    page = (Path(__file__).parents[4] / "docs/actool.md").read_text()
    for command in COMMANDS:
        assert f"`{command.title}`" in page or f"actool {command.title}" in page
        for option in command.options:
            assert f"`--{option.name}=" in page or f"`--{option.name}`" in page, option.name
