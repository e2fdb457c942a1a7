"""Tables of the path to the paper's own model: its counts, and what the whole study would cost."""

from IPython.display import Markdown

from seethrough.models.plain_vit import meta_model
from seethrough.models.vit_sizes import vit_sizes
from seethrough.plots.tables import DASH, find_row, markdown_table, named_runs, rows_named
from seethrough.results import StudyResult
from seethrough.studies.impact_full_scale import COUNTS

PAPER_MODEL = "deit3_base_patch16_224"
"""timm's name of the paper's architecture."""
EXPECTED = {
    "parameters": "86.6 million (timm)",
    "prunable_weights": "84,934,656 (derived)",
    "circuit_sites": "96 (second-hand)",
    "sae_latents": "24,576 (second-hand)",
    "nodes_per_channel": "101,376 (derived)",
    "nodes_per_head": "74,160 (derived)",
    "forward_flops": "2 x 17.5 billion (its authors)",
}
"""What each count should be for the paper's model, and who says so."""
MEASURED = {
    "forward": "forward pass",
    "wanda": "Wanda's statistics and masks",
    "neurons": "level 1, neurons",
    "attribution": "level 4, attribution",
}
"""What was timed, in words."""


def counts_table(reference: StudyResult | None, result: StudyResult) -> Markdown:
    """Return the counts of the paper's architecture beside what they should be.

    The architecture is built here without values, whatever model the runs had; theirs follow.
    """
    sizes = vit_sizes(meta_model(PAPER_MODEL))
    runs = named_runs(reference, result)
    lines = [
        [
            words,
            EXPECTED[name],
            f"{getattr(sizes, name):,}",
            *(f"{run.row(f'count/{name}').mean:,.0f}" for run in runs.values()),
        ]
        for name, words in COUNTS.items()
    ]
    header = ["count", "expected", f"`{PAPER_MODEL}`, built here", *map(_title, runs.items())]
    return markdown_table(header, lines)


def cost_table(reference: StudyResult | None, result: StudyResult) -> Markdown:
    """Return seconds per image, memory and estimated hours of the full study, by run."""
    runs = named_runs(reference, result)
    lines = [
        ["device", *(_device(run) for run in runs.values())],
        ["images at once", *(str(run.provenance.parameters["n_images"]) for run in runs.values())],
    ]
    for name, words in MEASURED.items():
        texts = [_number(run, f"seconds_per_image/{name}", "{:.2f} s") for run in runs.values()]
        lines.append([f"seconds per image, {words}", *texts])
    lines.append(
        ["memory of the process", *(_number(run, "memory", "{:.1f} GB", 1e9)
                                    for run in runs.values())]
    )  # fmt: skip
    for level in rows_named(result, "full_cost"):
        texts = [_number(run, f"full_cost/{level}", "{:,.1f} h") for run in runs.values()]
        lines.append([f"estimate, {level}", *texts])
    return markdown_table(["", *map(_title, runs.items())], lines)


def _title(named: tuple[str, StudyResult]) -> str:
    title, run = named
    return f"{title}, `{run.provenance.parameters['model']}`"


def _device(run: StudyResult) -> str:
    made = run.provenance
    threads = f", {made.threads} thread{'s' * (made.threads != 1)}"
    return made.device.upper() + threads if made.device == "cpu" else made.device


def _number(run: StudyResult, id: str, form: str, divisor: float = 1.0) -> str:
    row = find_row(run, id)
    return DASH if row is None else form.format(row.mean / divisor)
