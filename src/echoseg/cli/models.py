"""Loading the model that a command line names."""

from __future__ import annotations

from pathlib import Path

from echoseg.engine import CONFIG_FILE, Segmenter

RUN_MODEL = "model"  # folder in which a training run leaves its model


def load_segmenter(name: str, threads: int | None = None) -> Segmenter:
    """A model by the name of one that ships, its folder, or the folder of the run that trained it."""
    inside = Path(name) / RUN_MODEL
    if (inside / CONFIG_FILE).is_file() and not (Path(name) / CONFIG_FILE).is_file():
        return Segmenter.load(inside, threads=threads)
    return Segmenter.load(name, threads=threads)
