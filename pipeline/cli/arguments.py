"""Arguments and options that several commands have, with their help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import typer

# As `jobs.options.Mode`, which takes a second to import.
Mode = Literal["auto", "memory", "threads", "processes"]

SpecPath = Annotated[str, typer.Argument(metavar="SPEC", help="The spec, a YAML file.")]
Data = Annotated[
    list[str],
    typer.Argument(metavar="DATA...", help="CSV, JSON Lines, Parquet or TFRecord files; globs in quotes."),
]
SpecOrData = Annotated[str, typer.Argument(metavar="SPEC", help="The spec, a YAML file; none with --using.")]
DataAfterSpec = Annotated[
    list[str] | None,
    typer.Argument(metavar="DATA...", help="CSV, JSON Lines, Parquet or TFRecord files; globs in quotes."),
]
RunPath = Annotated[str, typer.Argument(metavar="RUN", help="A run directory, made by `fieldpool transform`.")]
ModelPath = Annotated[str, typer.Argument(metavar="MODEL", help="The folder of a training, or its model.keras.")]
Split = Annotated[str, typer.Option(help="train, eval or test.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Runner = Annotated[
    str | None,
    typer.Option(
        help="A Beam runner, such as DataflowRunner; default: in this process. Its options follow in Beam's own words "
        "(--project, --region, --temp_location …): docs/dataflow.md, docs/runners.md."
    ),
]
BeamArguments = Annotated[
    list[str] | None,
    typer.Option("--beam", help="An option that this Beam does not know, for a job server: --beam=--x=1."),
]
ModeOption = Annotated[
    Mode,
    typer.Option("--mode", help="Where to work on this machine: auto, memory (this process), threads or processes."),
]
Workers = Annotated[int | None, typer.Option(min=1, help="Threads or processes; default: one for two cores.")]
Using = Annotated[str | None, typer.Option("--using", metavar="RUN", help="Apply this run's transform to new rows.")]
Epochs = Annotated[int | None, typer.Option(min=1, help="Instead of train.epochs in the spec.")]
Seed = Annotated[int | None, typer.Option(min=0, help="Instead of train.seed in the spec.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from what a killed process left whole in --out.")]
Strategy = Annotated[
    Literal["none", "mirrored", "workers"],
    typer.Option(help="mirrored: on all GPUs of this machine; workers: on those of TF_CONFIG, this command on each."),
]
GaucBy = Annotated[str | None, typer.Option(help="A categorical field, the user for one: its values group GAUC.")]
Slices = Annotated[list[str] | None, typer.Option("--slice", help="A field to measure value by value; repeatable.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there, when the new one is whole.")]


@dataclass(frozen=True)
class RunnerOptions:
    """Where a Beam pipeline runs, as the options of a command say it."""

    mode: Mode = "auto"
    workers: int | None = None
    runner: str | None = None
    beam: list[str] | None = None
