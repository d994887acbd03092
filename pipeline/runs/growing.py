"""`--grow RUN`: a new run whose vocabularies extend those of an older one."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from datetime import date
from typing import Any

from ...transforms.errors import FieldpoolWarning, UserError
from ...transforms.runs.run import Run
from ...transforms.runs.run_stats import Ancestor
from ...transforms.spec import Spec
from ..analysis.growth import Growth


@dataclass(frozen=True)
class Growing:
    """What a new run extends, and the date of its rows.

    Attributes:
        older: The run to extend; None for a first run, which only gets ledgers.
        as_of: The date of the rows; None: that of the newest partition folder or time, if they have one.
    """

    older: Run | None
    as_of: date | None

    @property
    def is_given(self) -> bool:
        """Whether the user asks for it; a spec with `retire_after` is another reason for ledgers."""
        return self.older is not None or self.as_of is not None

    def as_json(self) -> dict[str, Any]:
        """Returns plain values."""
        return {"older": self.older and self.older.path, "as_of": self.as_of and self.as_of.isoformat()}

    def growth(self, spec: Spec) -> Growth:
        """Returns what the analysis needs.

        Raises:
            UserError: a vocabulary has another number of OOV buckets than in the older run.
        """
        if self.older is None:
            return Growth(as_of=self.as_of)
        before = self.older.spec.resolved_vocabularies()
        for name, settings in spec.resolved_vocabularies().items():
            buckets = before.get(name, settings).num_oov_buckets
            if settings.num_oov_buckets != buckets:
                raise UserError(
                    f"--grow {self.older.path}: the vocabulary {name} has {buckets} OOV buckets there; expected the "
                    f"same number, found num_oov_buckets {settings.num_oov_buckets} in the spec, which would move all "
                    "ids. Change it back, or create a run without --grow"
                )
        gone = [name for name in before if name not in spec.resolved_vocabularies()]
        if gone:
            message = (
                f"--grow {self.older.path}: no field of the spec uses its vocabulary {', '.join(gone)}, so the new run "
                "does not have these tokens and ids. If a field has a new name, add `vocabulary: OLD_NAME` to it"
            )
            warnings.warn(message, FieldpoolWarning, stacklevel=2)
        ledgers = {name: self.older.ledger(name) for name in before}
        return Growth(self.older.path, ledgers, self.older.stats.as_of, self.as_of)

    def extends(self) -> list[Ancestor] | None:
        """Returns the older runs that the new run extends, the oldest first; None for a first run."""
        if self.older is None:
            return None
        stats, sha256 = self.older.stats, self.older.identity.vocabularies_sha256
        return [*(stats.extends or []), Ancestor(run=self.older.path, as_of=stats.as_of, vocabularies=sha256)]


def growing_of(spec: Spec, older: Run | None, as_of: date | None) -> Growing | None:
    """Returns what a new run extends; None if it needs no ledgers.

    It needs them to extend a run, to state a date, and if the spec has `retire_after`.
    """
    retiring = any(settings.retire_after for settings in spec.resolved_vocabularies().values())
    return Growing(older, as_of) if older is not None or as_of is not None or retiring else None
