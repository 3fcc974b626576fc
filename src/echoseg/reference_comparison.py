"""Results of `segment` or `measure` compared with a table of reference values: the files of `evaluate --ef`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from echoseg.errors import InputError
from echoseg.io import atomic_write_text
from echoseg.reference_page import write_reference_page
from echoseg.reference_values import (
    Matching,
    Reference,
    Result,
    agreement_document,
    match,
    pairs_csv,
    read_references,
    read_results,
    shown,
)

AGREEMENT_FILE, PAIRS_FILE = "agreement.json", "pairs.csv"


def compare_with_references(references: Path, results: Path, out: Path | None = None) -> dict[str, Any]:
    """Compare results with a table of reference values.

    Args:
        references: CSV file, see the head of this module.
        results: folder that `segment` or `measure` wrote, or its `summary.csv` or `studies.csv`.
        out: folder for `agreement.json` and `pairs.csv`, and `cohort.html` where `results` is a folder; None writes nothing.

    Returns:
        The content of `agreement.json`; differences are result minus reference.

    Raises:
        InputError: a table cannot be read, or fewer than two ejection fractions can be compared.
    """
    level, known = read_references(references)
    found = read_results(results, level)
    matching = match(level, known, found)
    if len(matching.values("ef")) < 2:
        raise InputError(_too_few(matching, known, found, references))
    document = agreement_document(matching, references, results)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        atomic_write_text(out / PAIRS_FILE, pairs_csv(matching))
        if results.is_dir():
            write_reference_page(out, results, found, matching)
        atomic_write_text(
            out / AGREEMENT_FILE, json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
        )
    return document


def _too_few(matching: Matching, known: Sequence[Reference], found: Sequence[Result], path: Path) -> str:
    ours, theirs = shown([one.name for one in found]), shown([one.name for one in known])
    return (
        f"{path}: {len(matching.values('ef'))} of its {len(known)} rows can be compared, at least two are needed; it names {theirs}, "
        f"the results are {ours or 'none'}; write the name of the {matching.level}, of its file or its path"
    )
