"""Optional parts of the installation: told from the import system, without importing any."""

from __future__ import annotations

from importlib.util import find_spec

from echoseg.errors import UsageError

EXTRAS = {
    "train": ("torch", "torchvision", "timm", "lightning_fabric", "einops", "jaxtyping", "tensorboard", "onnx", "onnxscript"),
    "dicom": ("gdcm", "jpeg_ls", "pylibjpeg", "openjpeg", "rle", "highdicom", "dicomweb_client"),
    "pdf": ("fpdf",),
    "openvino": ("openvino",),
}  # fmt: skip
"""Name of the extra -> packages that it brings."""


def missing(extra: str) -> tuple[str, ...]:
    """Packages of an extra that are not installed."""
    return tuple(package for package in EXTRAS[extra] if find_spec(package) is None)


def require(extra: str, verb: str) -> None:
    """Refuse a verb whose extra is not installed, with the command that installs it."""
    absent = missing(extra)
    if absent:
        raise UsageError(
            f"{verb}: needs packages that are not installed ({', '.join(absent)}); install them with "
            f"pip install 'echoseg[{extra}]'"
        )
