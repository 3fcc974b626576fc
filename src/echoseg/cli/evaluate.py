"""`echoseg evaluate`: score a model on a data folder; `--ef` compares results with a table (`evaluate_ef.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from tyro.conf import Positional, arg

from echoseg.cli.batch import make_folder
from echoseg.cli.meter import Meter
from echoseg.cli.models import load_regressor, load_segmenter, regresses_ef
from echoseg.cli.options import Backend, DataFolder, Flag, OutFolder, Threads, parse
from echoseg.cli.output import complain, printable, say, write_json
from echoseg.cli.table import show_table
from echoseg.datasets import open_dataset
from echoseg.engine import EfRegressor
from echoseg.errors import PartialFailureError


@dataclass(frozen=True)
class EvaluateOptions:
    """Score a model on the labelled frames of a data folder: Dice, distances, agreement of the ejection fraction.

    A model that regresses the ejection fraction is scored by its error against the values in the data's table.
    `echoseg evaluate --ef REFERENCE.csv RESULTS -o DIR` compares results of segment or measure with a table of reference values;
    see `echoseg evaluate --ef --help`.

    Attributes:
        model: name of a model that ships (see `echoseg info`), a model folder, or the folder of a training run.
        data: data folder in a layout that `echoseg data check` knows.
        out: folder for evaluation.json, cases.csv and frames.csv.
        split: cases to score.
        frames: frames to score: end-diastole and end-systole, or all that have masks.
        seeds: random clips of every case, for a model that regresses the ejection fraction.
        mirror: play half of each case backwards before and after it, for such a model and data that show half a beat.
        threads: CPU threads of the network.
        backend: what runs the network: onnx, or with `pip install 'echoseg[openvino]'` openvino (the same masks) or openvino-bf16 (16 bits, two to four
            times as fast on processors with matrix units).
        json: write one line of JSON to stdout in place of the table.
    """

    model: Annotated[Positional[str], arg(metavar="MODEL")]
    data: DataFolder
    out: OutFolder
    split: Literal["train", "val", "test"] = "test"
    frames: Literal["edes", "all"] = "edes"
    seeds: int = 5
    mirror: Flag = False
    threads: Threads = None
    backend: Backend = "onnx"
    json: Flag = False


def run(args: Sequence[str]) -> int:
    """Evaluate what a command line names."""
    if any(word == "--ef" or word.startswith("--ef=") for word in args):
        from echoseg.cli.evaluate_ef import run as compare

        return compare(args)
    options = parse(EvaluateOptions, "evaluate", args)
    from echoseg.ef_evaluation import evaluate_ef
    from echoseg.evaluation import evaluate_model

    dataset = open_dataset(options.data)
    load = load_regressor if regresses_ef(options.model) else load_segmenter
    model = load(options.model, options.threads, options.backend)
    make_folder(options.out)
    with Meter() as meter:

        def progress(done: int, total: int) -> None:
            meter.show("evaluate", done, total)

        if isinstance(model, EfRegressor):
            document = evaluate_ef(
                model, dataset, split=options.split, seeds=options.seeds, mirror=options.mirror, out=options.out,
                progress=progress,
            )  # fmt: skip
        else:
            document = evaluate_model(
                model, dataset, split=options.split, frames=options.frames, out=options.out, progress=progress
            )
    failed = document["data"]["failed"]
    for message in failed.values():
        complain(message)
    changed = document["data"].get("simulation", {"changed": []})["changed"]
    if changed:
        complain(
            f"{options.data}: not as it was simulated, files changed or missing: {len(changed)}, "
            f"the first is {changed[0]}; these scores compare with no others; simulate the data again"
        )
    if options.json:
        write_json(document)
    else:
        _show(document, options)
    return PartialFailureError.exit_code if failed else 0


def _show(document: dict[str, Any], options: EvaluateOptions) -> None:
    data = document["data"]
    show_table(
        (document["model"], f"{data['layout']}, {options.split}, n = {data['cases']}"),
        [[str(cell) for cell in row] for row in document["table"]],
    )
    if data.get("simulation", {"set": None})["set"]:
        say(f"set      {printable(data['simulation']['title'])}")
    say(f"data     {data['fingerprint']}")
    files = "evaluation.json, cases.csv" + ("" if "task" in document else ", frames.csv")
    say(f"scores   {printable(str(options.out))}/{files}")
