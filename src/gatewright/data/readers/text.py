"""A text file in, its encoding, its first lines or all of it out: UTF-8, UTF-16 with its mark, or Windows' own."""

from __future__ import annotations

import codecs
import io
from itertools import islice
from pathlib import Path

from gatewright.tools import open_stream

WINDOWS = "cp1252"  # what German, French, ... programs write under Windows; Latin-1's letters are the same in it
_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_CHUNK = 1 << 20


def encoding_of(path: Path) -> str:
    """Return how a text file is encoded: by its mark, else UTF-8 where all of it is that, else Windows' code page.

    Raises ValueError for a file that holds a zero byte and is no UTF-16, and one of DAMAGE.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    utf8, first = True, True
    with open_stream(path) as file:
        while chunk := file.read(_CHUNK):
            if first and chunk.startswith(_MARKS):
                return "utf-16"
            first = False
            if b"\0" in chunk:
                raise ValueError("it holds a zero byte, so it is no text (UTF-16 begins with a byte order mark)")
            try:
                if utf8:
                    decoder.decode(chunk)
            except UnicodeDecodeError:
                utf8 = False
    return "utf-8-sig" if utf8 and not decoder.getstate()[0] else WINDOWS


def head_lines(path: Path, encoding: str, count: int) -> list[str]:
    """Return a file's first lines, without their ends. Raises UnicodeDecodeError and one of DAMAGE."""
    with open_stream(path) as file:
        text = io.TextIOWrapper(file, encoding=encoding, newline="")
        try:
            return [line.rstrip("\r\n") for line in islice(text, count)]
        finally:
            text.detach()


def later_lines(path: Path, encoding: str, count: int, begin: tuple[str, ...]) -> list[int]:
    """Return the numbers, from 0, of the lines behind the first `count` that begin in one of some ways."""
    with open_stream(path) as file:
        text = io.TextIOWrapper(file, encoding=encoding, newline="")
        try:
            return [at for at, line in enumerate(islice(text, count, None), count) if line.lstrip().startswith(begin)]
        finally:
            text.detach()


def all_lines(path: Path) -> list[str]:
    """Return all lines of a file, without their ends. Raises UnicodeDecodeError and one of DAMAGE."""
    encoding = encoding_of(path)
    with open_stream(path) as file:
        return file.read().decode(encoding).splitlines()
