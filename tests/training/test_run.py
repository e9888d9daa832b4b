import csv
import shutil
import signal

import pytest
import torch
import yaml

from neurocodec.codecs import weights
from neurocodec.errors import InvalidArgument
from neurocodec.training import data, freeze, recipe, run
from neurocodec.training.parallel import Team
from neurocodec.training.run import Trainer, check_same, curves_until, learning_rate
from tests.training.conftest import TINY, draw_photo


def states_equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.mark.slow
def test_killed_at_any_step_and_resumed_gives_the_same_weights(recipe_file, photos, tmp_path):
    whole = run(recipe_file, [photos], tmp_path / "whole", threads=1)
    run(recipe_file, [photos], tmp_path / "parts", max_steps=2, threads=1)
    parts = run(recipe_file, [photos], tmp_path / "parts", threads=1)
    one, two = (torch.load(path, weights_only=True) for path in (whole, parts))
    assert one["step"] == two["step"] == 6
    assert states_equal(one["model"], two["model"])
    assert states_equal(one["average"], two["average"])
    with open(tmp_path / "whole" / "curves.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["3"] * 5 + ["6"] * 5
    assert all(float(row["bpp"]) > 0 and 0 < float(row["ms_ssim"]) < 1 for row in rows)
    assert recipe.load(tmp_path / "whole" / "recipe.yaml") == recipe.load(recipe_file)


@pytest.mark.slow
def test_training_lowers_the_loss_and_moves_every_part(recipe_file, photos):
    config = recipe.load(recipe_file)
    trainer = Trainer(config, data.decode(data.list_photos([photos]), 176))
    before = {k: v.clone() for k, v in trainer.model.state_dict().items()}
    losses = [trainer.advance()["loss"] for _ in range(6)]
    assert sum(losses[-2:]) < 0.8 * sum(losses[:2])
    # The last layers start at zero, so what stands before them moves from the second step on.
    still = [
        name
        for name, parameter in trainer.model.named_parameters()
        if torch.equal(before[name], parameter) and "excite" not in name  # its ReLUs may be dead
    ]
    assert still == []


def test_steps_without_a_finite_gradient_change_nothing_and_end_it(recipe_file, photos):
    trainer = Trainer(recipe.load(recipe_file), data.decode(data.list_photos([photos]), 176))
    good = trainer.system.loss

    def bad(*arguments):
        losses = good(*arguments)
        return losses._replace(total=losses.total * float("nan"))

    trainer.system.loss = bad
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    trainer.advance()
    trainer.system.loss = good
    trainer.advance()
    assert (trainer.step, trainer.lost) == (2, 0)
    trainer.system.loss = bad
    moved = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    assert any(not torch.equal(before[name], value) for name, value in moved.items())
    for _ in range(19):
        trainer.advance()
    with pytest.raises(InvalidArgument, match="no finite gradient in 20 steps, up to step 22"):
        trainer.advance()
    for part in (trainer.model, trainer.average):
        assert all(value.isfinite().all() for value in part.state_dict().values())
    assert all(torch.equal(moved[name], v) for name, v in trainer.model.state_dict().items())


def test_moments_are_laid_out_as_their_weights(recipe_file, photos):
    """As fused Adam expects, whatever layout a checkpoint has them in."""
    trainer = Trainer(recipe.load(recipe_file), data.decode(data.list_photos([photos]), 176))
    trainer.advance()
    state = trainer.state()
    for saved in state["optimizers"]:
        for moments in saved["state"].values():
            moments.update({name: value.contiguous() for name, value in moments.items()})
    trainer.restore(state)
    layouts = {parameter.stride() for parameter in trainer.model.parameters()}
    assert any(len(strides) == 4 and strides[1] == 1 for strides in layouts)
    for optimizer in trainer.optimizers:
        for parameter, moments in optimizer.state.items():
            assert moments["exp_avg"].stride() == parameter.stride()
            assert moments["exp_avg_sq"].stride() == parameter.stride()


def test_other_photographs_are_no_training_to_resume(recipe_file, photos, tmp_path):
    checkpoint = run(recipe_file, [photos], tmp_path / "run", max_steps=1, threads=1)
    others = tmp_path / "others"
    shutil.copytree(photos, others)
    draw_photo(77).save(others / "more.png")
    with pytest.raises(InvalidArgument, match="was trained on other photographs: give the same"):
        run(recipe_file, [others], tmp_path / "run", threads=1)
    run(recipe_file, [others], tmp_path / "new", start=checkpoint, max_steps=1, threads=1)


def test_the_average_follows_the_networks(photos):
    config = recipe.build({**TINY, "optimizer": {"ema": 0.15}})
    trainer = Trainer(config, data.decode(data.list_photos([photos]), 176))
    expected = [parameter.detach().clone() for parameter in trainer.model.parameters()]
    for step in (1, 2):
        trainer.advance()
        decay = min(0.15, (1 + step) / (10 + step))
        for average, parameter in zip(expected, trainer.model.parameters(), strict=True):
            average.mul_(decay).add_(parameter.detach(), alpha=1 - decay)
    for average, found in zip(expected, trainer.average.parameters(), strict=True):
        torch.testing.assert_close(found.detach(), average)
    moved = zip(trainer.model.parameters(), trainer.average.parameters(), strict=True)
    assert any(not torch.equal(*pair) for pair in moved)


@pytest.mark.slow
@pytest.mark.parametrize("importance", ["se", "re"])
def test_other_importance_controllers_train(importance, recipe_file, photos, tmp_path):
    raw = {**TINY, "refresh_importance": 2, "steps": 2}
    raw["model"] = {**TINY["model"], "importance": importance}
    recipe_file.write_text(yaml.safe_dump(raw))
    config = recipe.load(recipe_file)
    trainer = Trainer(config, data.decode(data.list_photos([photos]), 176))
    start = trainer.model.importance.own_order.clone()
    before = {name: value.clone() for name, value in trainer.model.importance.named_parameters()}
    trainer.advance()
    trainer.advance()
    if importance == "se":
        after = dict(trainer.model.importance.named_parameters())
        assert before
        assert not any(torch.equal(value, after[name]) for name, value in before.items())
    else:
        assert not torch.equal(trainer.model.importance.own_order, start)
        assert torch.equal(trainer.average.importance.own_order, trainer.model.importance.own_order)


@pytest.mark.slow
def test_freezing_keeps_the_averaged_networks(recipe_file, photos, tmp_path):
    checkpoint = run(recipe_file, [photos], tmp_path / "run", max_steps=2, threads=1)
    path = freeze.freeze(checkpoint, tmp_path / "model", encoder={"default_map": False})
    record = yaml.safe_load(path.read_text())
    assert (record["name"], record["wire_id"], record["encoder"]) == (
        "tiny",
        999,
        {"default_map": False},
    )
    frozen = weights.model_from_bytes((tmp_path / "model" / "weights.safetensors").read_bytes())
    config, averaged, trained = freeze.averaged(checkpoint)
    assert trained == record["training"]
    photographs = data.digest(data.list_photos([photos]))
    assert trained == {"steps": 2, "seed": config.seed, "photographs": photographs}
    assert frozen.config == averaged.config == config.model
    for (name, a), b in zip(
        averaged.state_dict().items(), frozen.state_dict().values(), strict=True
    ):
        # Eight bits are off by half of 1/127 at most, where a kernel has them.
        bound = 4e-3 * a.abs().max().item() if a.dim() >= weights.KERNEL else 1e-5
        torch.testing.assert_close(a, b, rtol=1e-3, atol=bound, msg=name)


@pytest.mark.slow
def test_freezing_under_another_recipe(recipe_file, photos, tmp_path):
    checkpoint = run(recipe_file, [photos], tmp_path / "run", max_steps=1, threads=1)
    other = tmp_path / "other.yaml"
    other.write_text(yaml.safe_dump({**TINY, "name": "later", "wire_id": 998, "seed": 77}))
    path = freeze.freeze(checkpoint, tmp_path / "model", under=other)
    record = yaml.safe_load(path.read_text())
    assert (record["name"], record["wire_id"]) == ("later", 998)
    assert record["training"]["seed"] == recipe.load(recipe_file).seed != 77
    other.write_text(yaml.safe_dump({**TINY, "model": {**TINY["model"], "gdn": False}}))
    with pytest.raises(InvalidArgument, match="another shape"):
        freeze.freeze(checkpoint, tmp_path / "model", under=other)


@pytest.mark.slow
def test_training_may_begin_with_frozen_weights(recipe_file, photos, tmp_path):
    checkpoint = run(recipe_file, [photos], tmp_path / "run", max_steps=2, threads=1)
    freeze.freeze(checkpoint, tmp_path / "model")
    with pytest.raises(InvalidArgument, match=r"encoder .'rate_awar': 1.0. is not for cvqn"):
        freeze.freeze(checkpoint, tmp_path / "none", encoder={"rate_awar": 1.0})
    path = tmp_path / "model" / "weights.safetensors"
    trainer = Trainer(recipe.load(recipe_file), data.decode(data.list_photos([photos]), 176))
    trainer.begin_with(path)
    frozen = weights.model_from_bytes(path.read_bytes()).state_dict()
    assert states_equal(trainer.model.state_dict(), frozen)
    assert states_equal(trainer.average.state_dict(), frozen)
    again = run(recipe_file, [photos], tmp_path / "new", start=path, max_steps=1, threads=1)
    assert torch.load(again, weights_only=True)["step"] == 1

    other = recipe.build({**TINY, "model": {**TINY["model"], "gdn": False}})
    trainer = Trainer(other, trainer.crops.photos)
    with pytest.raises(InvalidArgument, match="another shape"):
        trainer.begin_with(path)


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("model", {"map_levels": 6}),
        ("optimizer", {"kernels": "muon"}),
        ("data", {"validation": 0}),
    ],
)
def test_a_run_resumes_under_its_own_networks_only(part, change, recipe_file, photos, tmp_path):
    checkpoint = run(recipe_file, [photos], tmp_path / "run", max_steps=1, threads=1)
    raw = {**TINY, "steps": 1}
    recipe_file.write_text(yaml.safe_dump(raw))
    assert run(recipe_file, [photos], tmp_path / "run", threads=1) == checkpoint  # fewer steps
    recipe_file.write_text(yaml.safe_dump({**raw, part: {**raw.get(part, {}), **change}}))
    with pytest.raises(InvalidArgument, match=rf"another {part}.*--start {checkpoint}"):
        run(recipe_file, [photos], tmp_path / "run", threads=1)


@pytest.mark.parametrize("part", ["model", "average", "optimizers"])
def test_a_checkpoint_of_other_networks_under_the_same_recipe(part, recipe_file, photos, tmp_path):
    """As releases whose networks had other tensors would leave one."""
    checkpoint = run(recipe_file, [photos], tmp_path / "run", max_steps=1, threads=1)
    state = torch.load(checkpoint, weights_only=True)
    if part == "optimizers":
        state[part][0]["param_groups"].pop()
    else:
        del state[part]["encoder.tail.bias"]
    torch.save(state, checkpoint)
    with pytest.raises(InvalidArgument, match=f"{checkpoint} holds networks of another shape"):
        run(recipe_file, [photos], tmp_path / "run", threads=1)


def test_too_little_memory_is_not_taken_for_another_shape(recipe_file, photos, monkeypatch):
    trainer = Trainer(recipe.load(recipe_file), data.decode(data.list_photos([photos]), 176))

    def fail(*_):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(trainer.model, "load_state_dict", fail)
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        trainer.restore(trainer.state())


def test_importance_measured_anew_is_shared(photos):
    shared = []

    class Watched(Team):
        def share(self, model):
            shared.append(model)

    raw = {**TINY, "model": {**TINY["model"], "importance": "re"}, "refresh_importance": 1}
    noise = torch.Generator().manual_seed(1)
    pictures = torch.randint(256, (5, 3, 272, 272), dtype=torch.uint8, generator=noise).unbind()
    trainer = Trainer(recipe.build(raw), list(pictures), team=Watched())
    trainer.advance()
    assert not shared
    trainer.advance()  # the second batch of two ends the epoch of four
    assert shared == [trainer.model, trainer.average]


def test_importance_that_cannot_be_measured_is_told_before_the_first_step(photos):
    config = recipe.build({**TINY, "model": {**TINY["model"], "importance": "re"}})
    small = [torch.zeros(3, 200, 300, dtype=torch.uint8) for _ in range(4)]
    with pytest.raises(InvalidArgument, match=r"importance re is measured .* 256 pixels a side"):
        Trainer(config, small)


def test_freezing_from_the_command_line(tmp_path, monkeypatch, capsys):
    broken = tmp_path / "broken.pt"
    broken.write_bytes(b"no checkpoint")
    cases = {
        f"Error: {broken} is no checkpoint": [],
        "Invalid value for --encoder: give a mapping in YAML": ["--encoder", "abc"],
        "--encoder: give a mapping": ["--encoder", "{"],
    }
    for message, options in cases.items():
        arguments = ["freeze", str(broken), str(tmp_path / "model"), *options]
        monkeypatch.setattr("sys.argv", arguments)
        with pytest.raises(SystemExit) as ended:
            freeze.main()
        assert ended.value.code
        assert message in capsys.readouterr().err
    assert not (tmp_path / "model").exists()


def test_a_crop_that_leaves_out_photographs_that_were_held_out(photos):
    trainer = Trainer(recipe.build(TINY), data.decode(data.list_photos([photos]), 176))
    state = trainer.state()
    check_same(state, recipe.build({**TINY, "data": {**TINY["data"], "crop": 256}}), "c.pt")
    larger = recipe.build({**TINY, "data": {**TINY["data"], "crop": 272}})
    with pytest.raises(InvalidArgument, match=r"c\.pt was trained under another data\.crop"):
        check_same(state, larger, "c.pt")


def test_a_run_resumes_at_the_rates_of_its_recipe(recipe_file, photos, tmp_path):
    checkpoint = run(recipe_file, [photos], tmp_path / "run", max_steps=1, threads=1)
    raw = {**TINY, "optimizer": {**TINY.get("optimizer", {}), "transforms": 7e-6}}
    recipe_file.write_text(yaml.safe_dump(raw))
    run(recipe_file, [photos], tmp_path / "run", max_steps=1, threads=1)
    state = torch.load(checkpoint, weights_only=True)
    assert state["recipe"]["optimizer"]["transforms"] == 7e-6
    assert 7e-6 in [group["base"] for group in state["optimizers"][0]["param_groups"]]


def test_fields_that_a_recipe_did_not_have_are_as_they_were(recipe_file, photos, tmp_path):
    """A checkpoint from before a field resumes where the recipe leaves the field alone."""
    checkpoint = run(recipe_file, [photos], tmp_path / "run", max_steps=1, threads=1)
    state = torch.load(checkpoint, weights_only=True)
    del state["recipe"]["model"]["gdn"], state["recipe"]["optimizer"]["kernels"]
    torch.save(state, checkpoint)
    run(recipe_file, [photos], tmp_path / "run", max_steps=1, threads=1)
    assert torch.load(checkpoint, weights_only=True)["step"] == 2


@pytest.mark.parametrize(
    ("number", "expected", "code"),
    [(signal.SIGINT, KeyboardInterrupt, None), (signal.SIGTERM, SystemExit, 143)],
)
def test_a_signal_ends_the_step_in_hand(
    number, expected, code, recipe_file, photos, tmp_path, monkeypatch
):
    advance = Trainer.advance

    def interrupted(trainer):
        signal.raise_signal(number)
        return advance(trainer)

    monkeypatch.setattr(Trainer, "advance", interrupted)
    with pytest.raises(expected) as raised:
        run(recipe_file, [photos], tmp_path / "run", threads=1)
    assert getattr(raised.value, "code", None) == code
    assert torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["step"] == 1


def test_curves_go_on_where_the_checkpoint_was(tmp_path):
    path = tmp_path / "curves.csv"
    assert curves_until(path, 5) == []
    path.write_text("step,quality\n2,10\n4,10\n6,10\n")
    assert [row["step"] for row in curves_until(path, 5)] == ["2", "4"]
    assert curves_until(path, 0) == []  # begun anew


def test_every_run_has_a_folder_of_its_own(recipe_file, photos, tmp_path):
    """Models of one codec may differ in the loss alone."""
    run(recipe_file, [photos], tmp_path / "run", max_steps=1, threads=1)
    recipe_file.write_text(yaml.safe_dump({**TINY, "name": "another"}))
    with pytest.raises(InvalidArgument, match="was trained under another name than"):
        run(recipe_file, [photos], tmp_path / "run", threads=1)


@pytest.mark.parametrize(
    "damage", [b"", b"PK\3\4 cut", b"weights", b"hello world", b"state", b"tuple"]
)
def test_a_damaged_checkpoint_is_told(damage, recipe_file, photos, tmp_path):
    checkpoint = tmp_path / "run" / "checkpoint.pt"
    checkpoint.parent.mkdir()
    checkpoint.write_bytes(damage)
    with pytest.raises(InvalidArgument, match=r"checkpoint.pt is no checkpoint \(.*--restart"):
        run(recipe_file, [photos], tmp_path / "run", threads=1)
    torch.save({"state_dict": {}}, checkpoint)
    with pytest.raises(InvalidArgument, match="no checkpoint of a training, it lacks average, "):
        run(recipe_file, [photos], tmp_path / "run", threads=1)


@pytest.mark.parametrize("damage", [b"", b"\x08" + bytes(7) + b"not json", bytes(100)])
def test_weights_to_begin_with_that_are_none(damage, recipe_file, photos, tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(damage)
    with pytest.raises(InvalidArgument, match=r"weights.safetensors holds no weights"):
        run(recipe_file, [photos], tmp_path / "run", start=path, threads=1)


def test_a_checkpoint_to_begin_with_of_other_networks(recipe_file, photos, tmp_path):
    checkpoint = run(recipe_file, [photos], tmp_path / "run", max_steps=1, threads=1)
    state = torch.load(checkpoint, weights_only=True)
    state["average"].pop(next(iter(state["average"])))
    torch.save(state, checkpoint)
    with pytest.raises(InvalidArgument, match="another shape than its own recipe's"):
        run(recipe_file, [photos], tmp_path / "new", start=checkpoint, threads=1)


def test_photographs_that_are_all_too_small(recipe_file, photos, tmp_path):
    recipe_file.write_text(yaml.safe_dump({**TINY, "data": {**TINY["data"], "crop": 4000}}))
    with pytest.raises(InvalidArgument, match="no photograph has 4000 pixels a side"):
        run(recipe_file, [photos], tmp_path / "run", threads=1)


def test_a_device_that_is_not_there(recipe_file, photos, tmp_path):
    with pytest.raises(InvalidArgument, match="device 'abacus' cannot be used"):
        run(recipe_file, [photos], tmp_path / "run", device="abacus")


def test_rates_of_milestones_and_cosine():
    milestones = recipe.OptimizerConfig(schedule="milestones", milestones=(2, 3), factor=0.2)
    factors = [learning_rate(step, 40, 10, milestones) for step in (0, 19, 20, 30)]
    assert factors == pytest.approx([1, 1, 0.2, 0.04])
    cosine = recipe.OptimizerConfig(schedule="cosine", warmup=9)
    assert learning_rate(0, 100, 10, cosine) == pytest.approx(0.1)
    assert learning_rate(50, 100, 10, cosine) == pytest.approx(0.505)
    assert learning_rate(100, 100, 10, cosine) == pytest.approx(0.01)


def test_crops_come_from_the_photos():
    photo = torch.arange(3 * 10 * 12).reshape(3, 10, 12).to(torch.uint8)
    crops = data.Crops([photo], 8, 4, torch.Generator().manual_seed(0))
    batch = crops.next(torch.device("cpu"))
    assert batch.shape == (4, 3, 8, 8)
    values = {int(v) for v in (batch * 255).round().flatten()}
    assert values <= set(photo.flatten().tolist())
    assert not torch.equal(batch[0], batch[1])


def test_no_photos_is_an_error(tmp_path):
    with pytest.raises(InvalidArgument, match="no photographs below"):
        data.list_photos([tmp_path])


def test_data_digest_depends_on_names_and_sizes(photos):
    paths = data.list_photos([photos])
    assert data.digest(paths) == data.digest(paths[::-1])
    assert data.digest(paths[1:]) != data.digest(paths)


def test_small_photos_are_left_out(photos):
    assert data.decode(data.list_photos([photos]), 400) == []
