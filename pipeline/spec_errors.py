"""Explains pydantic's errors of a spec: the entry in the file, what was expected, what was found, and the fix."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from ..transforms import spec as spec_module
from ..transforms.spec import Spec

# Examples of entries, shown in place of the class names in pydantic's messages.
_EXAMPLES = {
    "TokenPolicy": "{token: X}",
    "Quantiles": "{quantiles: 10}",
    "Boundaries": "{boundaries: [18, 65]}",
    "Label": "{field: click}",
    "Source": "auto, or a mapping such as {format: csv}",
}

# The types of fields, and words that users write for them.
_FIELD_TYPES = {
    "categorical": ("category", "string", "text", "str", "id", "token"),
    "multivalued": ("list", "array", "multi", "sequence", "bag"),
    "numeric": ("number", "numerical", "float", "int", "integer", "double"),
    "vector": ("vectors", "embedding", "floats"),
}
_TYPES_IN_WORDS = "categorical, multivalued, numeric or vector"

# Texts of pydantic, and the same in the terms of a spec.
_REWORDED = (
    (r"^Value error, ", ""),
    (r"^Input should be (greater|less)", r"expected a number \1"),
    (r"^Input should be ", "expected "),
    (r" or object to extract fields from$", ""),
    (r", (?:unable to|got a) .*", ""),
    (r"^Unable to parse input string as an integer, exceeded .*", "expected a smaller number"),
    (r"^(?:String|List|Dictionary) should have (at (?:least|most) \d+ \w+).*", r"expected \1"),
    (r"a valid dictionary or instance of (\w+)", lambda match: _EXAMPLES.get(match[1], "a mapping")),
    (r"a valid dictionary", "a mapping"),
    (r"a valid string", "a text"),
    (r"a valid (\w+)", r"a \1"),
    (r"^expected a integer", "expected a whole number"),
    (r"^expected a boolean", "expected true or false"),
)


def messages_of(errors: Sequence[ErrorDetails], data: Any) -> dict[str, str]:
    """Returns a message for each wrong entry, by its path in the file.

    An entry that matches none of several forms has one error per form: they are joined.
    """
    expected: dict[str, list[str]] = {}
    found: dict[str, str] = {}
    for details in errors:
        path, message, value = _explain(details, data)
        expected.setdefault(path, []).append(message)
        found.setdefault(path, value)
    # If a mapping is one of several forms, only what is wrong in it matters.
    paths = [path for path in expected if not any(other.startswith(f"{path}.") for other in expected)]
    return {path: _joined(expected[path]) + found[path] for path in paths}


def _joined(texts: list[str]) -> str:
    first, *others = dict.fromkeys(texts)
    return " or ".join([first, *(text.removeprefix("expected ") for text in others)])


def _explain(details: ErrorDetails, data: Any) -> tuple[str, str, str]:
    """Returns the path of an entry in the file, the message, and what was found, if the message does not have it."""
    keys = _keys_in_file(details, data)
    path = ".".join(map(str, keys)) or "(top level)"
    found, context = details["input"], details.get("ctx", {})
    if details["type"] == "extra_forbidden":
        close = difflib.get_close_matches(str(keys[-1]), _known_keys(), n=1)
        return path, "unknown key; " + (f"did you mean `{close[0]}`?" if close else "see `fieldpool schema`"), ""
    if details["type"] == "missing":
        return path, "is missing; add it", ""
    if details["type"] == "union_tag_not_found":
        return path, f"`type:` is missing; expected {_TYPES_IN_WORDS}", ""
    if details["type"] == "union_tag_invalid":
        words = {word: name for name, words in _FIELD_TYPES.items() for word in (name, *words)}
        tag = context["tag"]
        close = difflib.get_close_matches(tag.lower(), words, n=1)
        return (
            f"{path}.type",
            f"expected {_TYPES_IN_WORDS}, found {tag!r}" + (f"; did you mean `{words[close[0]]}`?" if close else ""),
            "",
        )
    if details["type"] == "string_pattern_mismatch":
        return (
            path,
            (
                f"{found!r} is not a valid name; expected up to 100 letters, digits, '_', '-' or '.', starting with a "
                "letter or digit (a raw column of any name can be read with `column:`)"
            ),
            "",
        )
    if details["loc"][-1:] == ("[key]",) or details["type"] == "invalid_key":
        return ".".join(map(str, keys[:-1])) or "(top level)", "expected names that are texts", _found(details, found)
    message = details["msg"]
    for pattern, words_of_spec in _REWORDED:
        message = re.sub(pattern, words_of_spec, message)
    if details["type"] in ("value_error", "split_kind", "derivation_kind", "scale_kind"):
        section, colon, rest = message.partition(": ")
        if not keys and colon and section.split(".")[0] in Spec.model_fields:
            return section, rest, ""
        return path, message, ""
    return path, message, _found(details, found)


def _found(details: ErrorDetails, value: Any) -> str:
    """Returns what was found, and the correction if it is obvious."""
    if details["type"] == "too_short":
        return ""
    if isinstance(value, bool):
        return (
            f" (found {str(value).lower()}; YAML reads yes, no, on and off as booleans, texts like these need quotes)"
        )
    if isinstance(value, str | int | float):
        text = repr(value)
    else:
        text = {dict: "a mapping", list: "a list", type(None): "null"}.get(type(value), f"a {type(value).__name__}")
    if details["type"] == "string_type" and not isinstance(value, dict | list | None):
        return f" (found {text}; texts like this need quotes)"
    if details["type"] == "literal_error" and isinstance(value, str):
        close = difflib.get_close_matches(value, re.findall(r"'([^']*)'", details["ctx"]["expected"]), n=1)
        return f" (found {text})" + (f"; did you mean `{close[0]}`?" if close else "")
    return f" (found {text})"


def _keys_in_file(details: ErrorDetails, data: Any) -> list[int | str]:
    """Returns the location without the names of union variants that pydantic inserts."""
    path = list(details["loc"])
    if path[:1] == ["split"]:
        del path[1:2]  # The variant: column, files, hash or time.
    elif path[:1] == ["fields"]:
        del path[2:3]  # The variant: categorical, multivalued, numeric or vector.
        if path[2:3] == ["from"]:
            del path[3:4]  # The variant: time, age, cross and so on.
    keys: list[int | str] = []
    for position, key in enumerate(path):
        has_key = (isinstance(data, dict) and key in data) or (
            isinstance(data, list) and isinstance(key, int) and key < len(data)
        )
        if has_key:
            keys.append(key)
            data = data[key]
        elif position == len(path) - 1 and details["type"] == "missing":
            keys.append(key)
    return keys


def _known_keys() -> set[str]:
    models = [m for m in vars(spec_module).values() if isinstance(m, type) and issubclass(m, BaseModel)]
    return {key for model in models for key in model.model_fields}
