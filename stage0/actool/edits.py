"""The edits of patch-manifest: the JSON of an image manifest → that of the changed one. Pure.

What an edit says is checked where it is read; whether the result is a manifest, by the schema afterwards.
"""
from __future__ import annotations

import shlex
from urllib.parse import unquote

from stage2 import jsontext
from stage2.errors import RktError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    Json = dict[str, Any]

CAPABILITIES = ("os/linux/capabilities-retain-set", "os/linux/capabilities-remove-set")
SECCOMP = ("os/linux/seccomp-retain-set", "os/linux/seccomp-remove-set")


class EditError(RktError):
    """An edit makes no sense, or does not go with another one or with the image."""


def edited(manifest: Json, edits: dict[str, Any]) -> Json:
    """The manifest with all edits applied: values of the flags by key, those not given None or empty.

    Raises EditError; also for an edit of the app where there is none and `exec` does not make one.
    """
    edits = {key: value for key, value in edits.items() if value not in (None, ())}
    made = dict(manifest)
    for key, edit in _IMAGE_EDITS.items():
        if key in edits:
            edit(made, edits[key])
    _app_edits(made, edits)
    return made


def _app_edits(manifest: Json, edits: Json) -> None:
    wanted = [key for key in edits if key not in _IMAGE_EDITS]
    if not wanted:
        return
    if manifest.get("app") is None and "exec" not in edits:
        raise EditError(f"{_flag(wanted[0])}: the image has no app (--exec makes one)")
    if ("seccomp_mode" in edits) != ("seccomp_set" in edits):
        raise EditError("--seccomp-mode and --seccomp-set go together")
    if "capability" in edits and "revoke_capability" in edits:
        raise EditError("--capability and --revoke-capability exclude each other")
    app = manifest["app"] = dict(manifest.get("app") or {})
    for key, edit in _APP_EDITS.items():
        if key in edits:
            edit(app, edits[key])
    if "seccomp_mode" in edits:
        _replace_isolators(app, SECCOMP, _seccomp(edits["seccomp_mode"], edits["seccomp_set"]))


def _flag(key: str) -> str:
    return "--" + key.replace("_", "-")


# --- lists of named things --------------------------------------------------------------------------


def _set_pairs(field: str, flag: str) -> Callable[[Json, tuple[str, ...]], None]:
    """An edit that gives names new values: a known name keeps its place."""
    def edit(owner: Json, words: tuple[str, ...]) -> None:
        for word in words:
            name, equals, value = word.partition("=")
            if not equals:
                raise EditError(f"{flag}: {word} is not NAME=VALUE")
            owner[field] = _put(owner.get(field), {"name": name, "value": value})
    return edit


def _remove(field: str, flag: str, key: str = "name") -> Callable[[Json, tuple[str, ...]], None]:
    def edit(owner: Json, names: tuple[str, ...]) -> None:
        for name in names:
            kept = [item for item in owner.get(field) or () if item[key] != name]
            if len(kept) == len(owner.get(field) or ()):
                raise EditError(f"{flag}: the image has no {name}")
            owner[field] = kept
    return edit


def _put(items: Iterable[Json] | None, new: Json, key: str = "name") -> list[Json]:
    """The list with one more item, in the place of the first of its name if there is one."""
    found = list(items or ())
    places = [at for at, item in enumerate(found) if item[key] == new[key]]
    if not places:
        return [*found, new]
    found[places[0]] = new
    return [item for at, item in enumerate(found) if at not in places[1:]]


# --- the mini-language NAME,key=value…[:NAME2…] -----------------------------------------------------


def _named(flag: str, text: str) -> list[tuple[str, list[str]]]:
    """The names, and the words behind each."""
    found = []
    for part in text.split(":"):
        name, *words = part.split(",")
        if not name:
            raise EditError(f"{flag}: a name is missing in {text or 'nothing'}")
        found.append((name, words))
    return found


def _items(flag: str, text: str, kinds: dict[str, Callable[[str], Any]], required: tuple[str, ...]) -> list[Json]:
    """One object each name, its members checked by their kinds; `%XX` stands for a character such as `:`."""
    found = []
    for name, words in _named(flag, text):
        item: Json = {"name": name}
        for word in words:
            key, equals, value = word.partition("=")
            if not equals or key not in kinds:
                raise EditError(f"{flag}: {name}: {word or 'nothing'} is none of {', '.join(f'{k}=…' for k in kinds)}")
            if key in item:
                raise EditError(f"{flag}: {name}: {key} is given twice")
            try:
                item[key] = kinds[key](unquote(value))
            except ValueError as err:
                raise EditError(f"{flag}: {name}: {key}: {err}") from None
        for key in required:
            if key not in item:
                raise EditError(f"{flag}: {name}: {key}=… is missing")
        found.append(item)
    return found


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(f"{text or 'nothing'} is not a whole number")
    return int(text)


def _boolean(text: str) -> bool:
    from stage0.cli.argv import boolean

    return boolean(text)


def _mounts(flag: str, text: str) -> list[Json]:
    return _items(flag, text, {"path": str, "readOnly": _boolean}, ("path",))


def _ports(flag: str, text: str) -> list[Json]:
    kinds: dict[str, Callable[[str], Any]] = {"protocol": str, "port": _number, "count": _number,
                                              "socketActivated": _boolean}
    return _items(flag, text, kinds, ("protocol", "port"))


def _replace_all(field: str, flag: str, read: Callable[[str, str], list[Json]]) -> Callable[[Json, str], None]:
    def edit(app: Json, text: str) -> None:
        app[field] = read(flag, text) if text else []
    return edit


def _add_all(field: str, flag: str, read: Callable[[str, str], list[Json]]) -> Callable[[Json, str], None]:
    def edit(app: Json, text: str) -> None:
        for item in read(flag, text):
            app[field] = _put(app.get(field), item)
    return edit


# --- isolators --------------------------------------------------------------------------------------


def _replace_isolators(app: Json, names: tuple[str, ...], isolator: Json) -> None:
    kept = [item for item in app.get("isolators") or () if item["name"] not in names]
    app["isolators"] = [*kept, isolator]


def _capabilities(name: str) -> Callable[[Json, str], None]:
    def edit(app: Json, text: str) -> None:
        _replace_isolators(app, CAPABILITIES, {"name": name, "value": {"set": text.split(",")}})
    return edit


def _seccomp(mode: str, calls: str) -> Json:
    kind, _, rest = mode.partition(",")
    if kind not in ("remove", "retain"):
        raise EditError(f"--seccomp-mode: {kind or 'nothing'} is none of remove, retain")
    value: Json = {"set": calls.split(",")}
    if rest:
        key, equals, errno = rest.partition("=")
        if key != "errno" or not equals:
            raise EditError(f"--seccomp-mode: {rest} is not errno=…")
        value["errno"] = errno
    return {"name": f"os/linux/seccomp-{kind}-set", "value": value}


def _add_isolators(app: Json, text: str) -> None:
    """Append isolators; a later one of the same name wins where the schema allows several."""
    flag = "--isolators"
    added = []
    for name, words in _named(flag, text):
        if not words:
            raise EditError(f"{flag}: {name}: a value is missing (NAME,key=value,… or NAME,VALUE)")
        if len(words) == 1 and "=" not in words[0]:
            value = _bare(unquote(words[0]))
        else:
            value = {}
            for word in words:
                key, equals, part = word.partition("=")
                if not key or not equals:
                    raise EditError(f"{flag}: {name}: {word or 'nothing'} is not key=value")
                if key in value:
                    raise EditError(f"{flag}: {name}: {key} is given twice")
                value[key] = {"true": True, "false": False}.get(part, unquote(part))
        added.append({"name": name, "value": value})
    app["isolators"] = [*(app.get("isolators") or ()), *added]


def _bare(text: str) -> Any:
    """A number or boolean as such, anything else as text."""
    try:
        value = jsontext.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, (bool, int)) else text


# --- the rest ---------------------------------------------------------------------------------------


def _exec(app: Json, text: str) -> None:
    try:
        app["exec"] = shlex.split(text)
    except ValueError as err:
        raise EditError(f"--exec: {text}: {str(err)[0].lower()}{str(err)[1:]}") from None


def _groups(app: Json, text: str) -> None:
    try:
        app["supplementaryGIDs"] = [_number(part) for part in text.split(",")] if text else []
    except ValueError as err:
        raise EditError(f"--supplementary-groups: {err}") from None


def _field(name: str) -> Callable[[Json, str], None]:
    def edit(owner: Json, value: str) -> None:
        owner[name] = value
    return edit


def _dependencies(manifest: Json, words: tuple[str, ...]) -> None:
    for word in words:
        manifest["dependencies"] = _put(manifest.get("dependencies"), _dependency(word), "imageName")


def _dependency(text: str) -> Json:
    """NAME[:VERSION][,label=VALUE…][,imageID=ID][,imageSize=BYTES]; a label cannot have capitals, so no two clash."""
    head, *words = text.split(",")
    name, colon, version = head.partition(":")
    made: Json = {"imageName": name}
    labels = [{"name": "version", "value": version}] if colon else []
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise EditError(f"--dependency: {name}: {word or 'nothing'} is not label=VALUE")
        if key == "imageID":
            made["imageID"] = value
        elif key == "imageSize":
            try:
                made["size"] = _number(value)
            except ValueError as err:
                raise EditError(f"--dependency: {name}: imageSize: {err}") from None
        else:
            labels.append({"name": key, "value": unquote(value)})
    return {**made, "labels": labels} if labels else made


_IMAGE_EDITS: dict[str, Callable[[Json, Any], None]] = {
    "name": _field("name"),
    "remove_label": _remove("labels", "--remove-label"),
    "label": _set_pairs("labels", "--label"),
    "remove_annotation": _remove("annotations", "--remove-annotation"),
    "annotation": _set_pairs("annotations", "--annotation"),
    "remove_dependency": _remove("dependencies", "--remove-dependency", "imageName"),
    "dependency": _dependencies,
}
_APP_EDITS: dict[str, Callable[[Json, Any], None]] = {
    "exec": _exec,
    "user": _field("user"),
    "group": _field("group"),
    "supplementary_groups": _groups,
    "working_directory": _field("workingDirectory"),
    "capability": _capabilities(CAPABILITIES[0]),
    "revoke_capability": _capabilities(CAPABILITIES[1]),
    "mounts": _replace_all("mountPoints", "--mounts", _mounts),
    "add_mounts": _add_all("mountPoints", "--add-mounts", _mounts),
    "ports": _replace_all("ports", "--ports", _ports),
    "add_ports": _add_all("ports", "--add-ports", _ports),
    "isolators": _add_isolators,
    "remove_environment": _remove("environment", "--remove-environment"),
    "environment": _set_pairs("environment", "--environment"),
}
