"""Tables of what the benchmarks found about learning without labels."""

from __future__ import annotations

from table_text import Document, markdown, with_interval


def after_learning(document: Document) -> str:
    """Both continuations of the lite suite's controls."""
    rows = [
        [method, f"{100 * row['labels alone']:.1f}", f"{100 * row['method']:.1f}", with_interval(row["gain"])]
        for method, row in document["methods"].items()
    ]
    caption = (
        f"LV Dice (%) over all frames of the 20 validation cines of `simecho-v1-mid` ({document['sha256'][:12]}) after {document['steps']} further steps from the weights of the method's control, seed {document['seed']}; "
        "gains are paired by cine, with 95 % bootstrap intervals."
    )
    return f"{markdown(['method', 'labels alone', 'with the method', 'gain'], rows)}\n\n{caption}"


def unlabelled_gradients(document: Document) -> str:
    """Length and direction of what the unlabelled terms add to the gradient."""
    rows = [
        [
            method,
            f"{100 * row['length']:.2g} %",
            *(with_interval(row[key], scale=1, digits=2) for key in ("cosine", "cosine of the labels")),
        ]
        for method, row in document["methods"].items()
    ]
    caption = (
        f"Gradient of the unlabelled term at the end of the cells of seed {document['seed']}: its length against that of the labels' gradient, and its cosine with the gradient on the 20 validation cines of "
        f"`simecho-v1-mid` ({document['sha256'][:12]}), beside that of the labels' gradient; means over {document['draws']} batches, with 95 % bootstrap intervals. "
        "Above 0: a step along it makes unseen cines better."
    )
    return f"{markdown(['method', 'length', 'cosine', 'cosine of the labels'], rows)}\n\n{caption}"


def unlabelled_weights(document: Document) -> str:
    """Heavier unlabelled terms against the control of each method."""
    rows = [
        [
            method,
            change,
            f"{100 * found['dice']:.1f}",
            with_interval({"mean": found["gain"], "interval": found["interval"]}),
            ", ".join(f"{100 * value:+.1f}" for value in found["seeds"]),
        ]
        for method, methods in document["methods"].items()
        for change, found in methods["changes"].items()
    ]
    seeds = ", ".join(map(str, document["seeds"]))
    caption = (
        f"LV Dice (%) over all frames of the 20 validation cines of `simecho-v1-mid` ({document['sha256'][:12]}) after {document['steps']} steps, seeds {seeds}, and the gain over the control, paired by cine, "
        "with its 95 % bootstrap interval and for each seed. The weight is a multiple of the recipe's."
    )
    return f"{markdown(['method', 'weight, times', 'Dice', 'gain', 'by seed'], rows)}\n\n{caption}"
