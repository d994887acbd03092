"""Arguments and options that several commands share, with their help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import typer

# Equal to `jobs.options.Mode`, which takes a second to import.
Mode = Literal["auto", "memory", "threads", "processes"]

SpecPath = Annotated[str, typer.Argument(metavar="SPEC", help="The spec, a YAML file.")]
Data = Annotated[
    list[str],
    typer.Argument(metavar="DATA", help="CSV, JSON Lines, Parquet or TFRecord files; quote patterns: 'logs/*.csv'."),
]
SpecOrData = Annotated[str, typer.Argument(metavar="SPEC", help="The spec, a YAML file; left out with --using.")]
DataAfterSpec = Annotated[
    list[str] | None,
    typer.Argument(metavar="DATA", help="CSV, JSON Lines, Parquet or TFRecord files; quote patterns: 'logs/*.csv'."),
]
RunPath = Annotated[str, typer.Argument(metavar="RUN", help="A run directory, created by `fieldpool transform`.")]
ModelPath = Annotated[str, typer.Argument(metavar="MODEL", help="The folder of a trained model, or its model.keras.")]
Split = Annotated[str, typer.Option(help="train, eval or test.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Runner = Annotated[
    str | None,
    typer.Option(
        help="A Beam runner, such as DataflowRunner; default: this machine. Beam's own options are accepted, too, such "
        "as --project, --region, --temp_location: see docs/dataflow.md and docs/runners.md."
    ),
]
BeamArguments = Annotated[
    list[str] | None,
    typer.Option("--beam", help="An option that only the job server knows: --beam=--x=1. Repeatable."),
]
ModeOption = Annotated[
    Mode,
    typer.Option(
        "--mode",
        help="How to run on this machine: in this process (memory), in --workers threads of it, in processes, or by "
        "the size of the data (auto).",
    ),
]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Number of threads or processes; default: one for every two cores.")
]
CountsCache = Annotated[
    str | None,
    typer.Option(
        "--counts-cache",
        metavar="FOLDER",
        help="Keep counts of files, or of folders such as dt=2026-11-01; the analysis reads only new ones.",
    ),
]
Using = Annotated[
    str | None, typer.Option("--using", metavar="RUN", help="Apply the transform and the vocabularies of this run.")
]
Grow = Annotated[
    str | None, typer.Option("--grow", metavar="RUN", help="Extend the vocabularies of this run; ids never move.")
]
AsOf = Annotated[
    str | None,
    typer.Option(
        "--as-of",
        metavar="DATE",
        help="With --grow, the date of the rows, from which `retire_after` is counted; default: that of the newest "
        "partition folder or time.",
    ),
]
Epochs = Annotated[int | None, typer.Option(min=1, help="Overrides train.epochs of the spec.")]
Seed = Annotated[int | None, typer.Option(min=0, max=2**32 - 1, help="Overrides train.seed of the spec.")]
ResumeTraining = Annotated[bool, typer.Option("--resume", help="Continue from the last complete checkpoint in --out.")]
ResumeWorkflow = Annotated[
    bool, typer.Option("--resume", help="Continue in --out: keep the run if its inputs are unchanged.")
]
Strategy = Annotated[
    Literal["none", "mirrored", "workers"],
    typer.Option(
        help="mirrored: all GPUs of this machine; workers: multi-worker training as TF_CONFIG describes; run this "
        "command on every machine."
    ),
]
GaucBy = Annotated[
    str | None, typer.Option(help="The categorical field or carried column that groups GAUC, usually the user.")
]
RankBy = Annotated[
    str | None,
    typer.Option(
        help="Also compute nDCG, MRR, hit rate and AUC within the values of this categorical field or carried column, "
        "usually the impression."
    ),
]
Slices = Annotated[
    list[str] | None,
    typer.Option(
        "--slice",
        help="Also compute metrics by the values, or list lengths, of this field or carried column. Repeatable.",
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing output once the new one is complete.")]

OverwriteModel = Annotated[
    bool,
    typer.Option(
        "--overwrite",
        help="Train from scratch; replace an existing model, and its export, once the new one is complete.",
    ),
]


@dataclass(frozen=True)
class RunnerOptions:
    """The options of a command that say where a Beam pipeline runs."""

    mode: Mode = "auto"
    workers: int | None = None
    runner: str | None = None
    beam: list[str] | None = None
