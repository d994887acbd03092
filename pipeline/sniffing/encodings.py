"""Determines the encoding of sampled text."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from typing import NamedTuple

from charset_normalizer import from_bytes

from ..sources.batches import is_utf8
from ..sources.content import ENCODINGS, Content

# Bytes that cp1252 does not define.
_NOT_CP1252 = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")
_NOT_ASCII = re.compile(rb"[\x80-\xff]")
# Western text: signs of prices and of typography, and words with at most two letters in a row that are not ASCII.
_WESTERN_SIGNS = re.compile("[ £€°±·«»®©™½¼¾§²³–—‘’“”•…¡¿]")
_WESTERN_WORD = re.compile("[A-Za-zÀ-ÖØ-öø-ÿŒœŠšŽžŸ]+")
_FOREIGN = re.compile("[À-ÖØ-öø-ÿŒœŠšŽžŸ]{3}")
_LEAST_WESTERN = 0.9

# At most this much text, of the lines that are not ASCII, is looked at by charset-normalizer.
_MOST_BYTES = 64 << 10
# UTF-8 text may have some lines that are damaged: the reader rejects these rows.
_LEAST_UTF8 = 0.9


class Part(NamedTuple):
    """Bytes of a file, and whether the file starts or ends with them."""

    content: bytes
    is_start: bool
    is_end: bool


def encoding_of(parts: Sequence[Part], content: Content) -> tuple[str, str]:
    """Returns the encoding of a text as Python names it, and why.

    Args:
        parts: Parts of the text.
        content: What the first bytes of the file show.
    """
    if content in ENCODINGS:
        return ENCODINGS[content], str(content)
    lines = [line for part in parts for line in _lines(part) if _NOT_ASCII.search(line)]
    if not lines:
        return "utf-8", "ASCII"
    invalid = [line for line in lines if not is_utf8(line)]
    if len(invalid) <= (1 - _LEAST_UTF8) * len(lines):
        doubt = f"; {len(invalid)} of {len(lines)} sampled lines are not valid" if invalid else ""
        return "utf-8", f"UTF-8{doubt}"
    sample = b"\n".join(lines)[:_MOST_BYTES]
    is_cp1252 = not _NOT_CP1252.search(sample)
    name = "cp1252" if is_cp1252 else "latin-1"
    if _is_western(sample.decode(name)):
        return name, f"not valid UTF-8; the letters of {name} form words such as {_example(sample.decode(name))!r}"
    best = from_bytes(sample).best()
    if best is None:
        return name, "not certain: not valid UTF-8, and no other encoding fits"
    found = codecs.lookup(best.encoding).name
    return found, f"not valid UTF-8; charset-normalizer finds {found}, for example {_example(str(best))!r}"


def _lines(part: Part) -> list[bytes]:
    """Returns the lines that are complete."""
    lines = re.split(rb"[\r\n]+", part.content)
    return lines[0 if part.is_start else 1 : None if part.is_end else -1]


def _is_western(text: str) -> bool:
    """Returns whether the characters of a text that are not ASCII are those of western languages, in their places."""
    signs = len(_WESTERN_SIGNS.findall(text))
    letters = sum(not char.isascii() for word in _western_words(text) for char in word)
    return signs + letters >= _LEAST_WESTERN * sum(not char.isascii() for char in text)


def _western_words(text: str) -> list[str]:
    words = [word for word in _WESTERN_WORD.findall(text) if not word.isascii()]
    return [word for word in words if not _FOREIGN.search(word)]


def _example(text: str) -> str:
    words = [word for word in re.findall(r"[^\W\d_]+", text) if not word.isascii()]
    return next(iter(words), text[:20])


def decoded(part: Part, encoding: str) -> str:
    """Returns the complete lines of a part of a text, with the line ends `\n` and without a byte order mark.

    Invalid bytes become replacement characters: the reader of the file reports them.
    """
    text = part.content.decode(encoding, "replace").removeprefix("\ufeff")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not part.is_start:
        text = text.partition("\n")[2]
    return text if part.is_end else text.rpartition("\n")[0] + "\n"
