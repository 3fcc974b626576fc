"""`echoseg info`: what is installed. It answers at once, so nothing beyond the standard library is imported."""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import echoseg
from echoseg.cli.optional import EXTRAS, missing
from echoseg.cli.output import say, write_json

MODELS = Path(echoseg.__file__).parent / "models"


def run(args: Sequence[str]) -> int:
    """Show the installation."""
    parser = argparse.ArgumentParser(
        "echoseg info",
        allow_abbrev=False,
        description="Version, models that ship with the package, optional parts that are installed.",
    )
    parser.add_argument("--json", action="store_true", help="one line for another program on stdout")
    options = parser.parse_args(args)
    document = info_document()
    if options.json:
        write_json(document)
    else:
        say(_text(document))
    return 0


def info_document() -> dict[str, Any]:
    """Everything that is shown."""
    return {
        "echoseg": echoseg.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": cpu_count(),
        "extras": {extra: not missing(extra) for extra in EXTRAS},
        "models": [_model(folder.parent) for folder in sorted(MODELS.glob("*/config.json"))],
    }


def cpu_count() -> int:
    """CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _model(folder: Path) -> dict[str, Any]:
    """A model that ships, from its config as it stands: checking it is left to whoever loads it, which takes numpy."""
    shown: dict[str, Any] = {
        "name": folder.name,
        "path": str(folder),
        "bytes": sum(file.stat().st_size for file in folder.iterdir() if file.is_file()),
    }
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        structures = list(config["structures"].values())
        return shown | {key: config[key] for key in ("version", "licence")} | {"structures": structures}
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        return shown | {"error": f"config.json is damaged ({error}); install echoseg again"}


def _text(document: dict[str, Any]) -> str:
    lines = [
        f"echoseg {document['echoseg']}",
        f"python {document['python']}, {document['platform']}, {document['cpus']} CPUs",
        "",
        "optional parts:",
    ]
    column = max(map(len, document["extras"]))
    for extra, installed in document["extras"].items():
        absent = ", ".join(missing(extra))
        state = "installed" if installed else f"missing {absent}: pip install 'echoseg[{extra}]'"
        lines.append(f"  {extra:<{column}}  {state}")
    lines += ["", "models:"]
    width = max((len(model["name"]) for model in document["models"]), default=0)
    for model in document["models"]:
        lines.append(f"  {model['name']:<{width}}  {_model_line(model)}")
    if not document["models"]:
        lines.append("  none ship with this installation; give a model folder with --model")
    return "\n".join(lines)


def _model_line(model: dict[str, Any]) -> str:
    if "error" in model:
        return str(model["error"])
    return (
        f"version {model['version']}, {', '.join(model['structures'])}, {model['bytes'] / 1e6:.1f} MB, "
        f"licence {model['licence']}"
    )
