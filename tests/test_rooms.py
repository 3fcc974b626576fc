"""Who may import whom, and what a torch-free installation must be able to load."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TORCH_FREE = [
    "echoseg",
    "echoseg.cine",
    "echoseg.cli",
    "echoseg.clinical",
    "echoseg.datasets",
    "echoseg.engine",
    "echoseg.evaluation",
    "echoseg.io",
    "echoseg.metrics",
    "echoseg.report",
    "echoseg.simulator",
]
HEAVY = ("torch", "torchvision", "timm", "lightning_fabric", "einops", "jaxtyping")


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_upper_rooms_import_lower_ones_and_never_the_other_way():
    done = run(str(Path(sys.executable).with_name("lint-imports")), "--no-cache")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.mark.parametrize("module", TORCH_FREE)
def test_what_runs_a_trained_model_loads_no_torch(module):
    code = f"import sys, {module}; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = run(sys.executable, "-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_torch_free_rooms_work_where_torch_is_not_installed():
    """Segmenting, measuring and reporting are imported by name, with every training package out of reach."""
    hide = f"import sys; sys.modules.update(dict.fromkeys({HEAVY!r}))"
    names = (
        "from echoseg.engine import Segmenter; from echoseg.report import write_case; "
        "from echoseg.evaluation import evaluate_model; from echoseg.simulator import simulate, write_echonet; "
        "from echoseg.io import read_cine, write_video; from echoseg.datasets import open_dataset; "
        "from echoseg.clinical import measure_cine; import echoseg.cli"
    )
    done = run(sys.executable, "-c", f"{hide}; {names}")
    assert done.returncode == 0, done.stderr


def test_methods_do_not_know_each_other():
    """A method is one story; what two share lies in nn or losses."""
    methods = ROOT / "src" / "echoseg" / "methods"
    names = {
        path.stem for path in methods.iterdir() if path.stem not in ("__init__", "base", "registry", "__pycache__")
    }
    assert {"echoforge", "framewise"} <= names
    for name in names:
        files = [methods / f"{name}.py"] if (methods / f"{name}.py").exists() else list((methods / name).glob("*.py"))
        text = "\n".join(file.read_text(encoding="utf-8") for file in files)
        for other in names - {name}:
            assert f"echoseg.methods.{other}" not in text, f"{name} imports {other}"
