"""`result.json`: everything that was measured of one case, for other programs.

    {"schema": 1, "echoseg": "0.1.0", "source": "a.dcm", "model": "name version", "licence": ...,
     "n_frames": 30, "height": 240, "width": 320, "fps": 47.2 | null, "spacing_mm": {"row": .., "col": ..} | null, "view": "A4C",
     "units": {"area": "mm2" | "px2", "length": "mm" | "px", "volume": "mL" | "px3", "time": "s"},
     "edv", "esv", "ef_percent", "ef_range": [lowest, highest], "unit", "method", "n_beats", "heart_rate_bpm",
     "ef_regressed": {"ef_percent", "sd_percent" | null, "clips_percent": [...], "model"} | null,
     "beats": [{"ed_frame", "es_frame", "next_ed_frame", "complete", "edv", "esv", "ef_percent"}],
     "measures": {"beats": [{"ed_frame", "es_frame", "next_ed_frame", "complete",
                             "numbers": {key: {"value", "unit", "method", "frames": [...]}}}],
                  "median": {key: {"value", "unit", "method", "frames": [...]}},
                  "ranges": {key: [{"who": "women" | "men" | "adults", "low", "high", "unit", "source"}]},
                  "strain": {"global": [...], "mid": [...] | null, "segments": {name: [...]}, "unit": "%"} | null,
                  "rhythm": {"shortest_s", "mean_s", "longest_s", "irregular", "typical_beat", "ectopic_beats": [...]} | null,
                  "body_surface_m2": 1.9 | null} | null,
     "quality": {"flag": "pass" | "review" | "fail", "reasons": [...]},
     "warnings": [...],
     "frames": [{"frame", "time_s", "area", "length", "volume", "confidence"}]}

Frames and beats count from 0. What could not be measured is null or absent, never NaN. The keys of the numbers stand in
`clinical/measures.py`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from echoseg.cine import Segmentation
from echoseg.clinical import Beat, ContourStrain, Ejection, Indices, Measured, Measures, RegressedEf, Rhythm
from echoseg.errors import InputError
from echoseg.version import __version__

SCHEMA = 1
RESULT_FILE = "result.json"

Document = dict[str, Any]


def result_document(segmentation: Segmentation, indices: Indices, *, licence: str | None = None) -> Document:
    """Content of `result.json`, ready for `json.dumps`."""
    meta, curve, summary = segmentation.meta, indices.curve, indices.summary
    return {
        "schema": SCHEMA,
        "echoseg": __version__,
        "source": meta.source,
        "model": segmentation.model,
        "licence": licence,
        "n_frames": meta.n_frames,
        "height": meta.height,
        "width": meta.width,
        "fps": meta.fps,
        "spacing_mm": None if meta.spacing is None else {"row": meta.spacing.row_mm, "col": meta.spacing.col_mm},
        "view": meta.view.value,
        "units": {
            "area": curve.area_unit,
            "length": curve.area_unit.removesuffix("2"),
            "volume": curve.unit,
            "time": "s",
        },
        "edv": _number(summary.edv) if summary else None,
        "esv": _number(summary.esv) if summary else None,
        "ef_percent": _number(summary.ef_percent) if summary else None,
        "ef_range": [_number(ef) for ef in summary.ef_range] if summary else None,
        "unit": curve.unit,
        "method": curve.method,
        "n_beats": summary.n_beats if summary else 0,
        "heart_rate_bpm": _number(summary.heart_rate_bpm) if summary else None,
        "ef_regressed": _regressed(indices.regressed),
        "beats": [_beat(beat, ejection_of(beat, indices)) for beat in indices.beats],
        "measures": _measures(indices.extras),
        "quality": {"flag": indices.quality.flag.value, "reasons": list(indices.quality.reasons)},
        "beyond_training": list(segmentation.beyond_training),
        "doubtful_below": segmentation.doubtful_below,
        "warnings": list(all_warnings(segmentation, indices)),
        "frames": _frames(segmentation, indices),
    }


def all_warnings(segmentation: Segmentation, indices: Indices) -> tuple[str, ...]:
    """Warnings about the file, the model and the measurement, each once."""
    return tuple(dict.fromkeys((*segmentation.meta.warnings, *indices.warnings)))


def ejection_of(beat: Beat, indices: Indices) -> Ejection | None:
    """Volumes of a beat; None where they could not be measured."""
    for ejection in indices.ejections:
        if (ejection.ed_frame, ejection.es_frame) == (beat.ed_frame, beat.es_frame):
            return ejection
    return None


def to_text(document: Document) -> str:
    """JSON of a document, one line per frame so that files stay readable and comparable."""
    frames = document.get("frames", [])
    head = json.dumps({**document, "frames": []}, indent=1, allow_nan=False, ensure_ascii=False)
    if not frames:
        return head + "\n"
    lines = ",\n  ".join(json.dumps(frame, allow_nan=False) for frame in frames)
    return head.removesuffix("[]\n}") + f"[\n  {lines}\n ]\n}}\n"


def read_result(case_dir: Path) -> Document | None:
    """The result of an earlier call, None where there is none.

    Raises:
        InputError: the file is damaged or of another version.
    """
    file = case_dir / RESULT_FILE
    if not file.is_file():
        return None
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: not readable ({error}); delete the folder and run again") from error
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise InputError(f"{file}: not a result of schema {SCHEMA}; delete the folder and run again")
    return document


def _beat(beat: Beat, ejection: Ejection | None) -> Document:
    return {
        "ed_frame": beat.ed_frame,
        "es_frame": beat.es_frame,
        "next_ed_frame": beat.next_ed_frame,
        "complete": beat.complete,
        "edv": _number(ejection.edv) if ejection else None,
        "esv": _number(ejection.esv) if ejection else None,
        "ef_percent": _number(ejection.ef_percent) if ejection else None,
    }


def _regressed(found: RegressedEf | None) -> Document | None:
    """What a network read off the frames: nothing to do with the volumes, which `ef_percent` above comes from."""
    if found is None:
        return None
    return {
        "ef_percent": _number(found.ef_percent),
        "sd_percent": _number(found.sd_percent),
        "clips_percent": [_number(value) for value in found.clips],
        "model": found.model,
    }


def _measures(found: Measures | None) -> Document | None:
    if found is None:
        return None
    return {
        "beats": [
            {
                "ed_frame": beat.ed_frame,
                "es_frame": beat.es_frame,
                "next_ed_frame": beat.next_ed_frame,
                "complete": beat.complete,
                "numbers": _measured(beat.numbers),
            }
            for beat in found.beats
        ],
        "median": _measured(found.median),
        "ranges": {key: [asdict(one) for one in ranges] for key, ranges in found.ranges.items()},
        "strain": _strain(found.strain),
        "rhythm": _rhythm(found.rhythm),
        "body_surface_m2": _number(found.body_surface_m2),
    }


def _measured(numbers: Mapping[str, Measured]) -> Document:
    return {
        key: {
            "value": _number(number.value),
            "unit": number.unit,
            "method": number.method,
            "frames": list(number.frames),
        }
        for key, number in numbers.items()
    }


def _strain(found: ContourStrain | None) -> Document | None:
    if found is None:
        return None
    return {
        "global": _numbers(found.global_percent),
        "mid": None if found.mid_percent is None else _numbers(found.mid_percent),
        "segments": {name: _numbers(row) for name, row in zip(found.names, found.segments_percent, strict=True)},
        "unit": "%",
    }


def _rhythm(found: Rhythm | None) -> Document | None:
    if found is None:
        return None
    document = {key: _number(value) if isinstance(value, float) else value for key, value in asdict(found).items()}
    return document | {"ectopic_beats": list(found.ectopic_beats)}


def _frames(segmentation: Segmentation, indices: Indices) -> list[Document]:
    curve = indices.curve
    missing = [None] * len(curve)
    times = missing if curve.times_s is None else _numbers(curve.times_s)
    confidence = missing if segmentation.confidence is None else _numbers(segmentation.confidence)
    columns = zip(
        times, _numbers(curve.areas), _numbers(curve.lengths), _numbers(curve.values), confidence, strict=True
    )
    keys = ("time_s", "area", "length", "volume", "confidence")
    return [{"frame": i, **dict(zip(keys, values, strict=True))} for i, values in enumerate(columns)]


def _numbers(values: NDArray[np.floating[Any]]) -> list[float | None]:
    return [_number(value) for value in values.tolist()]


def _number(value: float | None) -> float | None:
    """A number as JSON has it: four decimals are enough for every unit here, NaN becomes null."""
    return round(float(value), 4) if value is not None and math.isfinite(value) else None
