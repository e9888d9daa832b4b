from pathlib import Path

import pytest
import yaml

from neurocodec.errors import InvalidArgument
from neurocodec.training import recipe

FOLDER = Path(__file__).parents[2] / "models" / "cvqn"


@pytest.mark.parametrize("name", ["recipe", "paper", "thesis"])
def test_shipped_recipes_read_and_print_themselves(name, tmp_path):
    loaded = recipe.load(FOLDER / f"{name}.yaml")
    again = tmp_path / "again.yaml"
    again.write_text(str(loaded))
    assert recipe.load(again) == loaded


def test_paper_is_as_published():
    paper = recipe.load(FOLDER / "paper.yaml")
    assert paper.model.encoder_features == (32, 64, 128, 192)
    assert paper.model.blocks == (6, 6, 6, 6)
    assert (paper.model.groups, paper.model.levels) == ((8, 16, 8), (3, 5, 7))
    assert (paper.data.batch, paper.epochs) == (32, 400)
    assert paper.optimizer.milestones == (200, 300, 350)
    assert (paper.optimizer.transforms, paper.optimizer.quantizer) == (1e-4, 5e-5)
    assert paper.optimizer.spread == pytest.approx(paper.optimizer.quantizer / 5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stepz": 3}, "unknown field 'stepz'"),
        ({"steps": "many"}, r"steps: expected int, found 'many'"),
        ({"steps": True}, "expected int"),
        ({"model": {"attention": "global"}}, "model.attention: 'global' is not one of sigmoid"),
        ({"model": {"groups": 5}}, "model.groups: expected a list"),
        ({"model": {"blocks": [1, 2]}}, "expected 4 values, found 2"),
        ({"model": {"channels": 33}}, "do not add up to 33"),
        ({"model": {"levels": [3, 5]}}, "one entry a group"),
        ({"model": [1]}, "expected a mapping"),
    ],
)
def test_a_wrong_field_is_named(change, message, tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(yaml.safe_dump({"name": "x", **change}))
    with pytest.raises(InvalidArgument, match=message):
        recipe.load(path)


def test_not_yaml(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text("a: [1")
    with pytest.raises(InvalidArgument, match="is not YAML"):
        recipe.load(path)
