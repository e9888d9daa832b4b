"""Training ComRec: end to end around `dct`, alternating around codecs without a gradient."""

import csv

import numpy as np
import pytest
import torch
import yaml
from pytorch_msssim import ssim
from scipy.fft import dctn

from neurocodec.codecs import weights
from neurocodec.codecs.inner import INNERS, jpeg_tables
from neurocodec.errors import InvalidArgument
from neurocodec.nets.block_dct import YCBCR
from neurocodec.nets.comrec import downsample, upsample
from neurocodec.training import freeze, recipe, run
from neurocodec.training.comrec import JUDGED, activity, through
from neurocodec.training.run import Trainer
from neurocodec.training.system import stratified
from tests.training.conftest import TINY, draw_photo

MODEL = {
    "com_features": 4,
    "rec_features": 4,
    "rec_blocks": 1,
    "both": [10.0, 60.0, 90.0],
    "rec": [5.0, 40.0, 95.0],
    "dct": {
        "chroma": 4,
        "bounds": [1, 3, 6, 10],
        "context": {"passes": [3, 2, 2, 2, 2], "features": 4, "hidden": 8},
    },
}
COMMON = {
    "name": "tiny",
    "codec": "comrec",
    "wire_id": 998,
    "data": {"crop": 32, "batch": 2, "validation": 1},
    "optimizer": {"transforms": 1e-3, "context": 1e-2, "gains": 1e-2, "schedule": "cosine"},
    "steps": 6,
    "validate_every": 3,
    "checkpoint_every": 100,
}


def raw(inner: str, form: str = "fast", **loss) -> dict:
    return {**COMMON, "model": {**MODEL, "inner": inner, "form": form}, "loss": loss}


def trainer(inner: str, form: str = "fast", **loss) -> Trainer:
    photos = [
        torch.from_numpy(np.asarray(draw_photo(k)).transpose(2, 0, 1).copy()) for k in range(3)
    ]
    return Trainer(recipe.build(raw(inner, form, **loss)), photos)


def snapshot(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def moved(module: torch.nn.Module, before: dict[str, torch.Tensor]) -> set[str]:
    return {k for k, value in module.state_dict().items() if not torch.equal(value, before[k])}


@pytest.fixture
def crops() -> torch.Tensor:
    return torch.stack(
        [
            torch.from_numpy(np.asarray(draw_photo(k, 48, 32)).copy()).permute(2, 0, 1) / 255
            for k in range(2)
        ]
    )


def train_whole_and_in_parts(change: dict, photos, tmp_path) -> tuple[dict, dict]:
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(change))
    whole = run(path, [photos], tmp_path / "whole", threads=1)
    run(path, [photos], tmp_path / "parts", max_steps=2, threads=1)
    parts = run(path, [photos], tmp_path / "parts", threads=1)
    one, two = (torch.load(checkpoint, weights_only=True) for checkpoint in (whole, parts))
    assert one["step"] == two["step"] == change["steps"]
    for key in ("model", "average"):
        assert one[key].keys() == two[key].keys()
        assert all(torch.equal(one[key][name], two[key][name]) for name in one[key])
    return one, two


@pytest.mark.slow
@pytest.mark.parametrize("inner", ["dct", "jpeg"])
def test_killed_at_any_step_and_resumed_gives_the_same_weights(inner, photos, tmp_path):
    train_whole_and_in_parts(raw(inner, alternate=[2, 1]), photos, tmp_path)
    with open(tmp_path / "whole" / "curves.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["3"] * len(JUDGED) + ["6"] * len(JUDGED)
    assert [row["quality"] for row in rows[: len(JUDGED)]] == ["10h", "30h", "30", "50", "80"]
    assert all(float(row["bpp"]) > 0 and 0 < float(row["ms_ssim"]) <= 1 for row in rows)


@pytest.mark.slow
def test_the_full_form_resumes_with_its_batch_statistics(photos, tmp_path):
    change = raw("jpeg", "full", alternate=[2, 1])
    change = {**change, "data": {"crop": 32, "batch": 2, "validation": 0}, "steps": 4}
    one, _ = train_whole_and_in_parts(change, photos, tmp_path)
    assert (one["average"]["rec.layers.3.running_var"] != 1).all()


@pytest.mark.parametrize("form", ["fast", "full"])
@pytest.mark.parametrize("straight_through", [False, True])
def test_alternation_freezes_the_other_network(form, straight_through):
    training = trainer("jpeg", form, alternate=[2, 1], straight_through=straight_through)
    for step in range(6):
        com, rec = snapshot(training.model.com), snapshot(training.model.rec)
        shown = training.advance()
        learns, rests = (training.model.com, training.model.rec), (com, rec)
        if step % 3 < 2:
            learns, rests = learns[::-1], rests[::-1]
            assert shown["bpp"] > 0
        else:
            assert (shown["bpp"] > 0) == straight_through  # else nothing was coded to be counted
        assert moved(learns[0], rests[0])
        assert moved(learns[1], rests[1]) == set()


def test_each_of_both_learns_in_its_turn():
    training = trainer("jpeg", alternate=[1, 1])
    before = snapshot(training.model)
    for _ in range(8):
        training.advance()
    still = {name for name, _ in training.model.named_parameters()} - moved(training.model, before)
    assert still == set()


def test_end_to_end_moves_every_part_and_both_tables():
    training = trainer("dct", half_share=0.5)
    before = snapshot(training.model)
    for _ in range(10):
        shown = training.advance()
        assert np.isfinite(shown["loss"])
        assert shown["bpp"] > 0
    still = {name for name, _ in training.model.named_parameters()} - moved(training.model, before)
    # Of the context, what groups without a coded block would teach stays as it is.
    assert {name for name in still if not name.startswith("dct.context")} == set()
    groups = {name.split(".")[3] for name in moved(training.model, before) if "groups" in name}
    assert {"0", "1"} <= groups


@pytest.mark.parametrize(("share", "tables"), [(0.0, "full_steps"), (1.0, "half_steps")])
def test_half_share_decides_which_pictures_are_carried(share, tables):
    training = trainer("dct", half_share=share)
    before = snapshot(training.model)
    for _ in range(3):
        training.advance()
    found = moved(training.model, before)
    assert {name for name in found if "steps" in name} == {f"dct.{tables}.log_gain"}
    assert any(name.startswith("com.") for name in found) == (share == 1)


def test_half_pictures_are_trained_up_to_their_highest_quality(monkeypatch):
    seen = {True: [], False: []}
    for share in (0.0, 1.0):
        training = trainer("dct", half_share=share, half_until=40.0)
        inside = training.model.dct.forward

        def spy(x, quality, half, inside=inside):
            seen[half] += quality.tolist()
            return inside(x, quality, half)

        monkeypatch.setattr(training.model.dct, "forward", spy)
        for _ in range(12):
            training.advance()
    assert 1 <= min(seen[True]) < 10
    assert 35 < max(seen[True]) <= 40
    assert max(seen[False]) > 90


def test_the_loss_end_to_end_is_weighted_error_plus_rate(crops):
    training = trainer("dct", half_share=0.0, weight=[0.001, 0.1])
    model = training.model
    x = crops[:1]
    generator = torch.Generator().manual_seed(3)
    losses = training.system.loss(model, x, 0, generator)
    generator.manual_seed(3)
    torch.rand((), generator=generator)  # whether half
    quality = 1 + 99 * torch.rand(1, generator=generator)
    with torch.no_grad():
        carried, bits = model.dct(x, quality, False)  # RecCNN is still the identity
    bpp = bits.item() / (32 * 48)
    mse = ((carried - x) ** 2).mean().item()
    weight = 0.001 * 100 ** ((quality.item() - 1) / 99)
    expected = (weight * mse * 255**2 + bpp) * (0.01 / weight) ** 0.5
    assert losses.total.item() == pytest.approx(expected, rel=1e-4)
    assert losses.bpp.tolist() == pytest.approx([bpp], rel=1e-5)
    assert losses.psnr.tolist() == pytest.approx([-10 * np.log10(mse)], rel=1e-5)


def test_the_loss_of_a_compacting_step_is_log_error_and_log_activity(crops):
    def total(**loss):
        training = trainer("jpeg", alternate=[0, 1], **loss)
        with torch.no_grad():
            return training.system.loss(
                training.model, crops, 0, torch.Generator().manual_seed(3)
            ).total.item()

    compact = downsample(crops).clamp(0, 1)
    mse = ((upsample(compact) - crops) ** 2).mean((1, 2, 3))
    plain = total(rate_share=0.0)
    assert plain == pytest.approx(torch.log10(mse + 1 / 255**2).mean().item(), rel=1e-5)
    extra = (total(rate_share=0.5) - plain) / 0.5
    # Qualities are drawn: between those of the lowest and of the highest.
    bounds = [activity(compact, [quality] * 2).log().mean().item() for quality in (10.0, 66.0)]
    assert bounds[0] < extra < bounds[1]
    # What the codec takes away counts where it is not left out.
    assert total(rate_share=0.0, straight_through=True) > plain
    unlike = 1 - ssim(upsample(compact), crops, data_range=1.0, size_average=False)
    asked = total(rate_share=0.0, similarity_share=0.25) - plain
    assert asked == pytest.approx(0.25 * torch.log10(unlike + 1 / 255**2).mean().item(), rel=1e-4)


def test_straight_through_teaches_with_the_decoded_picture(crops):
    training = trainer("jpeg", alternate=[0, 1], rate_share=0.0, straight_through=True)
    losses = training.system.loss(training.model, crops, 0, torch.Generator().manual_seed(0))
    losses.total.backward()
    assert training.model.com.tail.bias.grad.abs().max() > 0
    assert all(p.grad is None for p in training.model.rec.parameters())


@pytest.mark.parametrize("name", ["jpeg", "webp"])
def test_through_is_the_inner_codec_of_each_picture(name, crops):
    beyond = crops * 1.4 - 0.2  # ComCNN may leave [0, 1]
    decoded, bpp = through(INNERS[name], beyond, [20.0, 90.0])
    for k, quality in enumerate((20.0, 90.0)):
        pixels = (beyond[k].clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
        file = INNERS[name].encode(np.ascontiguousarray(pixels), quality)
        assert bpp[k].item() == pytest.approx(8 * len(file) / (48 * 32))
        expected = torch.from_numpy(INNERS[name].decode(file, 48, 32).copy()).permute(2, 0, 1)
        assert torch.equal(decoded[k], expected / 255)


def test_activity_counts_quantized_dct_coefficients():
    torch.manual_seed(0)
    x = torch.rand(2, 3, 8, 16, dtype=torch.float64)
    found = activity(x, [30.0, 80.0])
    for k, quality in enumerate((30.0, 80.0)):
        planes = np.einsum("pc,chw->phw", YCBCR.numpy(), (x[k].numpy() - 0.5) * 255)
        total, count = 0.0, 0
        for block in (planes[:, :, :8], planes[:, :, 8:]):
            coefficients = dctn(block, axes=(1, 2), norm="ortho")
            for plane in range(3):
                table = np.array(jpeg_tables(quality)[min(plane, 1)]).reshape(8, 8)
                for u in range(8):
                    for v in range(8):
                        if plane == 0 or u + v < 6:
                            value = abs(coefficients[plane, u, v]) / table[u, v]
                            total, count = total + np.log2(1 + value), count + 1
        assert found[k].item() == pytest.approx(total / count, rel=1e-5)
    assert activity(torch.full((1, 3, 8, 8), 0.5), [50.0]).item() == 0


def test_activity_has_the_gradient_of_its_value():
    torch.manual_seed(1)
    x = torch.rand(1, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: activity(x, [40.0]), (x,), eps=1e-7, atol=1e-4)


def test_following_activity_down_makes_smaller_files(crops):
    x = crops.clone().requires_grad_()
    for _ in range(20):
        (gradient,) = torch.autograd.grad(activity(x, [50.0, 50.0]).sum(), x)
        x = (x - 0.003 * gradient.sign()).detach().requires_grad_()
    _, before = through(INNERS["jpeg"], crops, [50.0] * 2)
    _, after = through(INNERS["jpeg"], x, [50.0] * 2)
    assert (after < before).all()


@pytest.mark.parametrize("inner", ["dct", "jpeg"])
def test_judging_fresh_networks_is_judging_the_inner_codec(inner):
    training = trainer(inner)
    crops = training.validation
    rows = {row["quality"]: row for row in training.validate()}
    assert list(rows) == ["10h", "30h", "30", "50", "80"]
    config = training.config.model
    for name, quality, half in (("30h", 30.0, True), ("50", 50.0, False)):
        x = downsample(crops) if half else crops
        asked = config.inner_quality(quality, half)
        if inner == "dct":
            with torch.no_grad():
                carried, bits = training.average.dct(x, torch.tensor([asked]), half)
            bpp = bits.mean().item() / 256**2
        else:
            carried, bpp = through(INNERS[inner], x, [asked])
            bpp = bpp.mean().item() * x.shape[2] ** 2 / 256**2
        restored = (upsample(carried) if half else carried).clamp(0, 1)
        psnr = -10 * torch.log10(((restored - crops) ** 2).mean()).item()
        assert rows[name]["bpp"] == pytest.approx(bpp, rel=1e-4)
        assert rows[name]["psnr"] == pytest.approx(psnr, rel=1e-4)
    assert rows["10h"]["bpp"] < rows["30h"]["bpp"]
    assert rows["30"]["bpp"] < rows["50"]["bpp"] < rows["80"]["bpp"]


def test_parts_have_the_rates_of_their_kind():
    part = trainer("dct").system.part
    assert part("dct.context.groups.0.hollow.weight") == "context"
    assert part("dct.full_steps.log_gain") == part("dct.half_steps.log_gain") == "gains"
    assert part("com.head.weight") == part("rec.blocks.0.first.bias") == "transforms"


@pytest.mark.parametrize(("file", "to"), [("webp", "dct"), ("dct", "jpeg"), ("dct", "dct")])
def test_training_may_begin_with_networks_around_another_inner_codec(file, to, tmp_path):
    source = trainer(file)
    for _ in range(2):
        source.advance()
    path = tmp_path / "weights.safetensors"
    path.write_bytes(weights.to_bytes(source.model))
    frozen = weights.model_from_bytes(path.read_bytes()).state_dict()
    training = trainer(to)
    fresh = snapshot(training.model)
    training.begin_with(path)
    for model in (training.model, training.average):
        for name, value in model.state_dict().items():
            known = not name.startswith("dct.") or file == to
            assert torch.equal(value, frozen[name] if known else fresh[name]), name
    assert np.isfinite(training.advance()["loss"])


def test_ssim_counts_where_reccnn_learns(crops):
    def total(share: float) -> float:
        training = trainer("jpeg", alternate=[1, 0], half_share=0.0, similarity_share=share)
        generator = torch.Generator().manual_seed(3)
        return training.system.loss(training.model, crops, 0, generator).total.item()

    # RecCNN is still the identity: the picture is that of the codec at the qualities drawn.
    generator = torch.Generator().manual_seed(3)
    torch.rand((), generator=generator)
    config = trainer("jpeg").model.config
    asked = [config.inner_quality(float(q), False) for q in stratified(2, generator)]
    decoded, _ = through(INNERS["jpeg"], crops, asked)
    unlike = 1 - ssim(decoded, crops, data_range=1.0, size_average=False)
    expected = 0.3 * torch.log10(unlike + 1 / 255**2).mean().item()
    assert total(0.3) - total(0.0) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("half", [False, True])
def test_further_blocks_begin_as_if_they_were_not_there(half, tmp_path):
    source = trainer("webp")
    source.advance()
    path = tmp_path / "weights.safetensors"
    path.write_bytes(weights.to_bytes(source.model))
    before = weights.model_from_bytes(path.read_bytes())
    changed = raw("webp")
    changed["model"] = {**changed["model"], "rec_blocks": len(before.rec.blocks) + 2}
    training = Trainer(recipe.build(changed), [torch.zeros(3, 40, 40, dtype=torch.uint8)])
    training.begin_with(path)
    x, quality = torch.rand(2, 3, 16, 24), torch.tensor([10.0, 60.0])
    with torch.no_grad():
        found = training.average.restore(x, quality, half)
        torch.testing.assert_close(found, before.restore(x, quality, half))


def test_networks_of_another_shape_are_refused(tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(weights.to_bytes(trainer("jpeg").model))
    changed = raw("jpeg")
    changed["model"] = {**changed["model"], "rec_features": 6}
    photos = [torch.zeros(3, 40, 40, dtype=torch.uint8)]
    wider = Trainer(recipe.build(changed), photos)
    with pytest.raises(InvalidArgument, match=r"weights.safetensors holds networks of another"):
        wider.begin_with(path)
    with pytest.raises(InvalidArgument, match="another shape"):
        trainer("jpeg", "full").begin_with(path)
    cvqn = Trainer(
        recipe.build({**TINY, "data": {"crop": 32, "batch": 1}, "loss": {"distortion": "mse"}}),
        photos,
    )
    with pytest.raises(InvalidArgument, match="another shape"):
        cvqn.begin_with(path)
    path.write_bytes(weights.to_bytes(cvqn.model))
    with pytest.raises(InvalidArgument, match="another shape"):
        trainer("jpeg").begin_with(path)


@pytest.mark.parametrize("inner", ["dct", "webp"])
def test_the_full_form_takes_steps(inner):
    training = trainer(inner, "full", alternate=[1, 1])
    before = snapshot(training.model)
    for _ in range(3):
        assert np.isfinite(training.advance()["loss"])
    found = moved(training.model, before)
    assert {"com.layers.0.weight", "rec.layers.0.weight", "rec.layers.3.running_mean"} <= found


def test_the_average_of_the_full_form_has_its_batch_statistics():
    training = trainer("jpeg", "full", alternate=[1, 0])
    for _ in range(2):
        training.advance()
    pairs = zip(training.average.rec.buffers(), training.model.rec.buffers(), strict=True)
    assert all(torch.equal(theirs, ours) for theirs, ours in pairs)
    statistics = training.average.rec.state_dict()
    assert (statistics["layers.3.running_var"] != 1).all()
    assert not training.average.rec.training


@pytest.mark.slow
def test_freezing_keeps_the_averaged_networks(photos, tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(raw("dct")))
    checkpoint = run(path, [photos], tmp_path / "run", max_steps=2, threads=1)
    record = yaml.safe_load(freeze.freeze(checkpoint, tmp_path / "model").read_text())
    assert (record["name"], record["codec"], record["wire_id"]) == ("tiny", "comrec", 998)
    frozen = weights.model_from_bytes((tmp_path / "model" / "weights.safetensors").read_bytes())
    config, averaged, trained = freeze.averaged(checkpoint)
    assert trained["steps"] == 2
    assert frozen.config == averaged.config == config.model
    for name, value in averaged.state_dict().items():
        found = frozen.state_dict()[name]
        if "steps" in name:  # exact: the decoder's tables must be the encoder's
            assert torch.equal(found, value)
        else:
            # Eight bits are off by half of 1/127 at most, where a kernel has them.
            bound = 4e-3 * value.abs().max().item() if value.dim() >= weights.KERNEL else 1e-5
            torch.testing.assert_close(found, value, rtol=1e-3, atol=bound, msg=name)
