"""A tiny EchoForge run in a process of its own: `python killable.py DATA RUN`; what is in RUN is continued."""

import sys
from pathlib import Path

from echoseg.data import AugmentConfig
from echoseg.methods.echoforge import EchoForgeConfig, FlameRise
from echoseg.recipes import DataConfig, ModelInfo, RunConfig
from echoseg.recipes.run import train_run
from echoseg.train import TrainConfig

# the curriculum lets pseudo-labels in from the second epoch on, and thresholds are low: the teacher counts
CONFIG = RunConfig(
    "echoforge",
    EchoForgeConfig(
        backbone="resnet10t", width=32, hidden=32, layers=1, queries=4,
        curriculum=FlameRise(burn_in=0, full=1, strict=0.5, lenient=0.5),
    ),
    DataConfig(
        size=64, clip_length=4, batch=1, labelled_cines=2, unlabelled_batch=1, augment=AugmentConfig.machines()
    ),
    TrainConfig(steps=12, steps_per_epoch=2, lr=1e-3, precision="32-true", validate_every=1),
    ModelInfo("tiny"),
)  # fmt: skip

if __name__ == "__main__":
    train_run(CONFIG, Path(sys.argv[1]), Path(sys.argv[2]), device="cpu", resume=True)
