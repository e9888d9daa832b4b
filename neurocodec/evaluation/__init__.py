"""Measuring codecs: metrics, sweeps over rate, BD-rates, plots, comparison pages."""

from neurocodec.evaluation.bench import Evaluation, run
from neurocodec.evaluation.compare import ComparisonRow, compare

__all__ = ["ComparisonRow", "Evaluation", "compare", "run"]
