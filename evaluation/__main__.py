"""`python -m evaluation`: run seeds, measure on real users, and write docs/evaluation.md. `make evaluate` runs it."""

from __future__ import annotations

import argparse
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from threadpoolctl import threadpool_limits

from evaluation import league, sichuan
from evaluation.report import page
from evaluation.results import load, of_score, save
from evaluation.sichuan import Real
from simulator.episodes import Traffic, traffic

ROOT = Path(__file__).parents[1]
RESULTS, PAGE = ROOT / "evaluation" / "results", ROOT / "docs" / "evaluation.md"
SICHUAN = ROOT.parent / "shared" / "data" / "sichuan"


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(prog="evaluation", description=__doc__)
    parser.add_argument("--calls", type=int, default=100_000, help="honest calls per seed")
    parser.add_argument("--days", type=float, default=2.0)
    parser.add_argument("--seeds", default="1-2", help="1-20, or 7")
    parser.add_argument("--feeds", default="answers", help="answers,stops: ours with each of these feeds (all, answers, stops); '' = without ours")
    parser.add_argument("--ours-only", action="store_true", help="no opponents")
    parser.add_argument("--validation", action="store_true", help="on the validation simulator: once, at the end")
    parser.add_argument("--sichuan", type=Path, default=SICHUAN, help="folder of Sichuan.zip")
    parser.add_argument("--real-seeds", type=int, default=0, help="seeds on the real users; 0 = leave what was measured")
    parser.add_argument("--report-only", action="store_true", help="only write the page from the results that are there")
    chosen = parser.parse_args()
    if not chosen.report_only:
        with threadpool_limits(1):  # models that wait for one another's threads are slower than one thread
            run(chosen)
    real_file = RESULTS / "sichuan.json"
    if chosen.real_seeds and (chosen.sichuan / "Sichuan.zip").is_file():
        real_file.parent.mkdir(parents=True, exist_ok=True)
        with threadpool_limits(1):
            real_file.write_bytes(msgspec.json.encode(sichuan.measure(chosen.sichuan, chosen.real_seeds)))
    real = msgspec.json.decode(real_file.read_bytes(), type=Real) if real_file.is_file() else None
    PAGE.write_text(page(list(load(RESULTS)), real, f"{datetime.now(UTC):%d %B %Y}"))


def run(chosen: argparse.Namespace) -> None:
    """Run the seeds that were asked for, and keep each as it is done."""
    first, _, last = chosen.seeds.partition("-")
    simulator, make = ("validation", _validation) if chosen.validation else ("simulator", traffic)
    trained = None if chosen.ours_only else league.train(chosen.calls, chosen.days)
    for seed in range(int(first), int(last or first) + 1):
        one = make(seed, chosen.calls, chosen.days)
        results, began = [], time.monotonic()
        feeds = [one for one in chosen.feeds.split(",") if one]
        scores = league.ours_alone(one, feeds) if trained is None else league.play(one, trained, feeds)
        for score in scores:
            seconds, began = time.monotonic() - began, time.monotonic()
            date = f"{datetime.now(UTC):%Y-%m-%d}"
            results.append(of_score(score, simulator, seed, chosen.calls, date, len(one.look_alikes), seconds))
            found = sum(one.is_found for one in score.found)
            print(f"seed {seed}: {score.name}: {found} of {len(score.found)} found, {seconds:.0f} s", flush=True)
        save(RESULTS, results)


def _validation(seed: int, calls: int, days: float) -> Traffic:
    from evaluation.validation.traffic import traffic as validation

    return validation(seed, calls, days)


if __name__ == "__main__":
    main()
