"""Model folders: those that ship inside the package, and any other by its path."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from echoseg.engine.config import CARD_FILE, CONFIG_FILE, MODEL_FILE, ModelConfig
from echoseg.engine.config_text import is_ef_config
from echoseg.errors import ModelError

SHIPPED = Path(__file__).resolve().parent.parent / "models"


@dataclass(frozen=True)
class ModelFolder:
    """A model on disk, its config read and checked, its weights not yet.

    Attributes:
        path: the folder.
        config: its `config.json`.
    """

    path: Path
    config: ModelConfig

    @property
    def card(self) -> str:
        """Text of the model card: data, licence, metrics, limits; empty where the folder has none."""
        card = self.path / CARD_FILE
        return card.read_text(encoding="utf-8") if card.is_file() else ""

    def read_weights(self) -> bytes:
        """Content of `model.onnx`, its checksum verified."""
        return verified_weights(self.path, self.config.sha256)


def verified_weights(path: Path, sha256: Mapping[str, str]) -> bytes:
    """Content of `model.onnx` in the folder `path`, its checksum verified against that of `config.json`."""
    file = path / MODEL_FILE
    expected = sha256.get(MODEL_FILE)
    if expected is None:
        raise ModelError(f"{path / CONFIG_FILE}: no sha256 of {MODEL_FILE}; export the model again")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ModelError(f"{file}: cannot be read ({error.strerror}); export or download the model again") from error
    found = hashlib.sha256(content).hexdigest()
    if found != expected.lower():
        raise ModelError(
            f"{file}: sha256 {found[:12]}... but {CONFIG_FILE} says {expected[:12]}...; "
            "the file was changed or cut short: export or download the model again"
        )
    return content


def require_files(folder: Path) -> None:
    """ModelError where a folder is no model folder."""
    for name in (CONFIG_FILE, MODEL_FILE):
        if not (folder / name).is_file():
            raise ModelError(f"{folder}: holds no {name}; a model folder is what `echoseg export` writes")


def open_folder(path: Path | str) -> ModelFolder:
    """Read the config of the model folder at `path`."""
    folder = Path(path)
    require_files(folder)
    file = folder / CONFIG_FILE
    try:
        return ModelFolder(folder, ModelConfig.from_json(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{file}: cannot be read ({error}); export or download the model again") from error
    except ModelError as error:
        raise ModelError(f"{file}: {error}") from error


def is_ef_folder(path: Path | str) -> bool:
    """Whether a folder holds a model that regresses the ejection fraction and draws no masks."""
    try:
        return is_ef_config((Path(path) / CONFIG_FILE).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return False


def list_models(root: Path | None = None) -> tuple[ModelFolder, ...]:
    """The models that draw masks and ship with the package (or lie under `root`), by name."""
    root = root or SHIPPED
    folders = sorted(f.parent for f in root.glob(f"*/{CONFIG_FILE}")) if root.is_dir() else []
    return tuple(open_folder(folder) for folder in folders if not is_ef_folder(folder))


def find_model(name_or_folder: Path | str, root: Path | None = None) -> ModelFolder:
    """A shipped model by its name, else a folder by its path (`./name` for a folder named like a shipped model)."""
    return open_folder(find_folder(name_or_folder, root))


def find_folder(name_or_folder: Path | str, root: Path | None = None) -> Path:
    """The folder of a model of either kind, by the same rule."""
    root = root or SHIPPED
    name = str(name_or_folder)
    if isinstance(name_or_folder, str) and name and Path(name).name == name and (root / name / CONFIG_FILE).is_file():
        return root / name
    if name and Path(name).is_dir():
        return Path(name)
    shipped = ", ".join(model.path.name for model in list_models(root)) or "none ship with this installation"
    raise ModelError(f"model {name!r}: no such model or folder; shipped models: {shipped}")
