"""Tables of the shipped models, in their cards and in docs/models.md; `tables.py` writes them."""

from __future__ import annotations

from table_text import Document, markdown, with_interval


def model_validation(document: Document) -> str:
    """The main numbers of the evaluation, and the cost."""
    rows = [row for row in document["validation"]["table"] if row[0] != "LV Dice, ten frames ED..ES"]
    calibration, unseen = document["calibration"], document["unseen_style"]
    ece = ", ".join(f"{group.removeprefix('quality ')} {value:.3f}" for group, value in calibration["ece"].items())
    finds, doubtful = calibration["confidence"], calibration["doubtful"]
    rows += [
        ["Expected calibration error of the LV's probability", ece],
        [f"Confidence finds Dice < 0.9 ({finds['n_low']} of {finds['n']} stills)", f"AUROC {finds['auroc']:.2f}"],
        [
            f"Doubtful stills ({doubtful['n']}, {doubtful['n_low']} of them with Dice < 0.9), and the others",
            f"LV Dice {100 * doubtful['dice']:.1f} %, and {100 * doubtful['dice_of_others']:.1f} % at a mean confidence of "
            f"{100 * doubtful['confidence_of_others']:.1f} %",
        ],
        [
            f"{unseen['patients']} simulated half beats of a style never trained on ({unseen['style']})",
            f"LV Dice {100 * unseen['dice']:.1f} % (lowest {100 * unseen['lowest']:.1f}), EF bias {unseen['ef']['bias']:+.1f}, "
            f"MAE {unseen['ef']['mae']:.1f} points",
        ],
        [
            "The stills as another machine might show them: strongest augmentation of the training",
            f"LV Dice {100 * document['changed_stills']['dice']:.1f} %, below 0.8 in {100 * document['changed_stills']['low']:.1f} %",
        ],
        ["CPU time a frame, one core", f"{document['ms_per_frame_one_core']:.1f} ms"],
    ]
    table = markdown(["50 CAMUS validation patients, native size", "mean (95 % interval by patient)"], rows)
    real = document["real_cine"]
    ef = "no EF" if real["ef_percent"] is None else f"EF {real['ef_percent']:.0f} %"
    return (
        f"{table}\n\nOn pydicom's four-chamber cine of another machine, which has no expert masks: {real['frames']} frames, "
        f"{real['empty_frames']} without a ventricle, {ef}, quality {real['quality']}."
    )


def model_options(document: Document) -> str:
    """What could be done with a trained model at run time."""
    names = {
        "fp32": "as it ships: fp32 in ONNX Runtime",
        "mirrored": "mean with the mirror image",
        "two sizes": f"mean of {document['size']} and {document['second_size']} px",
        "int8": "8-bit convolutions in ONNX Runtime",
        "openvino fp32": "OpenVINO, fp32 (`--backend openvino`)",
        "openvino bf16": "OpenVINO, bf16 (`--backend openvino-bf16`)",
        "openvino int8": "OpenVINO, 8-bit convolutions",
        "torch fp32": "torch, fp32",
        "torch bf16": "torch, bf16",
    }
    rows = [
        [names[key], *(f"{100 * found['dice'][part]:.2f}" for part in ("all", "ED", "ES")), f"{found['ratio']:.2f}"]
        for key, found in document["options"].items()
    ]
    caption = (
        f"{document['model']}, LV Dice (%) on the ED and ES stills of {document['patients']} CAMUS validation patients at native size, and time of the network relative to "
        f"the first row (one core of {document['processor']}, {document['options']['fp32']['ms']:.1f} ms). Files: {document['megabytes']['fp32']:.1f} MB in fp32 (half of it as it ships), {document['megabytes']['int8']:.1f} MB in int8."
    )
    return f"{markdown(['option', 'all', 'ED', 'ES', 'time'], rows)}\n\n{caption}"


def label_halving(document: Document) -> str:
    """What stills without labels give at every share of the labels: to a mean teacher, a run that teaches itself, and two networks."""
    kinds = (
        "control", "mean teacher", "gain", "longer", "self-training", "gain of self-training", "apart", "cross", "gain of cross",
    )  # fmt: skip
    rows = []
    for share, row in document["shares"].items():
        if not set(kinds) & set(row):
            continue  # not run yet
        shown = [(row.get(kind), kind) for kind in kinds]
        rows.append(
            [share, str(row["labelled"])]
            + ["" if v is None else with_interval(v) if "gain" in k else f"{100 * v['dice']:.1f}" for v, k in shown]
        )
    header = [
        "share of patients labelled", "patients", "labels alone", "mean teacher", "gain", "labels alone, twice as long",
        "then self-training", "gain", "two networks from random weights", "cross pseudo supervision", "gain",
    ]  # fmt: skip
    caption = (
        f"LV Dice (%) on the 50 CAMUS validation patients at native size, {document['steps']} steps (twice as long: twice as many), {len(document['seeds'])} seed(s), from the weights of `{document['start']}` but for the last three columns; "
        "gains are paired by patient, with 95 % bootstrap intervals."
    )
    return f"{markdown(header, rows)}\n\n{caption}"


def adapt(document: Document) -> str:
    """The shipped model on a style that it has never seen, trained on and not."""
    rows = []
    for name, found in document["models"].items():
        dice, ef = found["dice"], found["ef"]
        low, high = dice["interval"]
        rows.append(
            [
                name,
                f"{100 * dice['mean']:.1f} ({100 * low:.1f} to {100 * high:.1f})",
                f"{ef['bias']:+.1f}",
                f"{ef['mae']:.1f}",
            ]
        )
    caption = (
        f"LV Dice (%), and EF against that of the true masks (points), on the stills of both views of {document['test_patients']} simulated patients in the style `{document['style']}`; "
        f"{document['patients']} others were labelled, {document['steps']} steps, one seed."
    )
    return f"{markdown(['weights', 'Dice', 'EF bias', 'EF error'], rows)}\n\n{caption}"


def small_networks(document: Document) -> str:
    """Multiply-adds and time of small networks."""
    rows = [
        [
            f"`{name}`", f"{row['parameters'] / 1e6:.2f}", f"{row['mmac']:.0f}", f"{row['ratio']:.2f}",
            f"{row['mmac'] / row['ms']:.0f}",
        ]
        for name, row in document["networks"].items()
    ]  # fmt: skip
    caption = (
        f"U-Nets at 112 px in ONNX Runtime, medians of {document['rounds']} interleaved rounds, one core of {document['processor']}; the time is relative to the first row "
        f"({document['networks']['plain']['ms']:.2f} ms a frame, network alone)."
    )
    header = ["encoder", "million weights", "MMAC a frame", "time", "GMAC/s"]
    return f"{markdown(header, rows)}\n\n{caption}"


def temporal_on_stills(document: Document) -> str:
    """Methods that see time beside the frame-wise network, on real stills and on simulated half beats."""
    rows = []
    for method, found in document["rows"].items():
        scored = [found[key] for key in ("pair", "alone")]
        cells = [
            f"{100 * one['dice']:.1f}" + (f", {with_interval(one['gain'])}" if "gain" in one else "") for one in scored
        ]
        ef, beats = found["ef"], found["beats"]
        rows.append(
            [
                method, *cells, f"{ef['bias']:+.1f}", f"{ef['mae']:.1f}", f"{ef['r']:.2f}",
                f"{100 * beats['dice']:.1f}", f"{100 * beats['lowest']:.1f}", f"{beats['area_roughness']:.3f}", f"{beats['ef']['mae']:.1f}",
            ]
        )  # fmt: skip
    caption = (
        f"LV Dice (%) on the ED and ES stills of 50 CAMUS validation patients, as a cine of two frames and one by one, with the gain over the frame-wise network, paired by patient, and its 95 % bootstrap interval; "
        f"EF of the pair against that of the expert masks (points). Half beats: all frames of 20 simulated cines in the style `coarse`, Dice, that of the worst cine, roughness of the area over time, EF error. "
        f"{document['steps']} steps of {document['batch']} clips at 112 px from random weights, seed {document['seed']}."
    )
    header = [
        "method", "two frames", "one frame", "EF bias", "EF error", "EF r", "half beats", "worst", "roughness", "EF error there",
    ]  # fmt: skip
    return f"{markdown(header, rows)}\n\n{caption}"


def simulated_share(document: Document) -> str:
    """Parts of the stills that are simulated."""
    rows = []
    for share, found in document["rows"].items():
        changed, unseen = found["changed"], found["unseen"]
        rows.append(
            [
                share, f"{100 * found['dice']:.1f}", with_interval(found["gain"]) if "gain" in found else "",
                f"{100 * changed['dice']:.1f}", f"{100 * changed['low']:.1f} %", f"{100 * unseen['dice']:.1f}", f"{100 * unseen['lowest']:.1f}",
                f"{unseen['ef']['mae']:.1f}",
            ]
        )  # fmt: skip
    caption = (
        f"LV Dice (%) on the stills of 50 CAMUS validation patients, and the gain over real stills alone, paired by patient, with its 95 % bootstrap interval; on the same stills under the strongest augmentation, and how many masks are below 0.8 there; "
        f"on all frames of 20 simulated half beats in the style `coarse`, which no training saw, with the worst cine and the EF error. {document['steps']} steps of {document['batch']} pairs of stills at 112 px from random weights, "
        f"seed {document['seed']}."
    )
    header = [
        "share simulated", "validation stills", "gain", "strongest augmentation", "below 0.8", "unseen style", "worst", "EF error there",
    ]  # fmt: skip
    return f"{markdown(header, rows)}\n\n{caption}"
