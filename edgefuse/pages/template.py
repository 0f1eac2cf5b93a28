"""Templates of pages: each lies as `page.html` in the package that fills it, and may include what lies here."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any

from edgefuse.extras import importable


def fill(package: str, *, extra: str, filters: Mapping[str, Callable[..., str]] | None = None, **values: Any) -> str:
    """The page of `package`, filled with `values`; what they hold of HTML is escaped.

    Args:
        package: in which `page.html` lies.
        extra: of edgefuse, that brings jinja2.
        filters: for the template, by name.
        values: what it asks for.

    Raises:
        BadInput: jinja2 is not installed.
    """
    environment = _environment(importable("jinja2", extra), package)
    environment.filters |= filters or {}
    html: str = environment.get_template("page.html").render(**values)
    return html


@functools.cache
def _environment(jinja2: Any, package: str) -> Any:
    """What reads the page of `package` and compiles it, once in a process."""
    return jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: _text(package if name == "page.html" else __package__, name)),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _text(package: str, name: str) -> str:
    return files(package).joinpath(name).read_text(encoding="utf-8")
