"""The codec as a whole, on a small untrained network with real coded bytes."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from neurocodec import container, metrics
from neurocodec.codecs import cvqn
from neurocodec.codecs.cvqn import levels_within
from neurocodec.codecs.symbols import window_of
from neurocodec.errors import (
    ImageTooLarge,
    InvalidArgument,
    MalformedHeader,
    ModelMismatch,
    NczError,
)
from neurocodec.image import open_photo
from neurocodec.nets.cvqn import ContextConfig
from neurocodec.nets.quantizer import GMMQuantizer
from tests.codecs.conftest import build
from tests.training.conftest import draw_photo


@pytest.fixture(scope="module")
def photo():
    return draw_photo(5, 100, 70)


@pytest.fixture(scope="module")
def large():
    return draw_photo(6, 240, 200)


def psnr(a, b) -> float:
    return metrics.psnr(np.asarray(a), np.asarray(b))


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from(["L", "RGB"]))
def test_every_size_survives(codec, width, height, mode):
    image = draw_photo(1).crop((0, 0, width, height)).convert(mode)
    decoded = codec.decode(codec.encode(image, 80))
    assert (decoded.size, decoded.mode) == ((width, height), mode)
    assert np.abs(np.asarray(decoded, int) - np.asarray(image, int)).mean() < 30


def test_quality_buys_fidelity_with_bytes(codec, photo):
    files = [codec.encode(photo, quality) for quality in (1, 25, 50, 75, 100)]
    assert sorted(map(len, files)) == list(map(len, files))
    # An untrained network has errors that no rate mends: compare with its own best.
    *decoded, best = [codec.decode(data) for data in files]
    scores = [psnr(image, best) for image in decoded]
    assert scores[-1] > scores[0] + 0.5


def test_decoded_pixels_are_those_the_encoder_scored(codec, photo):
    coded = codec.attempt(codec.prepare(open_photo(photo), importance=True), 60)
    expected = coded.pixels()
    assert np.array_equal(np.asarray(codec.decode(coded.data)), expected)


def test_file_decodes_to_the_same_symbols_on_any_thread_count(codec, large):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        file = container.read(codec.encode(large, 90))
        reference, _, estimate = codec._read_symbols(file)
        image = np.asarray(codec.decode_file(file), int)
        for threads in (2, 3):
            torch.set_num_threads(threads)
            indices, _, again = codec._read_symbols(file)
            assert all(torch.equal(a, b) for a, b in zip(reference, indices, strict=True))
            assert again == pytest.approx(estimate, rel=1e-9)
            assert np.abs(np.asarray(codec.decode_file(file), int) - image).max() <= 1
    finally:
        torch.set_num_threads(before)


def test_threads_may_share_a_codec(codec, photo):
    images = [photo.rotate(angle) for angle in range(0, 60, 10)]
    alone = [codec.encode(image, 40) for image in images]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda image: codec.encode(image, 40), images))
        decoded = list(pool.map(codec.decode, alone))
    assert alone == together
    for data, image in zip(alone, decoded, strict=True):
        assert np.array_equal(np.asarray(codec.decode(data)), np.asarray(image))


def test_estimate_coder_and_file_agree(codec, large):
    data = codec.encode(large, 100, importance=False)
    report = codec.rate_report(data)
    file = container.read(data)
    assert report.coded_bits == 8 * sum(map(len, file.streams))
    assert report.file_bits == 8 * len(data)
    assert abs(report.coded_bits / report.estimated_bits - 1) < 0.01
    assert len(file.streams) <= 16
    assert len(data) - report.coded_bits // 8 <= 64


def test_header_records_groups_levels_quality_and_model(codec, photo):
    header = container.read(codec.encode(photo, 33.3)).header
    assert [(g.size, g.levels) for g in header.groups] == [(3, 23), (9, 23), (12, 11)]
    assert header.quality == pytest.approx(33.3, abs=1 / 512)
    assert header.channel_order is None


@given(
    st.integers(2, 40),
    st.lists(st.floats(-60, 60), min_size=1, max_size=5),
)
def test_levels_of_a_file_are_those_in_the_middle_that_hold_every_symbol(levels, latent):
    torch.manual_seed(levels)
    quantizer = GMMQuantizer(levels)
    with torch.no_grad():
        quantizer.mu += 0.1 * torch.randn(levels)
    z = torch.tensor(latent)
    used = levels_within(quantizer, z)
    assert levels % 2 == used % 2
    assert 2 <= used <= levels
    window = window_of(levels, used)
    level = (z[:, None] - quantizer.mu).abs().argmin(dim=1)
    assert window.start <= int(level.min())
    assert int(level.max()) < window.stop
    assert window.start <= quantizer.zero < window.stop
    if used > 3:  # one less on either side would not do
        assert int(level.min()) == window.start or int(level.max()) == window.stop - 1


def test_levels_that_no_symbol_has_cost_bytes_and_change_nothing_else(photo, monkeypatch):
    codec = build()
    codec.rate_aware = 0.0  # the choice of a level does not depend on what others cost
    few = codec.encode(photo, 40)
    monkeypatch.setattr(cvqn, "levels_within", lambda quantizer, z: quantizer.levels)
    whole = codec.encode(photo, 40)
    assert [group.levels for group in container.read(whole).header.groups] == [127, 63, 31]
    assert len(few) < len(whole)
    assert np.array_equal(np.asarray(codec.decode(few)), np.asarray(codec.decode(whole)))


def test_each_tile_has_levels_of_its_own(codec, monkeypatch):
    image = Image.new("RGB", (128, 64), (90, 100, 110))
    image.paste(draw_photo(3, 64, 64), (64, 0))
    data = codec.encode(image, 60, tile_size=64)
    file = container.read(data)
    flat, busy = (container.tile(file, number).header.groups for number in range(2))
    assert all(a.levels <= b.levels for a, b in zip(flat, busy, strict=True))
    assert flat[1].levels < busy[1].levels
    assert [group.levels for group in file.header.groups] == [3, 3, 3]
    # Windows of tiles reach into each other: with levels of one for the other, both would change.
    monkeypatch.setattr(cvqn, "levels_within", lambda quantizer, z: quantizer.levels)
    same = codec.encode(image, 60, tile_size=64)
    assert same != data
    assert np.array_equal(np.asarray(codec.decode(same)), np.asarray(codec.decode(data)))


def test_levels_of_positions_that_the_map_leaves_out_do_not_count(codec):
    image = Image.new("RGB", (128, 64), (90, 100, 110))
    image.paste(draw_photo(3, 64, 64), (64, 0))
    mask = Image.new("L", (128, 64), 0)
    mask.paste(255, (0, 0, 64, 64))
    file = container.read(codec.encode(image, 60, roi=mask))
    plain = container.read(codec.encode(image, 60, importance=False))
    assert file.header.groups[2].levels < plain.header.groups[2].levels
    assert codec.decode_file(file).size == image.size


def test_an_even_number_of_levels_as_a_whole_and_in_tiles(large):
    codec = build(levels=(60, 30, 16))
    for options in ({}, {"tile_size": 64}):
        data = codec.encode(large, 30, **options)
        assert codec.decode(data).size == large.size
        file = container.read(data)
        parts = [file] if not options else [container.tile(file, n) for n in range(len(file.grid))]
        for part in parts:
            for group, most in zip(part.header.groups, (60, 30, 16), strict=True):
                assert group.levels in range(2, most + 1, 2)


def test_importance_map_leaves_out_symbols_and_is_optional(codec, large):
    with_map = container.read(codec.encode(large, 60, importance=True))
    without = container.read(codec.encode(large, 60, importance=False))
    assert without.header.importance is None
    importance = with_map.header.importance
    assert (importance.rows, importance.cols, importance.levels) == (13, 15, 4)
    assert len(set(importance.values)) > 1
    assert sum(map(len, with_map.streams)) < sum(map(len, without.streams))
    indices, _, _ = codec._read_symbols(with_map)
    level = torch.tensor(list(importance.values)).view(1, 1, 13, 15)
    mask = codec.model.map.mask(level)[0]
    merged = torch.cat(
        [
            index - group.levels // 2
            for index, group in zip(indices, codec.context.groups, strict=True)
        ]
    )
    assert (merged[~mask] == 0).all()


def test_roi_spends_bits_inside_the_mask(codec, large):
    mask = Image.new("L", (24, 20), 0)
    mask.paste(255, (0, 0, 12, 20))
    plain = np.asarray(codec.decode(codec.encode(large, 90, importance=False)))
    data = codec.encode(large, 90, importance=False, roi=mask)
    guided = np.asarray(codec.decode(data))
    original = np.asarray(large)
    inside, outside = np.s_[:, :104], np.s_[:, 136:]
    assert psnr(guided[inside], original[inside]) == pytest.approx(
        psnr(plain[inside], original[inside]), abs=0.3
    )
    assert psnr(guided[outside], original[outside]) < psnr(plain[outside], original[outside]) - 0.5


@pytest.mark.parametrize("tile_size", [0, 64])
def test_what_is_transparent_in_a_mask_is_outside(codec, large, tile_size):
    mask = Image.new("LA", (24, 20), (255, 0))
    mask.paste((255, 255), (0, 0, 12, 20))
    opaque = Image.new("L", (24, 20), 0)
    opaque.paste(255, (0, 0, 12, 20))
    files = [codec.encode(large, 90, roi=roi, tile_size=tile_size) for roi in (mask, opaque, None)]
    assert files[0] == files[1] != files[2]


def test_the_decoder_is_told_the_quality_of_the_file(photo):
    codec = build(quality_input=True, decoder_blocks=(1, 2, 1, 1))
    with torch.no_grad():
        for parameter in codec.model.decoder.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    for quality in (5, 95):
        data = codec.encode(photo, quality)
        latent = codec.read_latent(container.read(data))
        for told in (quality, 50):
            with torch.no_grad():
                shown = codec.model.synthesise(latent, torch.tensor([float(told)]))[0]
            pixels = (shown.clamp(0, 1) * 255).permute(1, 2, 0).numpy()[:70, :100]
            off = np.abs(np.asarray(codec.decode(data)).astype(float) - pixels).max()
            assert (off < 0.6) == (told == quality)


def test_a_batch_of_qualities_is_synthesised_as_each_alone():
    model = build(quality_input=True).model
    with torch.no_grad():
        for parameter in model.decoder.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
        latent, quality = torch.randn(2, 24, 3, 4), torch.tensor([5.0, 95.0])
        together = model.synthesise(latent, quality)
        alone = [model.synthesise(latent[k : k + 1], quality[k : k + 1]) for k in (0, 1)]
    torch.testing.assert_close(together, torch.cat(alone))


def test_roi_needs_a_map(photo):
    plain = build(map_levels=0)
    for options in ({"roi": photo}, {"importance": True}):
        with pytest.raises(InvalidArgument, match=r"tiny has no .*, or with --model cvqn$"):
            plain.encode(photo, **options)
    assert plain.encode(photo, importance=False) == plain.encode(photo)


def test_se_order_travels_in_the_header(photo):
    codec = build(importance="se")
    data = codec.encode(photo, 70)
    order = container.read(data).header.channel_order
    assert sorted(order) == list(range(24))
    assert list(order) != sorted(order)
    coded = codec.attempt(codec.prepare(open_photo(photo), importance=True), 70)
    expected = coded.pixels()
    assert np.array_equal(np.asarray(codec.decode(data)), expected)


def test_baseline_of_one_group_and_published_attention(photo):
    codec = build(
        groups=(24,), levels=(5,), attention="deep-softmax", map_levels=0, linear_path=False,
        context=ContextConfig(passes=(2,), features=4, hidden=8, residual_kernel=3),
    )  # fmt: skip
    decoded = codec.decode(codec.encode(photo))
    assert decoded.size == photo.size


def test_rate_aware_quantization_saves_bytes(photo):
    codec = build()
    plain = len(codec.encode(photo, 80))
    codec.rate_aware = 20.0
    assert len(codec.encode(photo, 80)) < plain


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quality": 0}, "quality 0 is out of range"),
        ({"quality": 100.5}, "out of range"),
        ({"quality": float("nan")}, "out of range"),
        ({"target_bpp": 1, "target_psnr": 30}, "exclude each other"),
        ({"target_bpp": -1}, "must be positive"),
        ({"target_bpp": float("nan")}, "must be positive"),
        ({"target_size": 60}, "target size 60 is out of reach"),
        (
            {"target_bpp": 0.001},
            r"target bpp 0\.001 is out of reach: quality 1 gives 0\.\d+; raise",
        ),
        ({"target_psnr": 90}, "target PSNR 90 is out of reach"),
    ],
)
def test_options_out_of_range_are_refused(codec, photo, options, message):
    with pytest.raises(InvalidArgument, match=message):
        codec.encode(photo, **options)


@pytest.mark.parametrize(
    ("name", "tinted", "tile_size", "more"),
    [("psnr", 0, 0, 0.02), ("psnr", 1, 0, 0.02), ("psnr", 1, 64, 0.2), ("ms_ssim", 0, 0, 0.001)],
)
def test_the_score_of_a_grey_picture_is_that_of_its_luma(
    codec, large, monkeypatch, name, tinted, tile_size, more
):
    """An error of one channel is another one in the grey that is decoded: less of red, more of
    green."""
    render = codec.render

    def tint(latent, header):
        pixels = render(latent, header).astype(int)
        pixels[..., tinted] += 3 - 6 * (np.arange(pixels.shape[1]) % 2)
        return pixels.clip(0, 255).astype(np.uint8)

    monkeypatch.setattr(codec, "render", tint)
    grey = large.convert("L")
    score = getattr(metrics, name)

    def reached(data):
        image = codec.decode(data)
        assert image.mode == "L"
        return score(*(np.asarray(one.convert("RGB")) for one in (grey, image)))

    target = reached(codec.encode(grey, 40, tile_size=tile_size))
    option = "target_psnr" if name == "psnr" else "target_msssim"
    found = reached(codec.encode(grey, tile_size=tile_size, **{option: target}))
    assert target <= found < target + more


def test_metadata_and_alpha_come_back(codec, photo):
    rgba = photo.convert("RGBA")
    alpha = Image.linear_gradient("L").resize(photo.size)
    rgba.putalpha(alpha)
    rgba.info["icc_profile"] = b"not a real profile"
    decoded = codec.decode(codec.encode(rgba, 50))
    assert decoded.mode == "RGBA"
    assert np.array_equal(np.asarray(decoded)[..., 3], np.asarray(alpha))


def test_another_model_or_other_weights_are_refused_by_name(codec, photo):
    file = container.read(codec.encode(photo))
    with pytest.raises(ModelMismatch, match=r"model 7 of codec 1, not with tiny \(900\)"):
        codec.decode_file(dataclasses.replace(file, model=7))
    with pytest.raises(ModelMismatch, match="weights 00000000 of model tiny"):
        codec.decode_file(dataclasses.replace(file, model_digest=bytes(4)))


def test_headers_no_encoder_wrote_are_refused(codec, photo):
    file = container.read(codec.encode(photo, importance=True))
    header = file.header

    def decode(**changes):
        codec.decode_file(dataclasses.replace(file, header=dataclasses.replace(header, **changes)))

    with pytest.raises(MalformedHeader, match="3x127 21x5 are not those"):
        decode(groups=(container.Group(3, 127), container.Group(21, 5)))
    for levels in ((129, 63, 31), (127, 62, 31), (127, 63, 2)):
        with pytest.raises(MalformedHeader, match="even number of levels less"):
            decode(groups=tuple(map(container.Group, (3, 9, 12), levels)))
    with pytest.raises(MalformedHeader, match="3x127 8x63 13x31 are not those"):
        decode(groups=tuple(map(container.Group, (3, 8, 13), (127, 63, 31))))
    small = container.ImportanceMap(1, 2, 4, bytes(2))
    with pytest.raises(MalformedHeader, match="map of 1x2 of 4 levels"):
        decode(importance=small)
    with pytest.raises(NczError):
        codec.decode_file(dataclasses.replace(file, streams=file.streams[:-1]))


def test_garbage_streams_decode_to_something_or_are_refused(codec, photo):
    """Only the container's checksum can notice; the codec must neither crash nor hang."""
    file = container.read(codec.encode(photo, 60))
    rng = np.random.default_rng(0)
    streams = tuple(rng.bytes(len(stream)) for stream in file.streams)
    try:
        image = codec.decode_file(dataclasses.replace(file, streams=streams))
        assert image.size == photo.size
    except NczError:
        pass


def test_max_pixels_reaches_the_container(codec, photo):
    with pytest.raises(NczError):
        codec.decode(codec.encode(photo), max_pixels=100)


def test_padding_counts_where_it_is_most_of_the_pixels(codec):
    data = codec.encode(Image.new("RGB", (1, 200)))
    with pytest.raises(ImageTooLarge, match="3328 when padded"):
        codec.decode(data, max_pixels=831)
    assert codec.decode(data, max_pixels=832).size == (1, 200)
    data = codec.encode(Image.new("RGB", (33, 17)))
    with pytest.raises(ImageTooLarge):
        codec.decode(data, max_pixels=33 * 17 - 1)
    assert codec.decode(data, max_pixels=33 * 17).size == (33, 17)


def test_a_size_out_of_reach_names_the_metadata(codec, photo):
    with pytest.raises(InvalidArgument, match=r"raise it$"):
        codec.encode(photo, target_size=10)
    tagged = photo.copy()
    tagged.info["xmp"] = b"x" * 700
    with pytest.raises(InvalidArgument, match=r"or leave out metadata .* up to 700 bytes$"):
        codec.encode(tagged, target_size=10)


def test_encoding_sets_no_global_state(codec, photo):
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    codec.decode(codec.encode(photo))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    assert torch.is_grad_enabled()
