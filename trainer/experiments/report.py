"""The experiments' tables as Markdown, and the paper's Figure 1 (accuracy against training time saved)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trainer.experiments.results import Summary
from trainer.experiments.rows import recipe

TITLES = {
    "levels": "Three levels together (the paper's Table 1)",
    "longer": "Longer training",
    "examples": "Example level alone (Table 3)",
    "tokens": "Token level alone (Table 3)",
    "attention": "Attention level alone (Table 3)",
    "curriculum": "Beside EfficientTrain++",
    "numerics": "The accelerator's arithmetic",
}

_HEAD = (
    "| method | keep | seeds | top-1 % (mean ± deviation) | minus dense | time saved, measured | "
    "MACs saved, modelled | images saved |"
)


def as_markdown(dataset: str, summaries: Sequence[Summary], command: str) -> str:
    """All tables of one data set."""
    settings = recipe(dataset)
    lines = [
        f"## {dataset}: {settings['model']}",
        "",
        f"{settings['train-images']} training and {settings['eval-images']} test images, {settings['epochs']} epochs, "
        f"batch {settings['batch-size']}; recipe `trainer/experiments/{dataset}.yaml`. Made by `{command}`; every run "
        f"with its command is in [{dataset}.csv]({dataset}.csv).",
        "",
        "Time saved is 1 - images shown * mean step time, both over those of dense training; the steps are measured in "
        f"alternation with dense ones by `{command} --time`. At the example level alone a step is a dense step. "
        "MACs saved is the same with modelled MACs.",
        "",
    ]
    for table, title in TITLES.items():
        rows = [summary for summary in summaries if summary.row.table == table]
        if rows:
            lines += [f"### {title}", "", _HEAD, "|---" * 8 + "|", *(_line(row) for row in rows), ""]
    return "\n".join(lines)


def _line(summary: Summary) -> str:
    deviation = "" if summary.deviation is None else f" ± {summary.deviation:.2f}"
    difference = "" if summary.difference is None else f"{summary.difference:+.2f}"
    cells = [summary.row.method, summary.row.keep, str(summary.seeds), f"{summary.accuracy:.2f}{deviation}", difference]
    cells += [_percent(share) for share in (summary.time_saved, summary.macs_saved, summary.images_saved)]
    return f"| {' | '.join(cells)} |"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"


def draw(path: Path, dataset: str, summaries: Sequence[Summary]) -> None:
    """Accuracy against training time saved, a point a row, with the deviation over seeds."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5))
    dense = next((summary for summary in summaries if summary.row.name == "dense"), None)
    if dense is not None:
        axes.axhline(dense.accuracy, color="grey", linewidth=1, label="Dense")
        spread = dense.deviation or 0.0
        axes.axhspan(dense.accuracy - spread, dense.accuracy + spread, color="grey", alpha=0.15)
    for table, title in TITLES.items():
        shown = [s for s in summaries if s.row.table == table and s.time_saved is not None]
        if not shown:
            continue
        axes.errorbar(
            [100 * s.time_saved for s in shown],  # type: ignore[operator]
            [s.accuracy for s in shown],
            [s.deviation or 0.0 for s in shown],
            fmt="o" if table == "levels" else ".",
            markersize=9 if table == "levels" else 6,
            capsize=2,
            label=title,
        )
        for s in shown:
            label = s.row.method if s.row.keep == "-" else f"{s.row.method} {s.row.keep}"
            axes.annotate(label, (100 * s.time_saved, s.accuracy), (4, 3), textcoords="offset points", fontsize=6)  # type: ignore[operator]
    axes.set_xlabel("training time saved, % (measured)")
    axes.set_ylabel("top-1 accuracy, %")
    axes.set_title(f"{dataset}: {recipe(dataset)['model']}", fontsize=9)
    axes.legend(fontsize=7)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
