"""fetch and the commands below image: output, messages, statuses."""
from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stage0.cli import main
from stage0.store.store import Store
from tests.unit.stage0.store.conftest import HOST_ARCH, Make, manifest

Rkt = Callable[..., tuple[int, str, str]]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "data"))


@pytest.fixture
def rkt(store: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Rkt:
    """Runs rkt in this process: status, stdout, stderr."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()

    def call(*words: object) -> tuple[int, str, str]:
        status = main.main(["--dir", store.layout.data_dir, "--insecure-options=image", *map(str, words)])
        done = capsys.readouterr()
        return status, done.out, done.err
    return call


@pytest.fixture
def app(rkt: Rkt, make: Make) -> str:
    """The ID of an image in the store."""
    status, out, _ = rkt("fetch", "--full", make("example.com/app", {"/etc": None, "/etc/name": "app"}))
    assert status == 0
    return out.strip()


def test_fetch_prints_ids(rkt: Rkt, make: Make) -> None:
    one, two = make("example.com/one"), make("example.com/two")
    status, out, err = rkt("fetch", one, two)
    assert (status, err) == (0, "")
    assert re.fullmatch(r"sha512-[0-9a-f]{32}\nsha512-[0-9a-f]{32}\n", out)
    full = rkt("fetch", "--full", one)[1].strip()
    assert len(full) == 7 + 128 and full.startswith(out.split()[0])
    assert rkt("image", "fetch", "example.com/two:1.0") == (0, out.split()[1] + "\n", "")
    assert rkt("fetch", full[:12])[1] == out.split()[0] + "\n"
    assert rkt("fetch", f"file://{one}")[1] == out.split()[0] + "\n"
    assert rkt("fetch", "cimd:appc:v=0:example.com/two?version=1.0&os=linux")[1] == out.split()[1] + "\n"
    assert rkt("fetch", f"cimd:aci-archive:v=0:file%3A%2F%2F{str(one).replace('/', '%2F')}")[1] == out.split()[0] + "\n"


def test_fetch_makes_the_tree_for_root(rkt: Rkt, store: Store, make: Make) -> None:
    if os.geteuid() != 0:
        pytest.skip("trees are for root")
    base, top = make("example.com/base"), make("example.com/top", dependencies=[{"imageName": "example.com/base"}])
    status, out, err = rkt("fetch", "--full", top)
    assert (status, len(out)) == (0, 7 + 128 + 1)
    assert err == (f'fetch: {top} is in the store, but cannot be run yet: dependency name: "example.com/base" '
                   "and labels: [] is not in the local store\n")
    rkt("fetch", base)
    rkt("fetch", top)
    assert len(store.trees.ids()) == 2


BOTH = "and discovery is not supported yet (rkt fetch FILE brings images in)"


@pytest.mark.parametrize(("words", "message"), [
    (["example.com/none"],
     f'cannot find aci satisfying name: "example.com/none" and labels: [] in the local store, {BOTH}'),
    (["--pull-policy=never", "example.com/none:2"],
     'cannot find aci satisfying name: "example.com/none" and labels: [version=2] in the local store'),
    (["--pull-policy=new", "example.com/none,os=linux"],
     f'cannot find aci satisfying name: "example.com/none" and labels: [os=linux] in the local store, {BOTH}'),
    (["--store-only", "--no-store", "example.com/none"], "--store-only and --no-store exclude each other"),
    (["sha512-abcd"], 'no image IDs found for "sha512-abcd" in the local store'),
    (["sha512-a"], 'image ID "sha512-a" is too short: sha512- and at least 2 hex digits are needed'),
    (["/none.aci"], "/none.aci: no such file or directory"),
    (["./none"], "./none: no such file or directory"),
    (["none.aci"], "none.aci: no such file or directory"),
    (["/"], "/: not a regular file"),
    (["docker://redis"], "docker://redis: registries are not supported yet"),
    (["docker:redis"], "docker:redis: registries are not supported yet"),
    (["cimd:docker:v=0:redis"], "docker://redis: registries are not supported yet"),
    (["https://example.com/a.aci"],
     "https://example.com/a.aci: URLs are not supported yet (fetch the file by other means, then rkt fetch FILE)"),
    (["http://example.com/a"], "http://example.com/a: the URL of an image ends in .aci"),
    (["file:///a"], "file:///a: the URL of an image ends in .aci"),
    (["file://a.aci"], "file://a.aci: a file URL has three slashes and an absolute path"),
    (["cimd:appc:v=1:x"], "cimd:appc:v=1:x: not a distribution URI that rkt knows (cimd:appc:v=0:NAME?LABEL=VALUE, "
                          "cimd:aci-archive:v=0:URL, cimd:docker:v=0:REFERENCE)"),
    (["example.com/a:1:2"], 'image name "example.com/a:1:2": a second colon'),
])
def test_what_cannot_be_fetched(rkt: Rkt, words: list[str], message: str) -> None:
    assert rkt("fetch", *words) == (254, "", f"fetch: {message}\n")


def test_a_file_needs_its_check_switched_off(store: Store, make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    path = make("example.com/app")
    assert main.main(["--dir", store.layout.data_dir, "fetch", str(path)]) == 254
    assert capsys.readouterr().err == (
        f"fetch: {path}: signatures cannot be checked yet (--insecure-options=image skips the check)\n")


def test_what_is_no_image(rkt: Rkt, tmp_path: Path) -> None:
    (tmp_path / "text.aci").write_text("text")
    status, out, err = rkt("fetch", tmp_path / "text.aci")
    assert (status, out) == (254, "") and err.startswith(f"fetch: import of {tmp_path}/text.aci: ")
    assert err.count("\n") == 1


def test_list(rkt: Rkt, make: Make) -> None:
    assert rkt("image", "list") == (0, "ID\tNAME\tSIZE\tIMPORT TIME\tLAST USED\n", "")
    assert rkt("image", "list", "--no-legend") == (0, "", "")
    assert rkt("image", "list", "--format=json") == (0, "[]\n", "")
    old = rkt("fetch", "--full", make("example.com/b", {"/big": os.urandom(50_000).hex()}))[1].strip()
    new = rkt("fetch", "--full", make("example.com/a", version=None))[1].strip()
    _, out, _ = rkt("image", "list")
    assert [re.split(r"\t+", line)[:2] for line in out.splitlines()] == [
        ["ID", "NAME"], [old[:19], "example.com/b:1.0"], [new[:19], "example.com/a"]]
    assert re.split(r"\t+", out.splitlines()[1])[3:] in (["now", "now"], ["1 second ago", "now"])
    for words, expected in (
        (["--sort=name"], [new, old]), (["--order=desc"], [new, old]), (["--sort=size"], [new, old]),
        (["--sort=lastused", "--order=asc"], [old, new]), (["--sort=importtime"], [old, new]),
    ):
        assert rkt("image", "list", "--no-legend", "--full", "--fields=id", *words)[1].split() == expected
    (first, second) = json.loads(rkt("image", "list", "--format=json")[1])
    assert list(first) == ["id", "name", "import_time", "last_used_time", "size"]
    assert (first["id"], first["name"], second["name"]) == (old, "example.com/b:1.0", "example.com/a")
    assert rkt("image", "list", "--format=json-pretty")[1].startswith('[\n\t{\n\t\t"id": ')
    line = rkt("image", "list", "--no-legend", "--full", "--fields=size,importtime,name")[1].splitlines()[0]
    size, imported, name = re.split(r"\t+", line)
    assert int(size) == first["size"] > 50_000
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,3})? \+0000 UTC", imported) and name == first["name"]


def test_list_with_an_unknown_column(rkt: Rkt) -> None:
    assert rkt("image", "list", "--fields=id,latest") == (
        254, "", 'image: --fields: there is no column "latest", only id, name, size, importtime, lastused\n')


def test_cat_manifest(rkt: Rkt, app: str) -> None:
    status, out, _ = rkt("image", "cat-manifest", "example.com/app")
    assert (status, json.loads(out)) == (0, manifest("example.com/app"))
    assert out.startswith('{\n\t"acKind": "ImageManifest",\n')
    assert rkt("image", "cat-manifest", "--pretty-print=false", app[:10])[1].count("\n") == 1
    assert rkt("image", "cat-manifest", "example.com/none") == (
        254, "", 'image: cannot find aci satisfying name: "example.com/none" and labels: [] in the local store\n')


def test_export(rkt: Rkt, app: str, tmp_path: Path) -> None:
    output = tmp_path / "out.aci"
    assert rkt("image", "export", "example.com/app", output) == (0, "", "")
    assert f"sha512-{hashlib.sha512(output.read_bytes()).hexdigest()}" == app
    assert rkt("image", "export", app, output) == (
        254, "", f"image: {output} exists (--overwrite replaces it)\n")
    assert rkt("image", "export", "--overwrite", app, output) == (0, "", "")
    assert rkt("image", "export", app, tmp_path / "out.tar") == (
        254, "", f"image: {tmp_path}/out.tar: the name of an image file ends in .aci\n")


@pytest.mark.parametrize("command", ["extract", "render"])
def test_writing_to_a_directory(rkt: Rkt, app: str, tmp_path: Path, command: str) -> None:
    target = tmp_path / "out"
    assert rkt("image", command, app, target) == (0, "", "")
    assert sorted(os.listdir(target)) == ["manifest", "rootfs"]
    assert (target / "rootfs/etc/name").read_text() == "app"
    assert json.loads((target / "manifest").read_text())["name"] == "example.com/app"
    assert rkt("image", command, app, target) == (254, "", f"image: {target} exists (--overwrite replaces it)\n")
    assert rkt("image", command, "--overwrite", "--rootfs-only", app, target) == (0, "", "")
    assert os.listdir(target) == ["etc"]
    assert rkt("image", command, "--overwrite", app, "/") == (
        254, "", "image: /: refusing to write an image over the root directory\n")
    assert [name for name in os.listdir(tmp_path) if name.startswith(".")] == []


def test_extract_leaves_dependencies_and_lists_aside(rkt: Rkt, make: Make, tmp_path: Path) -> None:
    rkt("fetch", make("example.com/base", {"/base": "base"}))
    rkt("fetch", make("example.com/top", {"/top": "top", "/more": "more"}, pathWhitelist=["/top", "/base"],
                      dependencies=[{"imageName": "example.com/base"}]))
    rkt("image", "extract", "--rootfs-only", "example.com/top", tmp_path / "extracted")
    assert sorted(os.listdir(tmp_path / "extracted")) == ["more", "top"]
    rkt("image", "render", "--rootfs-only", "example.com/top", tmp_path / "rendered")
    assert sorted(os.listdir(tmp_path / "rendered")) == ["base", "top"]


def test_rm(rkt: Rkt, app: str, make: Make) -> None:
    other = rkt("fetch", "--full", make("example.com/other"))[1].strip()
    status, out, err = rkt("image", "rm", "example.com/app", "example.com/none", other)
    assert status == 254
    assert out == "".join(f'successfully removed aci for image: "{image_id}"\n' for image_id in (app, other))
    assert err == ('image: cannot find aci satisfying name: "example.com/none" and labels: [] in the local store\n'
                   "image: 2 image(s) successfully removed\nimage: 1 image(s) cannot be removed\n")
    assert rkt("image", "list", "--no-legend") == (0, "", "")
    status, out, err = rkt("image", "rm", "sha512-ffff")
    assert (status, out) == (254, "")
    assert err == ('image: no image IDs found for "sha512-ffff" in the local store\n'
                   "image: 1 image(s) cannot be removed\n")


def test_verify(rkt: Rkt, app: str, store: Store) -> None:
    if os.geteuid() != 0:
        pytest.skip("trees are for root")
    done = f'successfully verified checksum for image: "example.com/app" ("{app}")\n'
    assert rkt("image", "verify", "example.com/app") == (0, done, "")
    Path(store.tree(app).rootfs, "etc/name").write_text("changed")
    status, out, err = rkt("image", "verify", "example.com/app")
    assert (status, out) == (0, done)
    assert re.fullmatch(r"image: tree cache verification failed for image example\.com/app: expected hash \S+, "
                        r"found \S+; rebuilt\n", err)
    assert rkt("image", "verify", "example.com/app") == (0, done, "")
    store.trees.remove(store.tree_id(app))
    assert rkt("image", "verify", app) == (
        0, "", f'image: image "{app}" ("{app}") is not rendered, there is nothing to verify\n')


def test_gc(rkt: Rkt, app: str, store: Store) -> None:
    status, out, err = rkt("image", "gc")
    tree = f'image: removed treestore "deps-{app}"\n' if os.geteuid() == 0 else ""
    assert (status, out, err) == (0, "", f"{tree}image: 0 image(s) removed, kept: 1 used within the grace period\n")
    assert rkt("image", "gc", "--grace-period=0s") == (
        0, f'successfully removed aci for image: "{app}"\n', "image: 1 image(s) removed\n")
    assert rkt("image", "gc") == (0, "", "image: 0 image(s) removed\n")


def test_the_image_for_this_machine_wins(rkt: Rkt, make: Make) -> None:
    here = rkt("fetch", "--full", make("example.com/app", arch=HOST_ARCH))[1]
    rkt("fetch", make("example.com/app", arch="s390x"))
    assert rkt("fetch", "--full", "example.com/app")[1] == here
