"""An image argument → the ID of an image in the store, under the pull policy."""
from __future__ import annotations

import os

from stage2.errors import RktError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stage0.cli.context import Context
    from stage0.cli.images import ImageArgs
    from stage0.store.store import Store

NEVER, NEW, UPDATE = "never", "new", "update"
EXTENSION = ".aci"
# What an argument can be.
HASH, FILE, URL, DOCKER, NAME = "hash", "file", "url", "docker", "name"


class FetchError(RktError):
    """An image cannot be had from where it is said to be."""


def kind_of(word: str) -> str:
    """What an image argument is, by its form and by what is there under this name."""
    if word[:7].lower() == "sha512-":
        return HASH
    scheme, colon, rest = word.partition(":")
    if colon and scheme in ("http", "https") and rest[:2] == "//":
        return URL
    if colon and scheme == "docker":
        return DOCKER
    if word.startswith("file://"):
        return FILE
    if word[:1] == "/" or "./" in word or word.endswith(EXTENSION) or os.path.isfile(word):
        return FILE
    return NAME


def fetch(store: Store, arguments: ImageArgs, policy: str, ctx: Context) -> str:
    """The ID of the image that an argument of the command line means.

    A file is imported whatever the policy, without being read again if it did not change
    since. Raises FetchError, or StoreError for what is not in the store.
    """
    return _fetch(store, arguments.image, policy, ctx)


def _fetch(store: Store, word: str, policy: str, ctx: Context) -> str:
    kind = kind_of(word)
    if word.startswith("cimd:"):
        return _fetch(store, _of_distribution(word), policy, ctx)
    if kind == FILE:
        return _import(store, _path(word), ctx)
    if kind == URL and not word.endswith(EXTENSION):
        raise FetchError(f"{word}: the URL of an image ends in {EXTENSION}")
    if kind == URL:
        raise FetchError(f"{word}: URLs are not supported yet (fetch the file by other means, then rkt fetch FILE)")
    if kind == DOCKER:
        raise FetchError(f"{word}: registries are not supported yet")
    return _stored(store, word, kind, policy, ctx)


def _import(store: Store, path: str, ctx: Context) -> str:
    if "image" not in ctx.insecure:
        raise FetchError(f"{path}: signatures cannot be checked yet (--insecure-options=image skips the check)")
    return store.import_file(path)


def _stored(store: Store, word: str, kind: str, policy: str, ctx: Context) -> str:
    from stage0.store.layout import NotInStore
    try:
        found = store.resolve(word)
    except NotInStore as err:
        if kind == HASH or policy == NEVER:
            raise
        raise FetchError(f"{err}, and discovery is not supported yet (rkt fetch FILE brings images in)") from None
    if kind == NAME and policy == UPDATE:
        ctx.debug_note(f"{word}: taken from the store, discovery is not supported yet")
    return found


def _path(word: str) -> str:
    """The path of a file argument, from a `file:` URL too."""
    if not word.startswith("file://"):
        return word
    from urllib.parse import unquote
    path = unquote(word[len("file://"):])
    if path[:1] != "/":
        raise FetchError(f"{word}: a file URL has three slashes and an absolute path")
    if not path.endswith(EXTENSION):
        raise FetchError(f"{word}: the URL of an image ends in {EXTENSION}")
    return path


def _of_distribution(word: str) -> str:
    """The argument that a distribution URI stands for: cimd:appc:v=0:…, cimd:aci-archive:v=0:…, cimd:docker:v=0:…."""
    from urllib.parse import parse_qsl, unquote
    _, kind, version, rest = (word.split(":", 3) + [""] * 3)[:4]
    if version != "v=0" or not rest or kind not in ("appc", "aci-archive", "docker"):
        raise FetchError(f"{word}: not a distribution URI that rkt knows (cimd:appc:v=0:NAME?LABEL=VALUE, "
                         "cimd:aci-archive:v=0:URL, cimd:docker:v=0:REFERENCE)")
    if kind == "docker":
        return f"docker://{rest}"
    if kind == "aci-archive":
        return unquote(rest)
    name, _, query = rest.partition("?")
    labels = dict(parse_qsl(query))
    version = f":{labels.pop('version')}" if "version" in labels else ""
    return ",".join([name + version, *(f"{label}={value}" for label, value in labels.items())])
