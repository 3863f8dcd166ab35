"""The store: importing, looking, writing out, checking, removing; and what an image keeps from build to run."""
from __future__ import annotations

import json
import os
import re
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.lib import images
from tests.lib.host import Host
from tests.lib.machine import ACTOOL

DATA = "--dir=/var/tmp/images"


@pytest.fixture(scope="module")
def stored(host: Host, busybox: Path) -> str:
    """The ID of the busybox image in a data directory of its own."""
    return host.rkt(DATA, "--insecure-options=image", "fetch", "--full", busybox).ok().stdout.strip()


def test_fetch_prints_the_id(host: Host, busybox: Path, stored: str) -> None:
    tar = subprocess.run(["sh", "-c", f"zcat {busybox} | sha512sum"], check=True, capture_output=True, text=True).stdout
    assert stored == f"sha512-{tar.split()[0]}"
    again = host.rkt(DATA, "--insecure-options=image", "fetch", busybox)
    assert again.stdout == stored[:39] + "\n"


def test_image_list(host: Host, stored: str) -> None:
    header, line = host.rkt(DATA, "image", "list").stdout.splitlines()
    assert re.split(r"\t+| {2,}", header.strip()) == ["ID", "NAME", "SIZE", "IMPORT TIME", "LAST USED"]
    assert line.split()[:2] == [stored[:19], "example.com/busybox:1.0"]
    plain = host.rkt(DATA, "image", "list", "--no-legend", "--full", "--fields=id,name").stdout
    assert plain.split() == [stored, "example.com/busybox:1.0"]
    (image,) = json.loads(host.rkt(DATA, "image", "list", "--format=json").stdout)
    assert (image["id"], image["name"]) == (stored, "example.com/busybox:1.0")
    assert set(image) == {"id", "name", "import_time", "last_used_time", "size"}
    assert image["import_time"] > 1.7e18


def test_cat_manifest(host: Host, stored: str) -> None:
    manifest = json.loads(host.rkt(DATA, "image", "cat-manifest", stored[:15]).stdout)
    assert manifest == images.manifest("example.com/busybox")


def test_export_gives_the_same_image(host: Host, stored: str) -> None:
    output = host.file("export").with_suffix(".aci")
    host.rkt(DATA, "image", "export", "example.com/busybox", output).ok()
    assert f"sha512-{subprocess.run(['sha512sum', output], capture_output=True, text=True).stdout.split()[0]}" == stored
    refused = host.rkt(DATA, "image", "export", "example.com/busybox", output)
    assert refused.returncode == 254 and str(output) in refused.stderr
    host.rkt(DATA, "image", "export", "--overwrite", "example.com/busybox", output).ok()


def test_extract_and_render(host: Host, stored: str) -> None:
    for command in ("extract", "render"):
        directory = host.file(command)
        host.rkt(DATA, "image", command, stored, directory).ok()
        assert sorted(path.name for path in directory.iterdir()) == ["manifest", "rootfs"]
        assert os.readlink(directory / "rootfs/bin/sh") == "busybox"
        host.rkt(DATA, "image", command, "--rootfs-only", "--overwrite", stored, directory).ok()
        assert (directory / "bin/sh").is_symlink()
    assert host.rkt(DATA, "image", "extract", "--overwrite", stored, "/").returncode == 254


def test_verify_finds_a_changed_tree_and_mends_it(host: Host, stored: str) -> None:
    host.rkt(DATA, "run", stored, "--exec=/bin/true").ok()
    assert host.rkt(DATA, "image", "verify", stored).returncode == 0
    host.run("sh", "-c", "echo changed | tee -a /var/tmp/images/cas/tree/*/rootfs/etc/passwd").ok()
    assert host.rkt(DATA, "image", "verify", stored).returncode == 0
    assert "changed" not in host.rkt(DATA, "run", stored, "--exec=/bin/cat", "--", "/etc/passwd").ok().stdout


def test_the_index_is_rebuilt_when_it_is_lost(host: Host, stored: str) -> None:
    host.run("sh", "-c", "rm /var/tmp/images/cas/db/*").ok()
    assert host.rkt(DATA, "run", "example.com/busybox", "--exec=/bin/echo", "--", "here").stdout == "here\n"
    assert host.rkt(DATA, "image", "list", "--no-legend", "--full", "--fields=id").stdout.strip() == stored


def test_a_broken_index_is_rebuilt(host: Host, stored: str) -> None:
    host.run("sh", "-c", "rm /var/tmp/images/cas/db/*; echo garbage >/var/tmp/images/cas/db/index.sqlite").ok()
    assert host.rkt(DATA, "image", "list", "--no-legend", "--full", "--fields=id").stdout.strip() == stored


def test_gc_keeps_what_a_pod_uses(host: Host, busybox: Path, shared: Path) -> None:
    data = "--dir=/var/tmp/images-gc"
    other = images.build(shared / "unused.aci", images.manifest("example.com/unused"))
    host.rkt(data, "--insecure-options=image", "fetch", other).ok()
    pod = host.rkt(data, "--insecure-options=image", "prepare", "--quiet", busybox).ok().stdout.strip()
    host.rkt(data, "image", "gc", "--grace-period=0s").ok()
    assert host.rkt(data, "image", "list", "--no-legend", "--fields=name").stdout.split() == ["example.com/busybox:1.0"]
    assert host.rkt(data, "run-prepared", pod, input=b"echo here").stdout == "here\n"
    host.rkt(data, "rm", pod).ok()
    host.rkt(data, "image", "gc", "--grace-period=0s").ok()
    assert host.run("find", "/var/tmp/images-gc/cas/tree", "-mindepth", "1").stdout == ""


def test_rm(host: Host, shared: Path) -> None:
    data = "--dir=/var/tmp/images-rm"
    image = images.build(shared / "brief.aci", images.manifest("example.com/brief"))
    image_id = host.rkt(data, "--insecure-options=image", "fetch", "--full", image).ok().stdout.strip()
    removed = host.rkt(data, "image", "rm", "example.com/brief")
    assert removed.returncode == 0
    assert removed.stdout == f'successfully removed aci for image: "{image_id}"\n'
    assert host.rkt(data, "image", "list", "--no-legend").stdout == ""
    gone = host.rkt(data, "run", image_id)
    assert gone.returncode == 254 and gone.stderr.count("\n") == 1


def test_a_name_that_is_nowhere_is_one_line(host: Host) -> None:
    missing = host.rkt(DATA, "run", "example.com/none")
    assert (missing.returncode, missing.stdout, missing.stderr.count("\n")) == (254, "", 1)
    assert missing.stderr.startswith("run: ") and "example.com/none" in missing.stderr


def test_a_full_disk(host: Host, busybox: Path, shared: Path) -> None:
    """The store stays usable, and images can be removed."""
    directory = "/var/tmp/small"
    host.run("sh", "-c", f"mkdir {directory}; mount -t tmpfs -o size=12m small {directory}").ok()
    data = f"--dir={directory}"
    host.rkt(data, "--insecure-options=image", "run", busybox, "--exec=/bin/true").ok()
    host.run("sh", "-c", f"dd if=/dev/zero of={directory}/fill bs=64k; true")
    large = images.build(shared / "full.aci", images.manifest("example.com/full"), {"/data": os.urandom(500_000).hex()})
    failed = host.rkt(data, "--insecure-options=image", "fetch", large)
    assert failed.returncode == 254
    assert "no space left on device" in failed.stderr.lower() and failed.stderr.count("\n") == 1
    host.rkt(data, "gc", "--grace-period=0s").ok()
    host.rkt(data, "image", "rm", "example.com/busybox").ok()
    host.run("rm", f"{directory}/fill").ok()
    host.rkt(data, "--insecure-options=image", "run", busybox, "--exec=/bin/true").ok()
    host.run("umount", directory).ok()


def test_what_an_image_keeps_from_build_to_run(host: Host, tmp_path: Path) -> None:
    rootfs = tmp_path / "layout/rootfs"
    images.busybox_rootfs(rootfs)
    data = rootfs / "data"
    data.mkdir()
    long = data / ("n" * 200)
    long.mkdir()
    (long / ("f" * 200)).write_text("long")
    (data / "file").write_text("text")
    os.link(data / "file", data / "hard")
    (data / "symlink").symlink_to("../data/file")
    (data / "ümlaut").write_text("")
    os.mkfifo(data / "fifo")
    os.mknod(data / "null", 0o600 | 0o020000, os.makedev(1, 3))
    os.chown(data / "file", 12, 34)
    (data / "setuid").write_text("")
    (data / "setuid").chmod(0o4755)
    with open(data / "sparse", "wb") as sparse:
        sparse.truncate(50_000_000)
        sparse.seek(30_000_000)
        sparse.write(b"middle")
    os.setxattr(data / "file", "user.note", b"kept")
    capability = bytes.fromhex("0100000200040000000000000000000000000000")   # cap_net_bind_service+ep
    os.setxattr(data / "setuid", "security.capability", capability)
    os.utime(data / "file", (1_500_000_000, 1_500_000_000))
    (tmp_path / "layout/manifest").write_text(json.dumps(images.manifest("example.com/keeps")))
    outputs = []
    for compression in ("gzip", "bzip2", "xz", "zstd", "none"):
        image = host.file(compression).with_suffix(".aci")
        subprocess.run([ACTOOL, "build", f"--compression={compression}", tmp_path / "layout", image], check=True)
        outputs.append(host.rkt("--insecure-options=image", "fetch", "--full", image).ok().stdout)
    assert len(set(outputs)) == 1
    with tarfile.open(image) as tar:
        assert "manifest" in tar.getnames()
    pod = host.shell("example.com/keeps", "cd /data; stat -c '%n %a %u:%g %h %F %Y' file; stat -c '%n %a %F %t:%T' "
                     "setuid null fifo; stat -c '%n %h' hard; readlink symlink; du -k sparse | cut -f1; wc -c <sparse; "
                     "cat n*/f*; echo; echo *mlaut")
    lines = pod.ok().stdout.splitlines()
    assert lines[:6] == ["file 644 12:34 2 regular file 1500000000", "setuid 4755 regular empty file 0:0",
                         "null 600 character special file 1:3", "fifo 644 fifo 0:0", "hard 2", "../data/file"]
    assert int(lines[6]) < 1000
    assert lines[7:] == ["50000000", "long", "ümlaut"]
    rendered = host.file("rendered")
    host.rkt("image", "render", "--rootfs-only", "example.com/keeps", rendered).ok()
    assert os.getxattr(rendered / "data/file", "user.note") == b"kept"
    assert os.getxattr(rendered / "data/setuid", "security.capability") == capability
    assert (rendered / "data/sparse").stat().st_blocks * 512 < 1_000_000


def test_dependencies_are_laid_below(host: Host, shared: Path) -> None:
    base = images.build(shared / "base.aci", images.manifest("example.com/base", None),
                        {"/from": "base", "/base": "base"})
    host.rkt("--insecure-options=image", "fetch", base).ok()
    top = images.build(shared / "top.aci", images.manifest("example.com/top", dependencies=[
        {"imageName": "example.com/base"}], app={"environment": [{"name": "WHO", "value": "top"}]}),
        {"/from": "top"}, busybox=False)
    host.rkt("--insecure-options=image", "fetch", top).ok()
    assert host.shell("example.com/top", "cat /from /base; echo $WHO").stdout == "topbasetop\n"
