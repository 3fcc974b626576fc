"""Suites of trainings: many cells, one run folder each, and one table of them all.

cells.py        a cell: train, score, keep what the statistics need
scoring.py      a trained model on the test cines: numbers by case
cost.py         parameters, multiply-adds, and how long a step and a suite take
statistics.py   means and intervals of variants, and each against its control
tables.py       benchmark.json, .md, .csv
figure.py       Dice against cost, as SVG
suite.py        all cells of a suite, in one process or several
"""

from echoseg.benchmark.suite import Finished, SuiteRun, estimate, run_suite, summarise

__all__ = ["Finished", "SuiteRun", "estimate", "run_suite", "summarise"]
