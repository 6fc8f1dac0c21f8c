"""Files that a process reads once for all sandboxes there will be in it.

Lambda starts a sandbox seldom, the tests start thousands. To read botocore's models, the list of its services and the
certificates of all authorities takes longer than a rotation.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

from botocore.loaders import JSONFileLoader, Loader


def read_once() -> None:
    """Let all clients that are made in this process share what botocore and httpx read from files."""
    JSONFileLoader.load_file = _for_all_instances(JSONFileLoader.load_file)  # type: ignore[method-assign]
    Loader.list_available_services = _for_all_instances(Loader.list_available_services)  # type: ignore[method-assign]
    make, made = ssl.create_default_context, dict[str, ssl.SSLContext]()

    def create_default_context(*args: Any, **options: Any) -> ssl.SSLContext:
        if args or options.keys() != {"cafile"}:  # not as httpx asks for it, so perhaps to change it
            return make(*args, **options)
        file = options["cafile"]
        if file not in made:
            made[file] = make(cafile=file)
        return made[file]

    ssl.create_default_context = create_default_context


def _for_all_instances(read: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method that remembers what it has read for everybody, and not for each instance."""
    known: dict[str, Any] = {}

    def method(self: object, *names: str, **named: str) -> Any:
        (name,) = (*names, *named.values())  # they are called in both ways
        if name not in known:
            known[name] = read(self, name)
        return known[name]

    return method
