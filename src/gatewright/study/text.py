"""A summary in, the study's page as Markdown out: the table, the gains, and sentences made of their numbers."""

from __future__ import annotations

from gatewright.study.gains import Estimate, Gain, Row, Summary

WHERE = {None: "on average over all four", "none": "alone"}


def markdown(summary: Summary, name: str) -> str:
    """Return the page; the plot is study.svg beside it."""
    unit, counts, seeds = _unit(summary), summary.samples, len(summary.seeds)
    what = f"Test {summary.metric}{f' in {unit}' if unit else ''}"
    head = (
        f"{what}: mean over {seeds} seeds ± the deviation of one seed, and the mean's 95 % interval. "
        f"{counts['train']:,} training, {counts['validation']:,} validation, {counts['test']:,} test samples. "
        f"{_split(summary)} The test split was read once per network and chose nothing."
    )
    pairs = (
        f"Paired differences, the same seed with and without{f', in {_points(summary)}' if unit else ''}; positive is "
        "better. Each interval holds for itself, none is corrected for their number."
    )
    lines = [
        f"# Study of {name}",
        "",
        head,
        "",
        *_table(summary),
        "",
        "bits: of the non-zero parameters, 32 per float. EBOPs: effective bit operations; LUT: our estimate, unrolled.",
        "",
        "![Test results and gains with 95 % intervals](study.svg)",
        "",
        "## What each ingredient adds",
        "",
        pairs,
        "",
        "| ingredient | added to | gain | 95 % interval |",
        "|---|---|---|---|",
        *[_gain_row(gain, summary) for gain in summary.gains],
        "",
        *[f"- {sentence}" for sentence in sentences(summary)],
        "",
    ]
    return "\n".join(lines)


def sentences(summary: Summary) -> list[str]:
    """Return what the gains say, one sentence per ingredient."""
    return [_sentence(name, summary.of(name), summary) for name in dict.fromkeys(g.ingredient for g in summary.gains)]


def _sentence(name: str, gains: tuple[Gain, ...], summary: Summary) -> str:
    if len(summary.seeds) < 2:
        return f"{name.capitalize()}: one seed gives no interval; nothing is claimed. Use at least two seeds."
    total = gains[-1].gain
    verdict = {
        (True, True): "helps",
        (True, False): "costs",
        (False, True): "makes no difference that these seeds can tell from zero",
        (False, False): "makes no difference that these seeds can tell from zero",
    }[total.known, total.mean > 0]
    known = [gain for gain in gains[:-1] if gain.gain.known]
    text = f"{name.capitalize()} {verdict}: {_amount(total, summary)} on average over the four comparisons"
    if not known:
        return f"{text}; none of the four alone can be told from zero."
    parts = [f"{_amount(gain.gain, summary)} {_where(gain)}" for gain in known]
    return f"{text}. Told apart from zero: {'; '.join(parts)}."


def _where(gain: Gain) -> str:
    return WHERE.get(gain.base, f"added to {(gain.base or '').replace('-', ' and ')}")


def _amount(value: Estimate, summary: Summary) -> str:
    points = f" {_points(summary)}" if _unit(summary) else ""
    return f"{_signed(value.mean, summary)}{points} ({_signed(value.low, summary)} to {_signed(value.high, summary)})"


def _table(summary: Summary) -> list[str]:
    return [
        f"| combination | test {summary.metric} | 95 % interval | non-zero weights | bits | EBOPs | LUT |",
        "|---|---|---|---|---|---|---|",
        *[_table_row(row, summary) for row in (summary.teacher, *summary.rows)],
    ]


def _table_row(row: Row, summary: Summary) -> str:
    test = row.test
    figures = [f"{row.figures[key]:,.0f}" if key in row.figures else "" for key in ("nonzero", "bits", "ebops", "lut")]
    value = f"{_plain(test.mean, summary)} ± {_plain(test.deviation, summary)}"
    name = row.name.replace("-", " + ")
    return f"| {name} | {value} | {_plain(test.low, summary)} to {_plain(test.high, summary)} | {' | '.join(figures)} |"


def _gain_row(gain: Gain, summary: Summary) -> str:
    where = "all four, mean" if gain.base is None else gain.base.replace("-", " + ")
    low, high = _signed(gain.gain.low, summary), _signed(gain.gain.high, summary)
    return f"| {gain.ingredient} | {where} | {_signed(gain.gain.mean, summary)} | {low} to {high} |"


def _split(summary: Summary) -> str:
    if summary.resplit:
        return (
            "Each seed draws initial weights, sample order and split; the intervals allow for the overlap of the "
            "training sets (Nadeau and Bengio 2003)."
        )
    return "Each seed draws initial weights and sample order; the split is the data's own."


def _unit(summary: Summary) -> str:
    return "%" if summary.metric == "accuracy" else ""


def _points(summary: Summary) -> str:
    return "percentage points" if _unit(summary) else ""


def _plain(value: float, summary: Summary) -> str:
    return f"{100 * value:.2f}" if _unit(summary) else f"{value:.4g}"


def _signed(value: float, summary: Summary) -> str:
    return f"{100 * value:+.2f}" if _unit(summary) else f"{value:+.4g}"
