"""What run, prepare and run-prepared have in common, and can be loaded before the rest."""
from __future__ import annotations

import os

from stage0 import faultpoints
from stage1 import poddir
from stage2 import files
from stage2.errors import RktError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from stage0.cli.context import Context
    from stage0.pods import Pod
    from stage1.scope import Scope

_SWITCHES = {"capabilities": "--disable-capabilities-restriction", "paths": "--disable-paths",
             "seccomp": "--disable-seccomp"}


class StartError(RktError):
    """Options with which a pod cannot be started."""


def stage1_arguments(ctx: Context, values: dict[str, Any]) -> list[str]:
    """The arguments of stage1's entry point `run`, without the UUID (docs/stage1-interface.md)."""
    arguments = ["--debug"] if ctx.debug else []
    arguments += [f"--net={values['net'] or 'none'}", f"--local-config={ctx.local_config}",
                  f"--stop-timeout={values['stop_timeout']:.15g}"]
    arguments += [switch for check, switch in _SWITCHES.items() if check in ctx.insecure]
    arguments += [f"--{option}" for option in ("interactive", "no-prefix") if values[option.replace("-", "_")]]
    arguments += [f"--{option}={values[option]}" for option in ("hostname", "slice") if values[option] is not None]
    return arguments + [f"--property={text}" for text in values["property"]]


class Place:
    """The pod's place among the cgroups: asked for at once, made while we go on, given up after a failure."""

    def __init__(self, ctx: Context, pod: Pod, values: dict[str, Any]) -> None:
        from stage1 import scope

        self.abandon = scope.abandon
        self.scope = scope.request(pod.uuid, values["slice"], values["property"], ctx.debug)
        if self.scope.unit is None and self.scope.path != self.scope.caller:
            pod.write(poddir.SUBCGROUP, self.scope.path.strip("/") + "/payload\n")  # gc removes it after a crash
        faultpoints.reach("scope-requested")

    def __enter__(self) -> Scope:
        return self.scope

    def __exit__(self, *_error: object) -> None:
        self.abandon(self.scope)


def check_interactive(values: dict[str, Any], apps: int) -> None:
    """Raise StartError if --interactive is asked for a pod that cannot have it."""
    if values["interactive"] and apps != 1:
        raise StartError(f"--interactive: the pod has {apps} apps, only one can have the terminal")

def drop(pod: Pod, uuid_file: str | None) -> None:
    """After a failure: delete the pod, and the file of --uuid-file-save if it leads to this pod."""
    pod.discard()
    if uuid_file is not None and os.path.isfile(uuid_file) and files.read(uuid_file) == pod.uuid.encode():
        os.unlink(uuid_file)
