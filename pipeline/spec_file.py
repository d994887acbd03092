"""Reads and writes spec files: YAML ↔ validated `Spec`. Errors name the file, the entry and the fix."""

from __future__ import annotations

import io
import os
import re
from typing import IO, Any

import yaml
from pydantic import ValidationError

from ..transforms.errors import SpecError
from ..transforms.kinds import Kind, check_cloud_access, check_kind
from ..transforms.spec import Spec
from ..transforms.spec.inputs import vector_files, with_vectors
from .spec_errors import messages_of

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

# The number of mistakes that an error shows.
_MOST_LINES = 5


def load_spec(path: str) -> Spec:
    """Returns the spec in the YAML file `path`; relative paths in it begin at its folder.

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
    spec = parse_spec(data, path)
    files = {name: file for name, file in vector_files(spec).items() if "://" not in file}
    return with_vectors(spec, {n: {"vectors": os.path.join(os.path.dirname(path), file)} for n, file in files.items()})


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
    check_cloud_access(path)
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
        loader = _SafeLoader(text)
        root = loader.get_single_node()
        if root is None:
            return None
        _count_values(root, {}, origin)
        return loader.construct_document(root)
    except _YAML_ERRORS as error:
        if isinstance(error, SpecError):
            raise
        # Inside braces, YAML takes the brackets of a path for a list.
        quotes = '. Write paths with [] in quotes: column: "tags[].name"' if re.search(r"\w\[\]", text) else ""
        raise SpecError(f"{origin}: not valid YAML: {str(error)[:1000]}{quotes}") from None


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
        lines = [f"  {path}: {message}" for path, message in messages_of(error.errors(), data).items()]
        if len(lines) > _MOST_LINES:
            lines[_MOST_LINES - 1 :] = [f"  … and {len(lines) - _MOST_LINES + 1} more"]
        raise SpecError("\n".join([f"{origin}: the spec is not valid", *lines])) from None


def dump_spec(spec: Spec) -> str:
    """Returns the spec as YAML: only entries that were set or resolved, in the order of `Spec`."""
    return yaml.safe_dump(
        spec.model_dump(mode="json", exclude_unset=True),
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=None,
    )
