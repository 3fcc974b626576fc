"""Loading the models that a command line names."""

from __future__ import annotations

from pathlib import Path

from echoseg.engine import CONFIG_FILE, EfRegressor, Segmenter, is_ef_folder

RUN_MODEL = "model"  # folder in which a training run leaves its model


def load_segmenter(name: str, threads: int | None, backend: str) -> Segmenter:
    """A model by the name of one that ships, its folder, or the folder of the run that trained it."""
    return Segmenter.load(_model_of_run(name) or name, backend=backend, threads=threads)


def load_regressor(name: str, threads: int | None, backend: str) -> EfRegressor:
    """A model that regresses the ejection fraction, by its folder or the folder of the run that trained it."""
    return EfRegressor.load(_model_of_run(name) or name, backend=backend, threads=threads)


def regresses_ef(name: str) -> bool:
    """Whether a folder, or the folder of a run, holds a model that regresses the ejection fraction."""
    return is_ef_folder(_model_of_run(name) or name)


def _model_of_run(name: str) -> Path | None:
    """The model in the folder of a run; None where `name` is no such folder."""
    inside = Path(name) / RUN_MODEL
    return inside if (inside / CONFIG_FILE).is_file() and not (Path(name) / CONFIG_FILE).is_file() else None
