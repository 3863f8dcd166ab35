"""rkt fetch: brings images into the store."""
from __future__ import annotations

import os

from stage2 import errors
from stage2.errors import RktError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stage0.cli.context import Context


def command(ctx: Context, *, words: tuple[str, ...], pull_policy: str, store_only: bool, no_store: bool,
            full: bool) -> int:
    """Fetch each image and print its ID: the first 32 digits, or with --full all."""
    from stage0.cli import images
    from stage0.fetch import fetch
    from stage0.store.store import Store

    policy = images.pull_policy(pull_policy, store_only, no_store)
    store = Store(ctx.data_dir)
    for arguments in images.split(words, command="fetch").images:
        image_id = fetch(store, arguments, policy, ctx)
        if os.geteuid() == 0:
            try:
                with store.prepare_lock():
                    store.tree(image_id)
            except RktError as err:
                ctx.note(f"{arguments.image} is in the store, but cannot be run yet: {errors.line(err)}")
        ctx.say(image_id if full else image_id[:39])
    return 0
