"""The words of run, prepare and fetch from the first image on → one ImageArgs an image. Pure.

    ARGS := { OPTION | IMAGE [ "--" ARG* [ "---" ] ] }

An option of an image applies to the image before it; pod-level and global options may stand
anywhere, and argv.py has dealt with them already, as with whatever cannot stand where it stands.
"""
from __future__ import annotations

from stage0.cli import argv, options
from stage2.errors import RktError
from stage2.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from stage1.appc.types import Mount, Volume

Pairs = tuple[tuple[str, str], ...]


class ImagesError(RktError):
    """Options of a pod or an image that make no sense together, or whose value does not."""


class ImageArgs(Value):
    """An image of the command line, and what its options say of its app. None, or empty: not given."""

    image: str
    name: str | None = None
    exec: str | None = None
    args: tuple[str, ...] = ()
    working_dir: str | None = None
    user: str | None = None
    group: str | None = None
    supplementary_gids: tuple[int, ...] = ()
    environment: Pairs = ()
    mounts: tuple[Mount, ...] = ()
    readonly_rootfs: bool = False
    annotations: Pairs = ()
    user_annotations: Pairs = ()
    user_labels: Pairs = ()


class ImagesLine(Value):
    """All that a command line says of a pod's images; `mounts` are those of all apps."""

    images: tuple[ImageArgs, ...] = ()
    volumes: tuple[Volume, ...] = ()
    mounts: tuple[Mount, ...] = ()


def split(words: Sequence[str], *, command: str = "run", volume: Iterable[str] = (),
          mount: Iterable[str] = ()) -> ImagesLine:
    """The images of a line, with the volumes (--volume) and the mounts for all apps (--mount before any image).

    Raises ImagesError: a value that makes no sense, an option twice, a mount without a volume.
    """
    table = options.command(command)
    images: list[ImageArgs] = []
    given: dict[str, Any] = {}
    for token in argv.image_tokens(table, words):
        if token.image is not None:
            if given:
                images.append(_image(given))
            given = {"image": token.image, "args": ()}
        elif token.argument is not None:
            given["args"] += (token.argument,)
        elif token.option is not None and token.of_image:
            _take(given, token.option, token.value)
    if given:
        images.append(_image(given))
    volumes = tuple(parse_volume(text) for text in volume)
    _unique([found.name for found in volumes], "--volume: two volumes have the name {}")
    line = ImagesLine(tuple(images), volumes, tuple(parse_mount(text) for text in mount))
    known = {found.name for found in volumes}
    for wanted in (*line.mounts, *(found for image in images for found in image.mounts)):
        if wanted.volume not in known:
            raise ImagesError(f"--mount: {wanted.path}: there is no volume {wanted.volume} "
                              f"(--volume={wanted.volume},kind=… declares it)")
    return line


def _take(given: dict[str, Any], option: options.Option, value: Any) -> None:
    if option.kind == options.LIST:
        given[option.key] = (*given.get(option.key, ()), value)
    elif option.key in given:
        raise ImagesError(f"--{option.name} is given twice for image {given['image']}")
    else:
        given[option.key] = value


def _image(given: dict[str, Any]) -> ImageArgs:
    image = given["image"]
    try:
        return ImageArgs(
            image=image,
            name=_app_name(given.get("name")),
            exec=_filled("exec", given.get("exec")),
            args=given["args"],
            working_dir=_absolute("working-dir", given.get("working_dir")),
            user=_filled("user", given.get("user")),
            group=_filled("group", given.get("group")),
            supplementary_gids=_gids(given.get("supplementary_gids")),
            environment=pairs("environment", given.get("environment", ())),
            mounts=tuple(parse_mount(text) for text in given.get("mount", ())),
            readonly_rootfs=given.get("readonly_rootfs", False),
            annotations=_annotations(given.get("annotation", ())),
            user_annotations=pairs("user-annotation", given.get("user_annotation", ())),
            user_labels=pairs("user-label", given.get("user_label", ())),
        )
    except RktError as err:
        raise ImagesError(f"image {image}: {err}") from err.__cause__


def _filled(option: str, text: str | None) -> str | None:
    if text == "":
        raise ImagesError(f"--{option} is empty")
    return text


def _absolute(option: str, text: str | None) -> str | None:
    if text is not None and not text.startswith("/"):
        raise ImagesError(f"--{option}: {text or 'nothing'} is not an absolute path")
    return text


def _app_name(text: str | None) -> str | None:
    if text is not None:
        from stage1.appc.types import check_ac_name  # late: few command lines name an app

        _checked("name", check_ac_name, text)
    return text


def _annotations(texts: Iterable[str]) -> Pairs:
    found = pairs("annotation", texts)
    if found:
        from stage1.appc.types import check_ac_identifier

        for name, _ in found:
            _checked("annotation", check_ac_identifier, name)
    return found


def _gids(text: str | None) -> tuple[int, ...]:
    parts = [] if text is None else text.split(",")
    return tuple(_number("supplementary-gids", part.strip()) for part in parts)


def _number(option: str, text: str, base: int = 10) -> int:
    digits = "0123456789"[:base]
    if not text or text.strip(digits) or int(text, base) > 0xFFFF_FFFE:
        raise ImagesError(f"--{option}: {text or 'nothing'} is not a number" + (" in octal" if base == 8 else ""))
    return int(text, base)


def pairs(option: str, texts: Iterable[str]) -> Pairs:
    """The NAME=VALUE texts of an option as pairs; a name may stand once."""
    found = []
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise ImagesError(f"--{option}: {text or 'nothing'} is not NAME=VALUE")
        found.append((name, value))
    _unique([name for name, _ in found], f"--{option}: {{}} is given twice")
    return tuple(found)


def _unique(names: list[str], message: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ImagesError(message.format(name))


def environment_file(text: str, path: str) -> Pairs:
    """The variables of an environment file: NAME=VALUE lines; blank lines and those with # or ; are skipped."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        name, equals, value = line.strip().partition("=")
        if (not name and not equals) or name.startswith(("#", ";")):
            continue
        if not name or not equals:
            raise ImagesError(f"--set-env-file: {path}: line {number}: {line.strip()} is not NAME=VALUE")
        if name in found:
            raise ImagesError(f"--set-env-file: {path}: line {number}: {name} is given twice")
        found[name] = value
    return tuple(found.items())


def pod_environment(set_env: Iterable[str], set_env_file: str | None) -> Pairs:
    """The variables for all apps: of --set-env-file, then of --set-env, which wins."""
    merged: dict[str, str] = {}
    if set_env_file is not None:
        from stage2 import files

        try:
            merged.update(environment_file(files.read(set_env_file).decode(), set_env_file))
        except (OSError, UnicodeDecodeError) as err:
            raise ImagesError(f"reading --set-env-file {set_env_file}") from err
    merged.update(pairs("set-env", set_env))
    return tuple(merged.items())


def pull_policy(policy: str, store_only: bool, no_store: bool) -> str:
    """The pull policy, the older options --store-only and --no-store included."""
    if store_only and no_store:
        raise ImagesError("--store-only and --no-store exclude each other")
    return "never" if store_only else "update" if no_store else policy


def check_pod_manifest_alone(values: dict[str, Any]) -> None:
    """Refuse what --pod-manifest excludes; `values` are those of the command, by parameter."""
    policy = pull_policy(values["pull_policy"], values["store_only"], values["no_store"])
    given = {
        "images": values["words"], "--volume": values["volume"], "--mount": values["mount"],
        "--inherit-env": values["inherit_env"], "--set-env": values["set_env"],
        "--set-env-file": values["set_env_file"] is not None, f"--pull-policy={policy}": policy != "new",
    }
    for what, is_given in given.items():
        if is_given:
            raise ImagesError(f"--pod-manifest and {what} exclude each other")


def parse_volume(text: str) -> Volume:
    """A volume of `NAME,kind=host,source=PATH[,readOnly=BOOL][,recursive=BOOL]` or `NAME,kind=empty[,mode=…]…`.

    `%2C` in a value is a comma, and so for every byte.
    """
    from stage1.appc.types import Volume, check_ac_name

    name, _, rest = text.partition(",")
    _checked("volume", check_ac_name, name)
    given = _keys("volume", text, rest)
    kind = given.pop("kind", "")
    allowed = {"host": ("source", "readOnly", "recursive"), "empty": ("mode", "uid", "gid")}
    if kind not in allowed:
        raise ImagesError(f"--volume: {text}: kind={kind} is neither host nor empty" if kind else
                          f"--volume: {text}: kind=host or kind=empty is missing")
    for key in given:
        if key not in allowed[kind]:
            known = ", ".join(allowed[kind])
            raise ImagesError(f"--volume: {text}: a volume of kind {kind} has no {key}, only {known}")
    if kind == "host":
        if not given.get("source", "").startswith("/"):
            raise ImagesError(f"--volume: {text}: source=PATH, an absolute path, is needed")
        return Volume(name, kind, given["source"], read_only=_boolean(given, "readOnly"),
                      recursive=_boolean(given, "recursive"))
    if "mode" in given:
        _number("volume: mode", given["mode"], 8)
    uid, gid = (_number(f"volume: {key}", given[key]) if key in given else None for key in ("uid", "gid"))
    return Volume(name, kind, mode=given.get("mode"), uid=uid, gid=gid)


def parse_mount(text: str) -> Mount:
    """A mount of `volume=NAME,target=PATH`."""
    from stage1.appc.types import Mount, check_ac_name

    given = _keys("mount", text, text)
    for key in given:
        if key not in ("volume", "target"):
            raise ImagesError(f"--mount: {text}: {key} is neither volume nor target")
    for key in ("volume", "target"):
        if not given.get(key):
            raise ImagesError(f"--mount: {text}: {key}=… is missing")
    _checked("mount", check_ac_name, given["volume"])
    if not given["target"].startswith("/"):
        raise ImagesError(f"--mount: {text}: target {given['target']} is not an absolute path")
    return Mount(volume=given["volume"], path=given["target"])


def _keys(option: str, text: str, rest: str) -> dict[str, str]:
    """The KEY=VALUE parts of a text, without URL escapes."""
    found: dict[str, str] = {}
    for part in rest.split(",") if rest else ():
        key, equals, value = part.partition("=")
        if not equals or not key:
            raise ImagesError(f"--{option}: {text}: {part or 'an empty part'} is not KEY=VALUE")
        if key in found:
            raise ImagesError(f"--{option}: {text}: {key} is given twice")
        found[key] = _unescape(value)
    return found


def _unescape(text: str) -> str:
    """The text with each %XX made the byte it stands for; a % before anything else stays."""
    head, *escaped = text.encode(errors="surrogateescape").split(b"%")
    made = head
    for part in escaped:
        digits = part[:2]
        is_hex = len(digits) == 2 and not digits.strip(b"0123456789abcdefABCDEF")
        made += bytes([int(digits, 16)]) + part[2:] if is_hex else b"%" + part
    return made.decode(errors="surrogateescape")


def _boolean(given: dict[str, str], key: str) -> bool | None:
    try:
        return argv.boolean(given[key]) if key in given else None
    except ValueError as err:
        raise ImagesError(f"--volume: {key}: {err}") from None


def _checked(option: str, check: Any, text: str) -> None:
    try:
        check(text)
    except (ValueError, RktError) as err:
        raise ImagesError(f"--{option}: {err}") from None
