"""The run record."""
from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from stage2 import record
from stage2.record import App, Mount, Record, RecordError

TEXTS = some.text(some.characters(exclude_categories=["Cs"]), max_size=8)
WORDS = some.lists(TEXTS, max_size=3).map(tuple)
NUMBERS = some.integers(0, (1 << 64) - 1)
FLAGS = some.booleans()
MOUNTS = some.builds(Mount, source=TEXTS, target=TEXTS, kind=TEXTS, flags=NUMBERS, data=TEXTS)
APPS = some.builds(
    App, name=TEXTS, exec=WORDS, environment=some.lists(some.tuples(TEXTS, TEXTS), max_size=3).map(tuple),
    working_directory=TEXTS, uid=NUMBERS, gid=NUMBERS, groups=some.lists(NUMBERS, max_size=2).map(tuple), umask=NUMBERS,
    capabilities=NUMBERS, no_new_privileges=FLAGS, seccomp=WORDS, read_only_rootfs=FLAGS,
    mounts=some.lists(MOUNTS, max_size=2).map(tuple), masked_paths=WORDS, read_only_paths=WORDS, pre_start=WORDS,
    post_stop=WORDS, stop_signal=NUMBERS, notify=FLAGS, listen_ports=some.lists(NUMBERS, max_size=2).map(tuple))
RECORDS = some.builds(
    Record, uuid=TEXTS, apps=some.lists(APPS, max_size=2).map(tuple), interactive=FLAGS, prefix=FLAGS,
    stop_timeout_s=some.floats(0, 1e9), debug=FLAGS)


@given(made=RECORDS)
def test_a_record_is_read_as_it_was_written(made: Record, tmp_path_factory) -> None:
    path = str(tmp_path_factory.getbasetemp() / "record.json")
    record.write(path, made)
    found = record.read(path)
    assert found == made
    assert repr(found) == repr(made)  # and of the same types


def test_the_file(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    app = App("web", ("/bin/web", "-v"), (("A", "b=c"),), uid=1000, mounts=(Mount("/rkt/volumes/0", "/data", "file"),))
    record.write(str(path), Record("12345678-1234-4234-8234-123456789abc", (app,)))
    assert json.loads(path.read_text()) == {
        "version": 1, "uuid": "12345678-1234-4234-8234-123456789abc", "interactive": False, "prefix": True,
        "stop_timeout_s": 10.0, "debug": False,
        "apps": [{
            "name": "web", "exec": ["/bin/web", "-v"], "environment": [["A", "b=c"]], "working_directory": "/",
            "uid": 1000, "gid": 0, "groups": [], "umask": 18, "capabilities": 0, "no_new_privileges": False,
            "seccomp": [], "read_only_rootfs": False,
            "mounts": [{"source": "/rkt/volumes/0", "target": "/data", "kind": "file", "flags": 0, "data": ""}],
            "masked_paths": [], "read_only_paths": [], "pre_start": [], "post_stop": [], "stop_signal": 15,
            "notify": False, "listen_ports": [],
        }],
    }
    assert path.stat().st_mode & 0o7777 == 0o644


def test_a_record_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text('{"version": 2, "uuid": "x", "apps": []}')
    with pytest.raises(RecordError) as caught:
        record.read(str(path))
    assert str(caught.value) == f"{path}: not a record of version 1"


def test_a_record_that_leaves_fields_out_gets_their_defaults(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text('{"version": 1, "uuid": "x", "apps": '
                    '[{"name": "a", "exec": ["/a"], "environment": [], "mounts": []}]}')
    assert record.read(str(path)) == Record("x", (App("a", ("/a",), ()),))


def test_the_app_of_a_name() -> None:
    first, second = App("first", ("/1",), ()), App("second", ("/2",), ())
    pod = Record("x", (first, second))
    assert pod.app("second") is second
    assert pod.app("third") is None
