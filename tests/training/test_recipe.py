from pathlib import Path

import pytest
import yaml

from neurocodec.errors import InvalidArgument
from neurocodec.nets.block_dct import BlockDCTConfig
from neurocodec.nets.comrec import ComRecConfig
from neurocodec.nets.cvqn import CVQNConfig
from neurocodec.training import recipe
from neurocodec.training.comrec import ComRecSystem
from neurocodec.training.cvqn import CVQNSystem
from neurocodec.training.run import system_of

MODELS = Path(__file__).parents[2] / "models"
FOLDER = MODELS / "cvqn"
SHIPPED = sorted(
    f"{path.parent.name}/{path.stem}"
    for path in MODELS.glob("*/*.yaml")
    if path.name != "model.yaml"
)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_recipes_read_and_print_themselves(name, tmp_path):
    loaded = recipe.load(MODELS / f"{name}.yaml")
    again = tmp_path / "again.yaml"
    again.write_text(str(loaded))
    assert recipe.load(again) == loaded


def test_paper_is_as_published():
    paper = recipe.load(FOLDER / "paper.yaml")
    assert paper.model.encoder_features == (32, 64, 128, 192)
    assert paper.model.encoder_blocks == (6, 6, 6, 6)
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
        ({"model": {"decoder_blocks": [1, 2]}}, "expected 4 values, found 2"),
        ({"model": {"channels": 33}}, "do not add up to 33"),
        ({"model": {"levels": [3, 5]}}, "one entry a group"),
        ({"model": [1]}, "expected a mapping"),
        ({"codec": ["vae"]}, "codec .'vae'. is not one of cvqn"),
        ({"data": {"crop": 160}}, "161 pixels or more: data.crop 160"),
        ({"codec": "vae", "data": {"crop": 64}}, "161 pixels or more: data.crop 64"),
        ({"data": {"crop": 200}}, "data.crop 200: use a multiple of 16"),
        ({"codec": "comrec", "data": {"crop": 136}}, "data.crop 136: use a multiple of 16"),
        (
            {"codec": "comrec", "model": {"inner": "jpeg"}, "data": {"crop": 36}},
            "data.crop 36: use a multiple of 8",
        ),
        ({"model": {"context": {"passes": [4, 2, 2]}}}, "context: no order of 4 passes: use one"),
        (
            {"codec": "vae", "model": {"groups": [3], "passes": [4]}},
            "model: no order of 4 passes: use one",
        ),
        ({"model": {"companding": 0.5}}, "companding 0.5: use 0, for none, or more, below 0.5"),
        ({"codec": "vae", "model": {"companding": -0.1}}, "companding -0.1: use 0"),
        ({"loss": {"weight": [0, 160]}}, "loss: weight .0.0, 160.0.: use numbers above 0"),
        ({"loss": {"distortion": "mse", "mse_share": 1.0}}, "mse_share is beside MS-SSIM"),
        ({"codec": "vae", "loss": {"likelihood": 0.1}}, "likelihood is of cvqn's quantizer"),
        ({"codec": "comrec", "loss": {"weight": [1, -1]}}, "weight .1.0, -1.0.: use numbers"),
        ({"codec": "comrec", "loss": {"alternate": [0, 0]}}, "alternate .0, 0.: use steps"),
        ({"codec": "comrec", "loss": {"alternate": [9, -1]}}, "alternate .9, -1.: use steps"),
        ({"model": {"levels": [3, 1, 3]}}, "group levels is 1, the format allows 2 to 1024"),
        ({"model": {"map_levels": 17}}, "levels is 17, the format allows 2 to 16"),
        ({"model": {"gain_anchors": 1}}, "gain_anchors 1: use 2 or more"),
        ({"model": {"context": {"passes": [5, 5, 5]}}, "wire_id": 70000}, "model is 70000, the fo"),
        (
            {"model": {"groups": [8, 8, 8, 8], "levels": [3] * 4, "context": {"passes": [5] * 4}}},
            "number of streams is 20, the format allows 1 to 16",
        ),
        (
            {"codec": "vae", "model": {"groups": [3] * 8, "passes": [2] * 8}},
            "number of streams is 17, the format allows 1 to 16",
        ),
        (
            {"codec": "vae", "model": {"groups": [3] * 9, "passes": [1] * 9}},
            "number of groups is 9, the format allows 1 to 8",
        ),
        ({"codec": "vae", "model": {"gain_anchors": 0}}, "gain_anchors 0: use 2 or more"),
        ({"codec": "vae", "qualities": [0, 300]}, "qualities .0.0, 300.0.: use two of 1 to 100"),
        ({"codec": "vae", "qualities": [9, 8]}, "qualities .9.0, 8.0.: use two of 1 to 100"),
        (
            {"codec": "comrec", "model": {"dct": {"context": {"passes": [5, 5, 3, 3, 3]}}}},
            "number of streams is 19, the format allows 1 to 16",
        ),
        ({"refresh_importance": 0}, "refresh_importance 0: use 1 or more"),
        ({"data": {1: 2, "x": 3}}, "data: unknown field 1; known: crop"),
        ({"data": {"batch": 0}}, "data: batch 0: use 1 or more"),
        ({"validate_every": 0}, "validate_every 0: use 1 or more"),
        ({"checkpoint_every": 0}, "checkpoint_every 0: use 1 or more"),
        ({"model": {"importance": "re"}, "data": {"validation": 0}}, "data.validation 0"),
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


def test_the_codec_decides_the_kind_of_recipe():
    old = recipe.build({"name": "x"})  # recipes were of cvqn before there was another codec
    assert type(old) is recipe.CVQNRecipe
    assert old == recipe.build({"name": "x", "codec": "cvqn"})
    assert old.model == CVQNConfig()
    other = recipe.build({"name": "x", "codec": "comrec", "model": {"inner": "webp"}})
    assert type(other) is recipe.ComRecRecipe
    assert other.model == ComRecConfig(inner="webp")
    assert other.loss == recipe.ComRecLossConfig()
    assert type(system_of(old)) is CVQNSystem
    assert type(system_of(other)) is ComRecSystem


def test_every_field_of_a_comrec_recipe_is_read():
    raw = {
        "name": "x", "codec": "comrec", "wire_id": 77, "steps": 5, "seed": 9,
        "model": {
            "inner": "dct", "form": "full", "switch": 30,
            "both": [1, 2, 3],
            "dct": {"bounds": [1, 2, 3, 4], "levels": [3, 5, 7, 9, 11], "steps": [80, 20],
                    "context": {"passes": [2, 2, 2, 2, 2], "hidden": 16}},
        },
        "loss": {"weight": [0.001, 0.1], "half_share": 0.25, "alternate": [3, 1],
                 "straight_through": True},
    }  # fmt: skip
    built = recipe.build(raw)
    assert built.model.both == (1.0, 2.0, 3.0)
    assert type(built.model.switch) is float
    assert built.model.dct.bounds == (1, 2, 3, 4)
    assert built.model.dct.chroma == BlockDCTConfig().chroma
    assert built.model.dct.context.hidden == 16
    assert built.loss.alternate == (3, 1)
    assert recipe.build(yaml.safe_load(str(built))) == built


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"codec": "rnn"}, "codec 'rnn' is not one of cvqn, comrec, vae"),
        ({"codec": None}, "codec None is not one of"),
        (["name"], r"expected a mapping, found \['name'\]"),
        ({"codec": "comrec"}, "'name'"),
        ({"codec": "comrec", "map_share": 0.5}, "unknown field 'map_share'"),
        (
            {"codec": "cvqn", "name": "x", "quality_power": 0.0},
            "quality_power 0.0: use more than 0",
        ),
        ({"codec": "comrec", "model": {"inner": "gif"}}, "model.inner: 'gif' is not one of dct"),
        ({"codec": "comrec", "model": {"form": "slow"}}, "model.form: 'slow' is not one of fast"),
        ({"codec": "comrec", "model": {"both": [1, 2]}}, "model.both: expected 3 values, found 2"),
        (
            {"codec": "comrec", "model": {"dct": {"steps": ["a", 1]}}},
            r"dct.steps\[0\]: expected flo",
        ),
        ({"codec": "comrec", "loss": {"distortion": "mse"}}, "loss: unknown field 'distortion'"),
        ({"codec": "cvqn", "loss": {"alternate": [1, 1]}}, "loss: unknown field 'alternate'"),
    ],
)
def test_what_does_not_make_a_recipe_is_named(raw, message):
    with pytest.raises(InvalidArgument, match=message) as caught:
        recipe.build(raw, "r.yaml")
    assert str(caught.value).startswith("r.yaml")
