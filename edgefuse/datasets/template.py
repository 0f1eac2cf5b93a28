"""The sentence that a row's values are put into: "Age: {age}. Sex: {sex}." and nothing cleverer.

A field is a name between braces and is replaced by its words as they are; doubled braces stand for themselves.
There are no formats, indices or attributes, as `str.format` has them, so a template can reach nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgefuse_runtimes.errors import BadInput

_MARK = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


@dataclass(frozen=True)
class Template:
    """A checked template."""

    text: str

    @property
    def fields(self) -> tuple[str, ...]:
        """The names that it uses, each once."""
        return tuple(dict.fromkeys(mark[1].strip() for mark in _MARK.finditer(self.text) if mark[1] is not None))

    def fill(self, words: Mapping[str, str]) -> str:
        """The text with the words of every field; `words` holds them all."""

        def put(mark: re.Match[str]) -> str:
            return mark[0][0] if mark[1] is None else words[mark[1].strip()]

        return _MARK.sub(put, self.text)


def template_of(text: str) -> Template:
    """A template out of its text.

    Raises:
        BadInput: a brace stands alone, a field has no name, or there is no field.
    """
    lone = next((mark for mark in _MARK.finditer(text) if mark[0] in ("{", "}")), None)
    if lone:
        raise BadInput(
            f"The template has a single {lone[0]!r} at character {lone.start() + 1}; "
            "write a field as {name}, and a brace that is no field twice."
        )
    template = Template(text)
    if not all(template.fields):
        raise BadInput("The template has a field without a name, {}; write the name of a column between the braces.")
    if not template.fields:
        raise BadInput("The template has no field, so that all notes would be the same; write columns as {name}.")
    return template


def read_template(given: str) -> Template:
    """A template from the command line: its text, which has braces, or else the file that holds it.

    Raises:
        BadInput: no such file, it is not UTF-8, or the text is no template.
    """
    if "{" in given or "}" in given:
        return template_of(given)
    path = Path(given)
    try:
        return template_of(path.read_text(encoding="utf-8").strip())
    except UnicodeDecodeError as error:
        raise BadInput(f"The template {path} is not UTF-8; save it as such.") from error
    except OSError as error:
        raise BadInput(
            f"The template {given!r} has no field in braces and is no file that can be read ({error.strerror}); "
            "write a text such as 'Age: {age}.', or name a file."
        ) from error


def check(
    template: Template, fields: Mapping[str, str], leaks: Mapping[str, str], allowed: Sequence[str], name: str
) -> tuple[str, ...]:
    """The leaking fields that a template of the data set `name` uses, all of them allowed.

    Args:
        template: What is checked.
        fields: The names that a template may use, each with its meaning.
        leaks: Those that tell the label, each with the reason.
        allowed: Leaking fields that the user takes all the same.
        name: Of the data set, for the sentences.

    Raises:
        BadInput: it uses a field that there is not, or one that leaks and is not allowed, or one is allowed in vain.
    """
    for field in template.fields:
        if field not in fields and field not in leaks:
            raise BadInput(f"The template uses {{{field}}}, which {name} does not have; it has {', '.join(fields)}.")
        if field in leaks and field not in allowed:
            raise BadInput(
                f"The template uses {{{field}}}, which tells the label ({leaks[field]}); leave it out, or take it all "
                f"the same with --allow-leak {field}: all figures are then marked."
            )
    for field in allowed:
        if field not in leaks:
            known = f"those that leak are {', '.join(leaks)}" if leaks else "none of its fields leaks"
            raise BadInput(f"--allow-leak {field} names no leaking field of {name}; {known}.")
        if field not in template.fields:
            raise BadInput(
                f"--allow-leak {field} is given, but the template has no {{{field}}}; drop it or add the field."
            )
    return tuple(field for field in template.fields if field in leaks)
