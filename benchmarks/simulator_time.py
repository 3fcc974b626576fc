"""Does time help on the simulated cines, and is EF unbiased? A temporal network against the same network frame by frame.

Both see the same clips with masks on every frame (which no other training may read), in the same order, for as many steps; the
only difference is that the temporal one mixes the features of the frames of a clip. Their masks of all frames of the test cines
are compared on clear and on dropout frames, and their EF with that of the true masks of the same frames, on training and test
cines. `benchmarks/tables.py` makes the tables of docs/simulator.md from the JSON.

    python benchmarks/simulator_time.py --work runs/time --seeds 0 1 2 [--steps 1200] [--set simecho-v1-mid]
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from echoseg.cine import Instant
from echoseg.data.augment import AugmentConfig, augment_clip
from echoseg.datasets import open_dataset, read_simulation
from echoseg.evaluation import masks_ef
from echoseg.losses import supervised_loss
from echoseg.metrics import compare_paired
from echoseg.nn import UNet, UNetConfig
from echoseg.simulator.sets import write_set

RESULTS = Path(__file__).parent / "results"
CLIP, STRIDE, BATCH = 8, 3, 3
"""Frames of a clip, their distance in frames at 50 fps, clips a step: 0.42 s of 3 cines."""
LEARNING_RATE = 1e-3
KINDS = ("framewise", "temporal")
NETWORK = UNetConfig(stages=3, decoder=(96, 64, 32))
AUGMENT = AugmentConfig(rotate_deg=12, zoom=(0.88, 1.14), shift=0.06)


class TimeMix(nn.Module):
    """Each channel is filtered over five neighbouring frames of the clip; a residual that starts at zero."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.filter = nn.Parameter(torch.randn(5, channels) * 0.13)
        self.norm, self.mix = nn.BatchNorm2d(channels), nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.mix.weight)
        nn.init.zeros_(self.mix.bias)

    def forward(self, x: Tensor, length: int) -> Tensor:
        """Features (N, C, h, w) of clips of `length` frames."""
        clips = x.unflatten(0, (-1, length))
        place, filtered = torch.arange(length), torch.zeros_like(clips)
        for offset, weight in enumerate(self.filter.to(x.dtype), start=-2):
            filtered = filtered + clips[:, (place + offset).clamp(0, length - 1)] * weight[:, None, None]
        flat = filtered.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        return x + self.mix(F.relu(self.norm(flat)))


class ClipAttention(nn.Module):
    """Every place of every frame of the clip looks at all others, on the coarsest features."""

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(channels, 4, 2 * channels, 0.0, batch_first=True, norm_first=True)
        self.time = nn.Parameter(torch.randn(CLIP, 1, channels) * 0.02)
        self.place = nn.Parameter(torch.randn(side * side, channels) * 0.02)

    def forward(self, x: Tensor, length: int) -> Tensor:
        """Features (N, C, h, w) of clips of `length` frames."""
        tokens = x.unflatten(0, (-1, length)).flatten(3).transpose(2, 3) + self.time[:length] + self.place
        seen = self.layer(tokens.flatten(1, 2)).unflatten(1, tokens.shape[1:3])
        return (
            seen.transpose(2, 3).unflatten(3, x.shape[2:]).flatten(0, 1).contiguous(memory_format=torch.channels_last)
        )


class ClipUNet(UNet):
    """The U-Net, with or without what mixes the frames of a clip."""

    def __init__(self, temporal: bool, size: int) -> None:
        super().__init__(NETWORK)
        self.mixers: nn.ModuleList | None = None
        if temporal:
            channels = self.encoder.channels
            self.mixers = nn.ModuleList([TimeMix(c) for c in channels[1:]])
            self.attention = ClipAttention(channels[-1], size // 16)

    def segment_clips(self, frames: Tensor, length: int) -> Tensor:
        """Logits (N, 1, H, W) of the frames of clips of `length`."""
        features = list(self.encoder(frames))
        if self.mixers is not None:
            for level, mixer in enumerate(self.mixers, start=1):
                features[level] = mixer(features[level], length)
            features[-1] = self.attention(features[-1], length)
        x = features[-1]
        for block, skip in zip(self.decoder, features[-2::-1], strict=True):
            x = block(torch.cat([F.interpolate(x, size=skip.shape[-2:], mode="nearest"), skip], 1))
        return F.interpolate(self.classifier(x), size=frames.shape[-2:], mode="bilinear", align_corners=False)


@dataclass(frozen=True)
class DenseCine:
    """A cine with its true mask on every frame."""

    name: str
    frames: Tensor
    masks: Tensor
    visible: np.ndarray
    cine: object


def load_dense(root: Path, split: str, limit: int | None = None) -> list[DenseCine]:
    """Cines of a split with the masks of the evaluation side."""
    dataset, cines = open_dataset(root), []
    for case in dataset.cases(split)[:limit]:
        cine = dataset.load(case, "all")
        extras = dataset.evaluation_extras(case)
        masks = np.stack([cine.masks[frame] for frame in range(len(cine))])
        clear = extras["visibility"] >= extras["clear_from"]
        cines.append(DenseCine(case.id, torch.from_numpy(cine.frames), torch.from_numpy(masks), clear, cine))
    return cines


def normalised(gray: Tensor) -> Tensor:
    return ((gray - 0.25) / 0.2).contiguous(memory_format=torch.channels_last)


def train(cines: list[DenseCine], temporal: bool, seed: int, steps: int) -> ClipUNet:
    """Train on clips that start anywhere; every random number comes from the seed and the step."""
    torch.manual_seed(seed)
    size = cines[0].frames.shape[-1]
    network = ClipUNet(temporal, size).to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=1e-4)
    for step in range(steps):
        rng = np.random.default_rng([seed, step])
        for group in optimiser.param_groups:
            group["lr"] = LEARNING_RATE * min(1, (step + 1) / 50) * (1 - step / steps) ** 0.9
        clips, masks = [], []
        for number in rng.integers(len(cines), size=BATCH):
            cine, span = cines[number], (CLIP - 1) * STRIDE
            index = int(rng.integers(max(1, len(cines[number].frames) - span))) + STRIDE * np.arange(CLIP)
            index = np.minimum(index, len(cine.frames) - 1)
            views = augment_clip(cine.frames[index], cine.masks[index], size, AUGMENT, rng)
            clips.append(views.strong)
            masks.append(views.masks)
        frames, truth = normalised(torch.cat(clips)), torch.cat(masks)
        with torch.autocast("cpu", torch.bfloat16):
            logits = network.segment_clips(frames, CLIP)
        labelled = torch.ones(len(truth), 1, dtype=torch.bool)
        ce, dice = supervised_loss(logits.float().unsqueeze(1), truth.unsqueeze(1), labelled)
        optimiser.zero_grad()
        (ce + dice).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
    return network.eval()


@torch.no_grad()
def predict(network: ClipUNet, frames: Tensor) -> np.ndarray:
    """Masks (T, H, W): overlapping clips of every phase of the stride, weighted towards their middle."""
    total, weights = torch.zeros(frames.shape), torch.zeros(len(frames))
    weight = torch.minimum(torch.arange(CLIP) + 1, torch.arange(CLIP, 0, -1)).float()
    for phase in range(STRIDE):
        index = torch.arange(phase, len(frames), STRIDE)
        starts = sorted({*range(0, max(1, len(index) - CLIP + 1), CLIP // 2), max(0, len(index) - CLIP)})
        for start in starts:
            part = index[start : start + CLIP]
            gray = normalised(frames[part].unsqueeze(1).float() / 255)
            with torch.autocast("cpu", torch.bfloat16):
                probability = network.segment_clips(gray, len(part)).float().sigmoid()[:, 0]
            total[part] += weight[: len(part), None, None] * probability
            weights[part] += weight[: len(part)]
    return (total / weights[:, None, None] > 0.5).numpy()


def dice(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    both = (predicted & truth).sum((1, 2))
    return (2 * both + 1e-9) / (predicted.sum((1, 2)) + truth.sum((1, 2)) + 1e-9)


def score(network: ClipUNet, cines: list[DenseCine]) -> dict:
    """Dice per cine of all, clear and dropout frames; EF and areas of predicted and true masks at ED and ES."""
    cells: dict[str, list] = {
        "cine": [],
        "all": [],
        "clear": [],
        "dropout": [],
        "ef": [],
        "ef_true_masks": [],
        "areas": [],
    }
    for dense in cines:
        masks, truth = predict(network, dense.frames), dense.masks.numpy() == 1
        found, clear = dice(masks, truth), dense.visible
        cells["cine"].append(dense.name)
        cells["all"].append(float(found.mean()))
        cells["clear"].append(float(found[clear].mean()) if clear.any() else None)
        cells["dropout"].append(float(found[~clear].mean()) if not clear.all() else None)
        if dense.cine.instants:
            ends = [dense.cine.instants[instant] for instant in (Instant.ED, Instant.ES)]
            labels = {frame: masks[frame].astype(np.uint8) for frame in ends}
            true_labels = {frame: truth[frame].astype(np.uint8) for frame in ends}
            cells["ef"].append(masks_ef(dense.cine, labels))
            cells["ef_true_masks"].append(masks_ef(dense.cine, true_labels))
            cells["areas"].append([[int(masks[f].sum()), int(truth[f].sum()), bool(clear[f])] for f in ends])
    return cells


def run_cell(root: Path, temporal: bool, seed: int, steps: int, out: Path) -> None:
    """Train and score one network unless its scores are there."""
    if out.exists():
        return
    training, began = load_dense(root, "train"), time.perf_counter()
    network = train(training, temporal, seed, steps)
    labelled = [cine for cine in training if cine.cine.instants]
    cells = {"seconds": time.perf_counter() - began, "test": score(network, load_dense(root, "test"))}
    cells["train"] = score(network, labelled)
    out.write_text(json.dumps(cells))


def bias(cells: dict) -> dict[str, float | None]:
    """EF difference (points) to the true masks, of all cines and of those with clear ED and ES, and what becomes of the areas."""
    ends = np.array(cells["areas"], float)  # cine, (ED, ES), (found, true, clear)
    clear = ends[..., 2].all(1)
    measured = [a is not None and b is not None for a, b in zip(cells["ef"], cells["ef_true_masks"], strict=True)]
    difference = np.array(
        [a - b if ok else np.nan for a, b, ok in zip(cells["ef"], cells["ef_true_masks"], measured, strict=True)]
    )
    ratio = ends[..., 0] / ends[..., 1]
    side = np.sqrt(ends[..., :2])
    return {
        "ef_bias": float(np.nanmean(difference)),
        "ef_bias_clear": float(np.nanmean(difference[clear])) if clear.any() else None,
        "ef_bias_dropout": float(np.nanmean(difference[~clear])) if not clear.all() else None,
        "ef_mae": float(np.nanmean(np.abs(difference))),
        "cines": len(difference),
        "unmeasured": len(difference) - sum(measured),
        "area_ratio_ed": float(np.median(ratio[:, 0])),
        "area_ratio_es": float(np.median(ratio[:, 1])),
        "slope": float(np.polyfit(side[..., 1].ravel(), side[..., 0].ravel(), 1)[0]),
    }


def cell_file(work: Path, kind: str, seed: int, steps: int) -> Path:
    """Scores of one network."""
    return work / f"{kind}-{seed}-{steps}.json"


def summarise(work: Path, name: str, sha256: str, seeds: list[int], steps: int) -> dict:
    """Per seed: Dice and EF of the networks that were trained, and of both the paired gain of the temporal one."""
    rows = []
    for seed in seeds:
        files = {kind: cell_file(work, kind, seed, steps) for kind in KINDS}
        both = {kind: json.loads(file.read_text()) for kind, file in files.items() if file.exists()}
        row: dict = {"seed": seed}
        for kind, cells in both.items():
            means = {
                group: float(np.mean([v for v in cells["test"][group] if v is not None]))
                for group in ("all", "clear", "dropout")
            }
            row[kind] = {
                "dice": means,
                "test": bias(cells["test"]),
                "train": bias(cells["train"]),
                "seconds": cells["seconds"],
            }
            row[kind]["train"]["dice"] = float(np.mean(cells["train"]["all"]))
        for group in ("all", "dropout") if len(both) == len(KINDS) else ():
            pairs = [
                (a, b)
                for a, b in zip(both["temporal"]["test"][group], both["framewise"]["test"][group], strict=True)
                if a is not None and b is not None
            ]
            found = compare_paired([a for a, _ in pairs], [b for _, b in pairs], np.random.default_rng(0))
            row[f"gain_{group}"] = {"mean": found.mean_difference, "interval": list(found.interval)}
        rows.append(row)
    return {
        "set": name, "sha256": sha256, "steps": steps, "clip": CLIP, "stride": STRIDE, "batch": BATCH, "torch": torch.__version__,
        "seeds": rows,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--set", default="simecho-v1-mid")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--only", choices=KINDS)
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    work = arguments.work / f"{arguments.set}-cells"
    work.mkdir(parents=True, exist_ok=True)
    root = arguments.work / arguments.set
    if not (root / "FileList.csv").exists():
        write_set(root, arguments.set, workers=arguments.workers)
    for seed in arguments.seeds:
        for kind in KINDS:
            if arguments.only in (None, kind):
                out = cell_file(work, kind, seed, arguments.steps)
                run_cell(root, kind == "temporal", seed, arguments.steps, out)
    document = summarise(work, arguments.set, read_simulation(root).sha256, arguments.seeds, arguments.steps)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"simulator_time_{arguments.set}.json").write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
