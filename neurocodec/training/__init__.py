"""Training: recipes, data, losses, schedules, the one loop, and freezing into a shipped model."""

from neurocodec.training.run import run

__all__ = ["run"]
