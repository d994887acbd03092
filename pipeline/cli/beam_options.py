"""Accepts Beam's options on fieldpool's command line: `fieldpool transform … --runner DataflowRunner --project p`."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Iterator
from typing import Any

import typer

from .command import Command

# Collects Beam's options. Users set it directly for options that Beam lacks, such as those of a job server.
PASS_ON = "--beam"


class CommandWithBeamOptions(Command):
    """A command that accepts every option of Beam as well as its own, and passes Beam's on as `--beam=--name=value`."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Returns the arguments that are left after parsing; Beam's options are parsed as values of `--beam`."""
        own = {name for parameter in self.get_params(ctx) for name in (*parameter.opts, *parameter.secondary_opts)}
        return super().parse_args(ctx, list(_with_passed_on(args, own, ctx)))


def _with_passed_on(args: list[str], own: set[str], ctx: typer.Context) -> Iterator[str]:
    """Yields the arguments, with options that are not in `own` rewritten as values of `--beam`."""
    beams: argparse.ArgumentParser | None = None
    left = iter(args)
    for argument in left:
        name, equals, _ = argument.partition("=")
        if argument == "--":
            yield from (argument, *left)
        elif name in own or not argument.startswith("--"):
            yield argument
        else:
            beams = beams or _beam_parser()  # Beam takes a second to import.
            action = beams._option_string_actions.get(name)
            if action is None:
                ctx.fail(f"No such option: {name}. {_did_you_mean(name, own, beams)}")
            value = "" if equals or action.nargs == 0 else f"={_value(name, left, ctx)}"
            yield f"{PASS_ON}={argument}{value}"


def _value(name: str, left: Iterator[str], ctx: typer.Context) -> str:
    for value in left:
        return value
    ctx.fail(f"Option {name!r} requires an argument.")


def _did_you_mean(name: str, own: set[str], beams: argparse.ArgumentParser) -> str:
    known = {*own, *beams._option_string_actions}
    close = difflib.get_close_matches(name, known, n=2) or difflib.get_close_matches(name.replace("-", "_"), known, n=2)
    return f"Did you mean {' or '.join(close)}?" if close else f"For an option of a job server: {PASS_ON}={name}=…"


def _beam_parser() -> argparse.ArgumentParser:
    """Returns a parser of all of Beam's options, including those that fieldpool adds."""
    from apache_beam.options.pipeline_options import PipelineOptions

    from ..jobs import options  # noqa: F401  Registers the options that fieldpool adds.

    found: list[Any] = []
    PipelineOptions([]).get_all_options(add_extra_args_fn=found.append)
    parser: argparse.ArgumentParser = found[0]
    return parser
