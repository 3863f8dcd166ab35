"""The store: what comes in, how it is found, what goes out."""
from __future__ import annotations

import fcntl
import gzip
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stage0.store import collecting, importing
from stage0.store.layout import Staging, StoreError
from stage0.store.store import Store
from stage2 import errors
from tests.unit.stage0.store.conftest import HOST_ARCH, Make, member

CHECKOUT = Path(__file__).parents[4]


def files_of(directory: Path) -> dict[str, str | None]:
    """What is in a directory: path → content, None for a directory, `-> TARGET` for a link."""
    found: dict[str, str | None] = {}
    for path in sorted(directory.rglob("*")):
        name = str(path.relative_to(directory))
        found[name] = f"-> {os.readlink(path)}" if path.is_symlink() else None if path.is_dir() else path.read_text()
    return found


def imported(store: Store, path: Path) -> str:
    return store.import_file(str(path), unpack=True)


def leftovers(store: Store) -> list[str]:
    return sorted(os.listdir(f"{store.layout.cas}/tmp"))


def test_an_import_keeps_the_file_and_makes_the_tree(store: Store, make: Make) -> None:
    path = make("example.com/app", {"/etc": None, "/etc/name": "app", "/link": member("rootfs/link", link="etc/name")})
    image_id = imported(store, path)
    assert image_id == f"sha512-{hashlib.sha512(gzip.decompress(path.read_bytes())).hexdigest()}"
    assert Path(store.layout.blob(image_id)).read_bytes() == path.read_bytes()
    assert store.manifest(image_id).name == "example.com/app"
    tree = store.tree(image_id)
    assert tree.id == f"deps-{image_id}"
    assert files_of(Path(tree.rootfs)) == {"etc": None, "etc/name": "app", "link": "-> etc/name"}
    beside = Path(tree.rootfs).parent
    assert sorted(path.name for path in beside.iterdir()) == ["hash", "image", "manifest", "rendered", "rootfs"]
    assert (beside / "image").read_text() == image_id
    assert json.loads((beside / "manifest").read_text())["name"] == "example.com/app"
    assert leftovers(store) == []


def test_modes_of_the_directories(store: Store, make: Make) -> None:
    image_id = imported(store, make("example.com/app"))
    modes = {name: os.stat(f"{store.layout.data_dir}/{name}").st_mode & 0o7777
             for name in ("", "cas", "cas/blob", "cas/imageManifest", "cas/db", "cas/tmp", "cas/imagelocks",
                          "cas/tree", "cas/treestorelocks") if os.path.exists(f"{store.layout.data_dir}/{name}")}
    assert modes == {"": 0o2750, "cas": 0o2770, "cas/blob": 0o2770, "cas/imageManifest": 0o2770, "cas/tmp": 0o2770,
                     "cas/imagelocks": 0o2770, "cas/tree": 0o2700, "cas/treestorelocks": 0o2700}
    assert os.stat(store.layout.blob(image_id)).st_mode & 0o7777 == 0o640
    assert os.stat(store.tree(image_id).rootfs).st_mode & 0o7777 == 0o755


def test_an_unchanged_file_is_not_read_again(store: Store, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make("example.com/app")
    image_id = imported(store, path)
    monkeypatch.setattr(importing, "_take_in", lambda *_: pytest.fail("the file is read again"))
    assert imported(Store(store.layout.data_dir), path) == image_id


def test_a_changed_file_is_read_again(store: Store, make: Make) -> None:
    path = make("example.com/app", {"/version": "1"})
    first = imported(store, path)
    shutil.copyfile(make("example.com/app", {"/version": "2"}), path)
    second = imported(store, path)
    assert first != second
    assert (Path(store.tree(second).rootfs) / "version").read_text() == "2"


def test_a_file_whose_image_was_removed_is_read_again(store: Store, make: Make) -> None:
    path = make("example.com/app")
    image_id = imported(store, path)
    store.remove(image_id)
    assert imported(store, path) == image_id
    assert store.resolve("example.com/app") == image_id


def test_what_is_no_image_leaves_nothing(store: Store, tmp_path: Path, make: Make) -> None:
    text = tmp_path / "text.aci"
    text.write_text("hello")
    with pytest.raises(StoreError) as caught:
        imported(store, text)
    assert errors.line(caught.value).startswith(f"import of {text}: ")
    whole = make("example.com/cut", {"/data": os.urandom(100_000).hex()})
    cut = tmp_path / "cut.aci"
    cut.write_bytes(whole.read_bytes()[:50_000])
    with pytest.raises(StoreError, match=f"^import of {cut}$"):
        imported(store, cut)
    with pytest.raises(StoreError, match=f"^{tmp_path}: not a regular file$"):
        imported(store, tmp_path)
    with pytest.raises(FileNotFoundError):
        imported(store, tmp_path / "none.aci")
    Store(store.layout.data_dir).clean()
    assert leftovers(store) == [] and store.images() == []


def test_resolving_an_id(store: Store, make: Make) -> None:
    image_id = imported(store, make("example.com/app"))
    for digits in (2, 3, 12, 32, 64, 128):
        assert store.resolve(image_id[:7 + digits]) == image_id
    assert store.resolve(image_id[:20].upper()) == image_id
    for word, message in (
        ("sha512-a", 'image ID "sha512-a" is too short: sha512- and at least 2 hex digits are needed'),
        ("sha512-xyz", '"sha512-xyz" is not an image ID: sha512- and up to 128 hex digits'),
        (f"{image_id}0", f'"{image_id}0" is not an image ID: sha512- and up to 128 hex digits'),
    ):
        with pytest.raises(StoreError) as caught:
            store.resolve(word)
        assert str(caught.value) == message
    other = "sha512-" + ("0" if image_id[7] != "0" else "1") * 2
    with pytest.raises(StoreError, match=f'^no image IDs found for "{other}" in the local store$'):
        store.resolve(other)


def test_an_ambiguous_id(store: Store) -> None:
    for last in "ab":
        image_id = "sha512-" + "12" * 63 + "0" + last
        for path in (store.layout.manifest(image_id), store.layout.blob(image_id)):
            store.layout.parent(path)
            Path(path).touch()
    with pytest.raises(StoreError, match=r'^ambiguous image ID "sha512-1212": 2 images begin so \(give more digits\)$'):
        store.resolve("sha512-1212")


def test_resolving_a_name(store: Store, make: Make) -> None:
    old = imported(store, make("example.com/app", version="2.0"))
    new = imported(store, make("example.com/app", version="1.0"))
    os.utime(store.layout.blob(old), (1, 1))
    foreign = imported(store, make("example.com/app", version="3.0", arch="s390x"))
    assert store.resolve("example.com/app") == new
    assert store.resolve("example.com/app:2.0") == old
    assert store.resolve(f"example.com/app,version=2.0,os=linux,arch={HOST_ARCH}") == old
    assert store.resolve("example.com/app,arch=s390x") == foreign
    assert store.resolve("example.com/app:3.0") == foreign
    with pytest.raises(StoreError) as caught:
        store.resolve("example.com/app:4.0")
    assert str(caught.value) == ('cannot find aci satisfying name: "example.com/app" and labels: [version=4.0] '
                                 "in the local store")
    with pytest.raises(StoreError, match="^cannot find aci satisfying name: \"example.com/ap\" and labels: "):
        store.resolve("example.com/ap")


@pytest.mark.parametrize(("word", "message"), [
    ("example.com/app:", 'image name "example.com/app:": there is no version behind the colon'),
    ("example.com/app:1:2", 'image name "example.com/app:1:2": a second colon'),
    ("example.com/app,os", 'image name "example.com/app,os": "os" is not LABEL=VALUE'),
    ("example.com/app,name=x", 'image name "example.com/app,name=x": a label cannot be called "name"'),
    ("example.com/app:1,version=1", 'image name "example.com/app:1,version=1": the label version is given twice'),
])
def test_what_is_no_name(store: Store, word: str, message: str) -> None:
    with pytest.raises(StoreError) as caught:
        store.resolve(word)
    assert str(caught.value) == message


def test_an_upper_case_name_is_refused(store: Store) -> None:
    with pytest.raises(StoreError) as caught:
        store.resolve("Example.com/App")
    assert errors.line(caught.value).startswith('image name "Example.com/App": ')


def test_escaped_labels_and_other_names_of_architectures(store: Store, make: Make) -> None:
    image_id = imported(store, make("example.com/app", version="1+2,3"))
    assert store.resolve("example.com/app:1%2B2%2C3") == image_id
    if HOST_ARCH == "amd64":
        assert store.resolve("example.com/app,os=linux,arch=x86_64") == image_id


def test_the_list(store: Store, make: Make) -> None:
    assert store.images() == []
    first = imported(store, make("example.com/b", {"/data": "x" * 10_000}))
    second = imported(store, make("example.com/a", version=None))
    one, two = store.images()
    assert (one.id, one.title, one.labels["version"]) == (first, "example.com/b:1.0", "1.0")
    assert (two.id, two.title) == (second, "example.com/a")
    assert one.size_bytes >= os.path.getsize(store.layout.blob(first)) + 10_000
    assert abs(one.imported_ns - time.time_ns()) < 60e9 and one.used_ns >= one.imported_ns


def test_use_is_noted(store: Store, make: Make) -> None:
    image_id = imported(store, make("example.com/app"))
    os.utime(store.layout.image_lock(image_id), (1, 1))
    store.tree(image_id)
    assert time.time_ns() - store.images()[0].used_ns < 60e9
    os.unlink(store.layout.image_lock(image_id))
    store.touch(image_id)


@pytest.mark.parametrize("damage", ["gone", "garbage", "empty", "truncated", "other"])
def test_the_index_is_made_again(store: Store, make: Make, damage: str) -> None:
    ids = [imported(store, make(f"example.com/{name}")) for name in "abc"]
    expected = store.images()
    index = Path(store.layout.cas, "db/index.sqlite")
    if damage == "gone":
        shutil.rmtree(index.parent)
    elif damage == "other":
        index.unlink()
        with sqlite3.connect(index) as database:
            database.execute("CREATE TABLE other (a)")
            database.execute("PRAGMA user_version = 1")
    else:
        index.write_bytes({"garbage": b"garbage" * 1000, "empty": b""}.get(damage, index.read_bytes()[:5000]))
    assert store.images() == expected
    assert [image.id for image in Store(store.layout.data_dir).images()] == ids
    with sqlite3.connect(index) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert database.execute("SELECT count(*) FROM image").fetchone() == (3,)


def test_an_index_of_a_later_rkt_is_left_alone(store: Store, make: Make) -> None:
    imported(store, make("example.com/a"))
    store.images()
    index = Path(store.layout.cas, "db/index.sqlite")
    with sqlite3.connect(index) as database:
        database.execute("PRAGMA user_version = 99")
    assert [image.name for image in store.images()] == ["example.com/a"]
    with sqlite3.connect(index) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (99,)


def test_names_that_were_lost_come_back(store: Store, make: Make) -> None:
    image_id = imported(store, make("example.com/app"))
    store.images()
    shutil.rmtree(f"{store.layout.cas}/names")
    assert store.resolve("example.com/app") == image_id
    shutil.rmtree(f"{store.layout.cas}/names")
    shutil.rmtree(f"{store.layout.cas}/db")
    assert Store(store.layout.data_dir).resolve("example.com/app") == image_id


def test_a_name_longer_than_a_file_name(store: Store, make: Make) -> None:
    name = "example.com/" + "a" * 300
    image_id = imported(store, make(name))
    assert store.resolve(name) == image_id


def test_remove(store: Store, make: Make) -> None:
    image_id = imported(store, make("example.com/app"))
    other = imported(store, make("example.com/app", version="2.0"))
    store.images()
    store.remove(image_id)
    assert [image.id for image in store.images()] == [other]
    left = [path for path in Path(store.layout.cas).rglob("*") if image_id[7:] in path.name]
    assert left == []
    with pytest.raises(StoreError):
        store.resolve(image_id)


def use(store: Store, uuid: str, image_id: str, tree: str, state: str = "prepared") -> Path:
    """A pod with one app of an image."""
    pod = Path(store.layout.data_dir, "pods", state, uuid)
    (pod / "appsinfo/app").mkdir(parents=True)
    (pod / "appsinfo/app/imageID").write_text(image_id)
    (pod / "appsinfo/app/treeStoreID").write_text(tree)
    (pod / "overlay" / tree).mkdir(parents=True)
    return pod


UUID = "6733c088-a507-4694-aabf-a0e2d8a2f2a1"


@pytest.mark.parametrize("state", ["prepare", "prepared", "run", "exited-garbage"])
def test_trees_that_pods_use_stay(store: Store, make: Make, state: str) -> None:
    image_id = imported(store, make("example.com/app"))
    tree = store.tree(image_id)
    use(store, UUID, image_id, tree.id, state)
    collected = collecting.collect(store, 0)
    assert (collected.trees, collected.images, collected.used_by_pods) == ((), (), 1)
    store.remove(image_id)
    assert os.path.isdir(tree.rootfs) and store.images() == []
    shutil.rmtree(f"{store.layout.data_dir}/pods")
    assert collecting.collect(store, 0).trees == (tree.id,)
    assert not os.path.exists(tree.rootfs)


def test_collect(store: Store, make: Make) -> None:
    base = imported(store, make("example.com/base"))
    top = imported(store, make("example.com/top", dependencies=[{"imageName": "example.com/base"}]))
    idle = imported(store, make("example.com/idle"))
    top_tree = store.tree(top).id
    for image_id in (base, idle):
        os.utime(store.layout.image_lock(image_id), (1, 1))
    collected = collecting.collect(store, 3600)
    assert set(collected.trees) == {f"deps-{base}", f"deps-{idle}", top_tree}
    assert (collected.images, collected.used_lately, collected.needed_by_images) == ((idle,), 1, 1)
    assert collecting.collect(store, 0).images == tuple(sorted((base, top)))
    assert [path for path in Path(store.layout.cas).rglob("*") if path.is_file() and "db" not in path.parts] == []


def test_dependencies(store: Store, make: Make) -> None:
    base = imported(store, make("example.com/base", {"/from": "base", "/base": "base", "/dir": None, "/dir/b": "b"}))
    top = imported(store, make("example.com/top", {"/from": "top", "/dir": None, "/dir/t": "t"},
                               dependencies=[{"imageName": "example.com/base", "imageID": base}]))
    tree = store.tree(top)
    assert tree.id == f"deps-sha512-{hashlib.sha512(f'{top},{base}'.encode()).hexdigest()}"
    assert files_of(Path(tree.rootfs)) == {
        "base": "base", "dir": None, "dir/b": "b", "dir/t": "t", "from": "top"}
    assert store.tree(top) == tree


def test_a_missing_dependency(store: Store, make: Make) -> None:
    labels = [{"name": "version", "value": "3"}]
    top = imported(store, make("example.com/top", dependencies=[{"imageName": "example.com/none", "labels": labels}]))
    with pytest.raises(StoreError) as caught:
        store.tree(top)
    assert str(caught.value) == (
        'dependency name: "example.com/none" and labels: [version=3] is not in the local store')


def test_a_damaged_blob_is_found_when_it_is_unpacked(store: Store, make: Make) -> None:
    image_id = imported(store, make("example.com/app", {"/a": "a"}))
    other = make("example.com/app", {"/a": "b"})
    store.trees.remove(f"deps-{image_id}")
    shutil.copyfile(other, store.layout.blob(image_id))
    with pytest.raises(StoreError, match=f"^image {image_id[:39]} is damaged in the store"):
        store.tree(image_id)
    assert store.trees.ids() == [] and leftovers(store) == []


def test_verify(store: Store, make: Make) -> None:
    image_id = imported(store, make("example.com/app", {"/a": "a"}))
    tree = store.tree(image_id)
    assert collecting.verify(store, image_id).reason is None
    Path(tree.rootfs, "a").write_text("changed")
    check = collecting.verify(store, image_id)
    assert check.is_rendered and check.reason is not None
    assert Path(tree.rootfs, "a").read_text() == "a"
    assert collecting.verify(store, image_id).reason is None
    store.trees.remove(tree.id)
    assert not collecting.verify(store, image_id).is_rendered


def test_verify_does_not_pull_a_tree_from_under_a_running_pod(store: Store, make: Make) -> None:
    image_id = imported(store, make("example.com/app", {"/a": "a"}))
    tree = store.tree(image_id)
    Path(tree.rootfs, "a").write_text("changed")
    pod = use(store, UUID, image_id, tree.id, "run")
    fd = os.open(pod, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    with pytest.raises(StoreError, match=rf"and pods run on it \(rkt stop {UUID}, then verify again\)$"):
        collecting.verify(store, image_id)
    os.close(fd)
    assert collecting.verify(store, image_id).reason is not None


def test_a_tree_without_its_mark_is_made_again(store: Store, make: Make) -> None:
    image_id = imported(store, make("example.com/app", {"/a": "a"}))
    tree = store.tree(image_id)
    os.unlink(f"{os.path.dirname(tree.rootfs)}/rendered")
    os.unlink(f"{tree.rootfs}/a")
    assert Path(store.tree(image_id).rootfs, "a").read_text() == "a"


def test_leftovers_of_a_crash_are_cleaned_and_work_under_way_is_not(store: Store, make: Make) -> None:
    with Staging(store.layout) as staging:
        Path(staging.path, "blob").write_text("half")
        crashed = Path(store.layout.cas, "tmp", "crashed")
        (crashed / "tree/rootfs").mkdir(parents=True)
        Path(store.layout.cas, "tmp", "lock-1-2").touch()
        os.symlink("nowhere", f"{store.layout.cas}/tmp/source-1")
        imported(store, make("example.com/app"))
        assert leftovers(store) == [os.path.basename(staging.path)]
    assert leftovers(store) == []


def test_an_import_that_was_cut_short_is_repeated(store: Store, make: Make) -> None:
    path = make("example.com/app")
    image_id = imported(store, path)
    os.unlink(store.layout.manifest(image_id))
    assert not store.blobs.has(image_id)
    store.clean()
    assert not os.path.exists(store.layout.blob(image_id)) and os.listdir(f"{store.layout.cas}/names") == []
    assert imported(store, path) == image_id and store.resolve("example.com/app") == image_id


def test_fetching_without_root_makes_no_tree(store: Store, make: Make) -> None:
    image_id = store.import_file(str(make("example.com/app")), unpack=False)
    assert not os.path.exists(f"{store.layout.cas}/tree")
    assert store.manifest(image_id).name == "example.com/app"


def test_layers_on_disk(store: Store, make: Make) -> None:
    """Whole images: a hard link to a file that an image above replaces keeps its content; lists; replaced types."""
    low = imported(store, make("example.com/low", {
        "/a": "low a", "/b": member("rootfs/b", hard="rootfs/a"), "/dir": member("rootfs/dir", mode=0o700),
        "/dir/low": "low", "/gone": None, "/gone/x": "x", "/listed": "low", "/unlisted": "low"}))
    imported(store, make("example.com/middle", {"/listed": "middle", "/unlisted": "middle", "/dir/middle": "middle"},
                         dependencies=[{"imageName": "example.com/low"}], pathWhitelist=[
                             "/listed", "/dir", "/dir/middle", "/dir/low", "/a", "/b", "/gone", "/gone/x"]))
    top = imported(store, make("example.com/top", {"/a": "top a", "/gone": member("rootfs/gone", link="dir")},
                               dependencies=[{"imageName": "example.com/middle"}]))
    rootfs = Path(store.tree(top).rootfs)
    assert files_of(rootfs) == {
        "a": "top a", "b": "low a", "dir": None, "dir/low": "low", "dir/middle": "middle", "gone": "-> dir",
        "listed": "middle"}
    assert (rootfs / "dir").stat().st_mode & 0o777 == 0o700
    assert (rootfs / "dir").stat().st_mtime == 1_500_000_000
    low_root = Path(store.tree(low).rootfs)
    assert (low_root / "a").stat().st_ino == (low_root / "b").stat().st_ino
    assert collecting.verify(store, top).reason is None


def test_a_list_of_paths_without_dependencies(store: Store, make: Make) -> None:
    image_id = imported(store, make("example.com/app", {"/kept": "1", "/dropped": "2", "/dir": None, "/dir/x": "3"},
                                    pathWhitelist=["/kept"]))
    assert files_of(Path(store.tree(image_id).rootfs)) == {"dir": None, "kept": "1"}


def test_many_imports_of_one_file_at_once_read_it_once(store: Store, make: Make) -> None:
    path = make("example.com/app", {"/data": os.urandom(1_000_000).hex()})
    script = (f"from stage0.store import importing\nfrom stage0.store.store import Store\n"
              f"inner = importing._take_in\n"
              f"importing._take_in = lambda *given: print('read') or inner(*given)\n"
              f"store = Store({store.layout.data_dir!r})\n"
              f"print(store.tree(store.import_file({str(path)!r}, unpack=True)).id)")
    running = [subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=CHECKOUT)
               for _ in range(6)]
    outputs = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0] * 6
    assert sum("read" in output for output in outputs) == 1
    assert len({output.splitlines()[-1] for output in outputs}) == 1
    assert leftovers(store) == []


def test_a_tree_is_rendered_once_for_many(store: Store, make: Make) -> None:
    imported(store, make("example.com/base", {"/data": os.urandom(500_000).hex()}))
    top = imported(store, make("example.com/top", dependencies=[{"imageName": "example.com/base"}]))
    script = (f"from stage0.store import importing\nfrom stage0.store.store import Store\n"
              f"inner = importing.render\n"
              f"importing.render = lambda *given: print('rendered') or inner(*given)\n"
              f"Store({store.layout.data_dir!r}).tree({top!r})")
    running = [subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=CHECKOUT)
               for _ in range(6)]
    assert sorted(process.communicate()[0] for process in running) == [""] * 5 + ["rendered\n"]


@pytest.mark.parametrize("point", [
    "store-staging-made", "store-unpacked", "store-tree-ready", "store-tree-placed", "store-name-noted",
    "store-blob-placed", "store-manifest-placed"])
def test_a_kill_while_importing(store: Store, make: Make, point: str) -> None:
    path = make("example.com/app", {"/a": "a"})
    killed = run_killed(store, point, f"store.import_file({str(path)!r}, unpack=True)")
    assert killed == -9
    image_id = imported(Store(store.layout.data_dir), path)
    assert [image.id for image in store.images()] == [image_id]
    assert files_of(Path(store.tree(image_id).rootfs)) == {"a": "a"}
    assert leftovers(store) == []


@pytest.mark.parametrize(("point", "code"), [
    ("store-image-unlinked", "store.remove(image_id)"), ("store-image-unlinked:2", "store.remove(image_id)"),
    ("store-tree-doomed", "store.remove(image_id)"), ("store-tree-doomed", "collecting.collect(store, 0)"),
    ("store-image-unlinked", "collecting.collect(store, 0)"),
])
def test_a_kill_while_removing(store: Store, make: Make, point: str, code: str) -> None:
    path = make("example.com/app", {"/a": "a"})
    image_id = imported(store, path)
    killed = run_killed(store, point, f"image_id = {image_id!r}\nfrom stage0.store import collecting\n{code}")
    assert killed == -9
    store = Store(store.layout.data_dir)
    listed = [image.id for image in store.images()]
    assert listed in ([], [image_id])
    if listed:
        assert files_of(Path(store.tree(image_id).rootfs)) == {"a": "a"}
    collecting.collect(store, 0)
    assert [path for path in Path(store.layout.cas).rglob("*") if path.is_file() and "db" not in path.parts
            and not path.parent.name.endswith("locks")] == []
    assert imported(store, path) == image_id


def run_killed(store: Store, point: str, code: str) -> int:
    """The status of a process with a store that is killed at a point."""
    store.layout.directory("")
    Path(store.layout.data_dir, ".fault-injection").touch()
    script = f"from stage0.store.store import Store\nstore = Store({store.layout.data_dir!r})\n{code}"
    return subprocess.run([sys.executable, "-c", script], cwd=CHECKOUT,
                          env={**os.environ, "RKT_TEST_KILL_AT": point}).returncode


def test_an_index_that_cannot_be_written_is_made_in_memory(tmp_path: Path) -> None:
    from stage0.store.index import Row, rows

    def describe(image_id: str) -> Row | None:
        return None if image_id == "unreadable" else Row(image_id, "example.com/app", {"version": "1"})

    expected = [Row("a", "example.com/app", {"version": "1"})]
    assert rows(str(tmp_path / "none/index.sqlite"), ["a", "unreadable"], describe) == expected
    assert rows(str(tmp_path / "index.sqlite"), ["a", "unreadable"], describe) == expected
    assert rows(str(tmp_path / "index.sqlite"), ["a"], lambda _: pytest.fail("it is in the index")) == expected
    assert rows(str(tmp_path / "index.sqlite"), [], describe) == []


def test_staging_and_cleaning_at_once(store: Store) -> None:
    cleaner = subprocess.Popen([sys.executable, "-c", "from stage0.store.layout import Layout\n"
                                f"while True: Layout({store.layout.data_dir!r}).clean()"], cwd=CHECKOUT)
    try:
        for _ in range(500):
            with Staging(store.layout) as staging:
                Path(staging.path, "file").write_text("here")
                time.sleep(0.0005)
                assert os.listdir(staging.path) == ["file"]
    finally:
        cleaner.kill()
        cleaner.wait()
    assert leftovers(store) == []
