"""Reads and writes spec files: YAML ↔ validated `Spec`. Errors name the file, the entry and the fix."""

from __future__ import annotations

import difflib
import io
import re
from typing import IO, Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ..transforms import spec as spec_module
from ..transforms.errors import SpecError
from ..transforms.kinds import Kind, check_kind
from ..transforms.spec import Spec

# What PyYAML raises for invalid text: not only YAMLErrors, for example for `!!bool x` and 2024-99-99.
_YAML_ERRORS = (
    yaml.YAMLError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    OverflowError,
    RecursionError,
)

# Limits of a spec file: far more than a spec of 1,000 fields needs.
MOST_BYTES = 4 << 20
_MOST_VALUES = 200_000

# Examples of spec entries, shown in place of the class names in pydantic's messages.
_EXAMPLES = {"TokenPolicy": "{token: X}", "Quantiles": "{quantiles: 10}", "Label": "{field: click}"}


def load_spec(path: str) -> Spec:
    """Returns the spec in the YAML file `path`.

    Raises:
        SpecError: the file is missing, is not YAML, or does not hold a valid spec.
    """
    try:
        data = parse_yaml(_read(path), path)
    except SpecError:
        check_kind(path, Kind.SPEC, SpecError)
        raise
    if not isinstance(data, dict) or not data.keys() & Spec.model_fields:
        check_kind(path, Kind.SPEC, SpecError)  # CSV and JSON can be valid YAML.
    return parse_spec(data, path)


def _read(path: str) -> str:
    """Returns the text of a file, truncated to one character more than a spec may have."""
    try:
        with _open(path) as file:
            return file.read(MOST_BYTES + 1)
    except OSError as error:
        raise SpecError(f"{path}: cannot read the spec ({error.strerror or error}); check the path") from None
    except UnicodeDecodeError as error:
        raise SpecError(f"{path}: not valid YAML: {error}") from None


def _open(path: str) -> IO[str]:
    if "://" not in path:
        return open(path, encoding="utf-8")
    from apache_beam.io.filesystems import FileSystems  # Imported here because it takes seconds and is rarely needed.

    try:
        return io.TextIOWrapper(FileSystems.open(path), encoding="utf-8")
    except Exception as error:  # Each file system raises its own client's exceptions.
        raise OSError(str(error)) from None


def parse_yaml(text: str, origin: str) -> Any:
    """Returns the plain values in a YAML text; `origin` names the text in errors.

    Raises:
        SpecError: the text is not valid YAML, has a duplicate key, or is too large, before or after its aliases are
            expanded.
    """
    if len(text) > MOST_BYTES:
        raise SpecError(f"{origin}: larger than {MOST_BYTES:,} bytes, so it is not a spec; is it a data file?")
    try:
        root = yaml.compose(text, _SafeLoader)
        if root is not None:
            _count_values(root, {}, origin)
        return yaml.load(text, _SafeLoader)
    except _YAML_ERRORS as error:
        if isinstance(error, SpecError):
            raise
        raise SpecError(f"{origin}: not valid YAML: {str(error)[:1000]}") from None


class _SafeLoader(yaml.SafeLoader):
    """PyYAML's safe loader, which creates only plain values; also rejects duplicate keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        duplicate = next((key for index, key in enumerate(keys) if key in keys[:index]), None)
        if duplicate is not None:
            raise yaml.constructor.ConstructorError(None, None, f"duplicate key `{duplicate}`", node.start_mark)
        return super().construct_mapping(node, deep)


def _count_values(node: yaml.Node, counted: dict[yaml.Node, int], origin: str) -> int:
    """Returns the number of values in a node, with aliases expanded."""
    if node not in counted:
        counted[node] = _MOST_VALUES + 1  # For a node that contains itself.
        children = node.value if isinstance(node.value, list) else []
        parts = [part for child in children for part in (child if isinstance(child, tuple) else (child,))]
        counted[node] = 1 + sum(_count_values(part, counted, origin) for part in parts)
    if counted[node] > _MOST_VALUES:
        raise SpecError(f"{origin}: has more than {_MOST_VALUES:,} values after its aliases are expanded")
    return counted[node]


def parse_spec(data: Any, origin: str) -> Spec:
    """Returns the spec in `data`, the plain values of a YAML text; `origin` names the text in errors.

    Raises:
        SpecError: `data` is not a valid spec; the message has a line for each wrong entry.
    """
    if not isinstance(data, dict):
        raise SpecError(f"{origin}: expected a mapping with label, split and fields; found {type(data).__name__}")
    try:
        return Spec.model_validate(data)
    except ValidationError as error:
        messages: dict[str, list[str]] = {}
        for details in error.errors():
            path, message = _explain_error(details, data)
            messages.setdefault(path, []).append(message)
        # An entry that matches none of several forms has one error per form: they are joined in one line.
        lines = (f"  {path}: {' or '.join(dict.fromkeys(texts))}" for path, texts in messages.items())
        raise SpecError(f"{origin}: the spec is not valid\n" + "\n".join(lines)) from None


def dump_spec(spec: Spec) -> str:
    """Returns the spec as YAML: only entries that were set or resolved, in the order of `Spec`."""
    return yaml.safe_dump(
        spec.model_dump(mode="json", exclude_unset=True),
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=None,
    )


def _explain_error(details: ErrorDetails, data: Any) -> tuple[str, str]:
    """Returns the path of an entry in the file, and the error message."""
    keys = _keys_in_file(details["loc"], data)
    path = ".".join(map(str, keys)) or "(top level)"
    found = details["input"]
    if details["type"] == "extra_forbidden":
        close = difflib.get_close_matches(str(keys[-1]), _known_keys(), n=1)
        return path, "unknown key; " + (f"did you mean `{close[0]}`?" if close else "see `fieldpool schema`")
    if details["type"] == "missing":
        return path, "is missing; add it"
    if details["type"] == "union_tag_not_found":
        return path, "`type:` is missing; expected categorical, multivalued or numeric"
    if details["type"] == "string_pattern_mismatch":
        return path, (
            f"{found!r} is not a valid name; expected up to 100 letters, digits, '_', '-' or '.', starting with a "
            "letter or digit (a raw column of any name can be read with `column:`)"
        )
    message = details["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
    message = re.sub(r"a valid dictionary or instance of (\w+)", lambda m: _EXAMPLES.get(m[1], "a mapping"), message)
    if details["type"] not in ("value_error", "split_kind") and isinstance(found, str | int | float | None):
        message += f" (found {found!r})"
    return path, message


def _keys_in_file(location: tuple[int | str, ...], data: Any) -> list[int | str]:
    """Returns the location without the names of union variants that pydantic inserts."""
    path = list(location)
    if path[:1] == ["split"]:
        del path[1:2]  # The variant: column, files, hash or time.
    elif path[:1] == ["fields"]:
        del path[2:3]  # The variant: categorical, multivalued or numeric.
    keys: list[int | str] = []
    for position, key in enumerate(path):
        has_key = (isinstance(data, dict) and key in data) or (
            isinstance(data, list) and isinstance(key, int) and key < len(data)
        )
        if has_key:
            keys.append(key)
            data = data[key]
        elif position == len(path) - 1 and isinstance(data, dict) and key != "[key]" and "literal[" not in str(key):
            keys.append(key)  # A key that is missing.
    return keys


def _known_keys() -> set[str]:
    models = [m for m in vars(spec_module).values() if isinstance(m, type) and issubclass(m, BaseModel)]
    return {key for model in models for key in model.model_fields}
