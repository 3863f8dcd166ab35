"""Tiny images, made with `actool build` of busybox and a manifest."""
from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.lib.machine import ACTOOL

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "aarch64", "i686": "i386", "armv7l": "armv7l", "ppc64le": "ppc64le"}


def labels(version: str | None = "1.0") -> list[dict[str, str]]:
    """The labels of an image for this machine."""
    given = {"version": version, "os": "linux", "arch": ARCHITECTURES[os.uname().machine]}
    return [{"name": name, "value": value} for name, value in given.items() if value is not None]


def manifest(name: str, exec: Sequence[str] | None = ("/bin/sh",), version: str | None = "1.0",
             app: Mapping[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """An image manifest; `exec` None: no app. `app` and `fields` add to the app and the image."""
    made: dict[str, Any] = {"acKind": "ImageManifest", "acVersion": "0.8.11", "name": name, "labels": labels(version)}
    if exec is not None:
        made["app"] = {"exec": list(exec), "user": "0", "group": "0", **(app or {})}
    return {**made, **fields}


def busybox_rootfs(rootfs: Path) -> None:
    """Fills a root file system with busybox and all its applets."""
    program = shutil.which("busybox")
    assert program, "busybox-static is missing"
    for directory, mode in ("bin", 0o755), ("etc", 0o755), ("usr", 0o755), ("tmp", 0o1777), ("root", 0o700):
        (rootfs / directory).mkdir(parents=True)
        (rootfs / directory).chmod(mode)
    shutil.copy(program, rootfs / "bin/busybox")
    for applet in subprocess.run([program, "--list"], check=True, capture_output=True, text=True).stdout.split():
        if applet != "busybox":
            (rootfs / "bin" / applet).symlink_to("busybox")
    (rootfs / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"
                                       "web:x:1000:1001::/home/web:/bin/sh\n")
    (rootfs / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\nweb:x:1001:\nextra:x:1002:web\n")


def build(image: Path, image_manifest: Mapping[str, Any], files: Mapping[str, str] | None = None,
          busybox: bool = True) -> Path:
    """Writes an ACI file: busybox, if asked for, and `files` by path in the root file system."""
    with tempfile.TemporaryDirectory() as directory:
        rootfs = Path(directory, "rootfs")
        rootfs.mkdir(mode=0o755)
        if busybox:
            busybox_rootfs(rootfs)
        for path, text in (files or {}).items():
            file = rootfs / path.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            file.chmod(0o755 if text.startswith("#!") else 0o644)
        Path(directory, "manifest").write_text(json.dumps(image_manifest))
        built = subprocess.run([ACTOOL, "build", "--overwrite", directory, image], capture_output=True, text=True)
        assert built.returncode == 0, f"actool build: {built.stderr}"
    return image
