"""`gatewright search`: many trials within one budget, resumable, on one machine or a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gatewright.cli.complete import set_option


@click.command("search")
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Search directory [default: searches/NAME]")
@set_option("Override a setting, e.g. search.budget.max_lut=2000")
@click.option("--trials", type=click.IntRange(min=1), help="Trials in all, those of earlier calls included.")
@click.option("--jobs", type=click.IntRange(min=0), help="Trials at a time; 0: one per core or cluster CPU.")
@click.option("--storage", help="URL of Optuna's storage [default: SQLite in the search directory]")
@click.option("--ray", "address", default="", metavar="ADDRESS", help="Run the trials on this Ray cluster.")
@click.option("--pick", metavar="TRIAL[.POINT]", help="Choose this point of a finished search instead; trains nothing.")
def search_command(
    config: Path,
    out: Path | None,
    settings: tuple[str, ...],
    trials: int | None,
    jobs: int | None,
    storage: str | None,
    address: str,
    pick: str | None,
) -> None:
    """Search teacher, student and compression of CONFIG within its budget; run it again to go on after a kill."""
    from gatewright.config import load_config
    from gatewright.search import pick_point, run_search

    asked: dict[str, Any] = {"trials": trials, "jobs": jobs, "storage": storage}
    given = {key: value for key, value in asked.items() if value is not None}
    loaded = load_config(config, settings, {"search": given})
    folder = out or Path("searches") / loaded.name
    if pick is not None:
        done = pick_point(loaded, folder, pick)
    else:
        done = run_search(loaded, folder, ray=address, notify=click.echo)
    _headline(done.result, folder, done.ran)


def _headline(result: dict[str, Any], folder: Path, ran: int) -> None:
    chosen, finished = result["chosen"], sum(result["finished"].values())
    click.echo(f"{finished} trials finished, {ran} of them now; {len(result['front'])} points on the front")
    test, teacher = chosen["test"], chosen["teacher_test"]
    low, high = test["interval"]
    click.echo(
        f"chosen {chosen['trial']}.{chosen['point']}: test {test['metric']} {test['value']:.4f} "
        f"(95 % {low:.4f}..{high:.4f}, teacher {teacher['value']:.4f}), {chosen['lut']:,.0f} LUT, "
        f"{chosen['latency_cycles']:.0f} cycles (estimated)"
    )
    click.echo(f"front, trials, importances: {folder / 'search.html'}")
    click.echo(f"build it: gatewright run {folder / 'chosen.toml'}")
