"""Images and stores in temporary directories."""
from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from stage0.store.store import Store

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "aarch64", "i686": "i386", "armv7l": "armv7l", "ppc64le": "ppc64le"}
HOST_ARCH = ARCHITECTURES[os.uname().machine]

Make = Callable[..., Path]


def manifest(name: str, version: str | None = "1.0", arch: str = HOST_ARCH, **fields: Any) -> dict[str, Any]:
    """An image manifest for this machine."""
    labels = {"version": version, "os": "linux", "arch": arch}
    return {"acKind": "ImageManifest", "acVersion": "0.8.11", "name": name,
            "labels": [{"name": key, "value": value} for key, value in labels.items() if value is not None], **fields}


def member(name: str, content: str | bytes | None = None, link: str | None = None, hard: str | None = None,
           mode: int | None = None, mtime: int = 1_500_000_000) -> tuple[tarfile.TarInfo, bytes]:
    """A member of an archive, ours: a directory without content, a file, a symlink or a hard link."""
    info = tarfile.TarInfo(name)
    data = content.encode() if isinstance(content, str) else content or b""
    info.type = (tarfile.SYMTYPE if link is not None else tarfile.LNKTYPE if hard is not None
                 else tarfile.DIRTYPE if content is None else tarfile.REGTYPE)
    info.linkname = link or hard or ""
    info.mode = mode if mode is not None else 0o755 if info.isdir() else 0o644
    info.size, info.mtime = len(data), mtime
    info.uid, info.gid = os.getuid(), os.getgid()
    return info, data


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Writes an image file: of `files`, in their order, as path → content, None for a directory, or a member."""
    def write(name: str, files: Mapping[str, Any] | None = None, compression: str = "gz", **fields: Any) -> Path:
        path = tmp_path / f"{name.replace('/', '-')[:40]}-{len(list(tmp_path.iterdir()))}.aci"
        with tarfile.open(path, f"w:{compression}") as tar:
            infos = [member("rootfs")]
            for inside, given in (files or {}).items():
                infos.append(given if isinstance(given, tuple) else member(f"rootfs{inside}", given))
            infos.append(member("manifest", json.dumps(manifest(name, **fields))))
            for info, data in infos:
                tar.addfile(info, io.BytesIO(data))
        return path
    return write


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store(str(tmp_path / "data"))
