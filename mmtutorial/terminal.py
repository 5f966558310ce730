"""What is printed: names, paths and ids as they are, whatever they hold and whoever shows them."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.text import Text

Thing = TypeVar("Thing")

_CONTROLS = {  # written as Python writes them: printed, they would move the cursor or erase lines
    code: repr(chr(code))[1:-1]
    for code in (*range(32), *range(127, 160))
    if chr(code) not in "\n\t"
}


def plain(text: str, style: str = "") -> Text:
    r"""Return text for Rich in which nothing is a command: brackets and colons stay what they are.

    Control characters, and what is left of a file's name that is not UTF-8, are escaped.

    >>> plain("my [old] shop, :cat:, \x1b[2J, \udcb5").plain
    'my [old] shop, :cat:, \\x1b[2J, \\udcb5'
    """
    shown = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return Text(shown.translate(_CONTROLS), style=style)


def say(text: str, *, to: Console | None = None, style: str = "") -> None:
    """Print text as `plain` has it, on standard error or on the given console, not broken in lines.

    >>> say("written: my [old] shop", to=Console())
    written: my [old] shop
    """
    (to or Console(stderr=True)).print(plain(text, style), soft_wrap=True)


def steps(things: Iterable[Thing], description: str, total: int | None = None) -> Iterator[Thing]:
    """Go through things, and show on standard error how far it is, if anybody sees it.

    >>> list(steps("abc", "Reading"))
    ['a', 'b', 'c']
    """
    console = Console(stderr=True)
    unseen = not (console.is_terminal or console.is_jupyter)  # there, a bar leaves a blank line
    yield from track(
        things, escape(description), total, console=console, transient=True, disable=unseen
    )


def escape_what_cannot_be_shown() -> None:
    """Let standard output and error escape the characters that their encoding lacks.

    A terminal of code page 1252 and a pipe of ASCII have no Chinese: they get ``\\u8336`` instead
    of an error.
    """
    for stream in (sys.stdout, sys.stderr):
        reconfigure: Any = getattr(stream, "reconfigure", None)  # notebooks' streams have none
        if reconfigure is not None:
            with contextlib.suppress(ValueError, OSError):  # closed
                reconfigure(errors="backslashreplace")
