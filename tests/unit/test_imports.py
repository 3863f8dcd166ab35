"""Who may import whom, and what the path of a run may load."""
from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
STAGES = ("stage0", "stage1", "stage2")
FILES = [file.relative_to(CHECKOUT) for stage in STAGES for file in sorted((CHECKOUT / stage).rglob("*.py"))]

# Their import alone costs more than it may on every start (docs/performance.md).
DEAR = frozenset({
    "typing", "pathlib", "re", "contextlib", "dataclasses", "enum", "json", "uuid", "shutil", "tempfile", "subprocess",
    "threading", "logging", "argparse", "hashlib", "socket", "signal", "sqlite3", "typer", "urllib", "datetime",
    "asyncio", "dbus_next", "inspect", "importlib.metadata", "tarfile", "ssl", "http", "lxml", "psutil", "collections",
    "functools"})

# What a run of an image in the store goes through, up to the exec of systemd-nspawn.
RUN_PATH = ("stage0.cli.main", "stage0.cli.argv", "stage0.cli.options", "stage0.cli.context", "stage0.cli.images",
            "stage0.cli.run", "stage0.fetch", "stage0.pods", "stage0.prepare", "stage0.entrypoints",
            "stage0.store.store", "stage1.appc.image", "stage1.appc.pod", "stage1.scope", "stage1.run",
            "stage1.plan", "stage1.mounts", "stage2.record")


def imports(file: Path, anywhere: bool) -> Iterator[str]:
    """The modules that a file imports at its top level, or anywhere in it; those for types alone are left out."""
    pending: list[ast.AST] = list(ast.parse((CHECKOUT / file).read_bytes()).body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relative to itself"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending += node.orelse
        elif anywhere or not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            pending += ast.iter_child_nodes(node)


@pytest.mark.parametrize("file", FILES, ids=str)
def test_a_stage_imports_only_itself_and_later_stages(file: Path) -> None:
    earlier = STAGES[:STAGES.index(file.parts[0])]
    assert [name for name in imports(file, anywhere=True) if name.split(".")[0] in earlier] == []


@pytest.mark.parametrize("file", [file for file in FILES if file.parts[0] == "stage2"], ids=str)
def test_stage2_imports_only_itself_and_the_standard_library(file: Path) -> None:
    allowed = sys.stdlib_module_names | {"stage2"}
    assert [name for name in imports(file, anywhere=True) if name.split(".")[0] not in allowed] == []


@pytest.mark.parametrize("file", FILES, ids=str)
def test_typer_is_imported_only_late(file: Path) -> None:
    if file.name == "help.py":
        pytest.skip("serves help, and is itself imported late")
    assert [name for name in imports(file, anywhere=False) if name.split(".")[0] in ("typer", "click", "rich")] == []


@pytest.mark.parametrize("stage", STAGES[1:])
def test_no_module_at_the_top_of_a_stage_has_the_name_of_a_standard_one(stage: str) -> None:
    names = {path.stem for path in (CHECKOUT / stage).iterdir()} - {"__init__", "__main__"}
    assert names & sys.stdlib_module_names == set()


@pytest.mark.parametrize("stage", STAGES)
def test_packages_import_nothing_by_themselves(stage: str) -> None:
    for file in (CHECKOUT / stage).rglob("__init__.py"):
        assert list(imports(file, anywhere=True)) == [], f"{file} imports"


def loaded_by(modules: list[str], *flags: str) -> set[str]:
    """The modules that a fresh interpreter has after it imported some."""
    program = (f"import sys; sys.path.append({str(CHECKOUT)!r})\n"
               f"for name in {modules!r}: __import__(name)\n"
               "print(*sys.modules)")
    done = subprocess.run([sys.executable, *flags, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_stage2_loads_in_an_isolated_interpreter_without_site_packages() -> None:
    modules = [".".join(file.with_suffix("").parts) for file in FILES
               if file.parts[0] == "stage2" and file.name not in ("__init__.py", "__main__.py")]
    loaded = loaded_by(modules, "-I", "-S")
    assert set(modules) <= loaded
    assert not [name for name in loaded if name.startswith(("stage0", "stage1"))]
    assert loaded & DEAR == set()


def test_the_path_of_a_run_loads_nothing_dear() -> None:
    assert loaded_by(list(RUN_PATH), "-I", "-S") & DEAR == set()
