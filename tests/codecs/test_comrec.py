"""ComRec as a whole: small untrained networks around our inner codec and around those of others."""

import dataclasses
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from neurocodec import container, metrics
from neurocodec.codecs import comrec, weights
from neurocodec.codecs.comrec import SLOPE, ComRecCodec
from neurocodec.codecs.inner import INNERS
from neurocodec.container import Arrangement, Inner
from neurocodec.errors import (
    ChecksumMismatch,
    CorruptStream,
    ImageTooLarge,
    InvalidArgument,
    MissingDependency,
    ModelMismatch,
    NczError,
)
from neurocodec.image import open_photo
from neurocodec.nets.block_dct import BlockDCTConfig
from neurocodec.nets.comrec import ComRec, ComRecConfig
from neurocodec.nets.context import ContextConfig
from tests.codecs.conftest import DIGEST
from tests.training.conftest import draw_photo

DCT = BlockDCTConfig(context=ContextConfig(passes=(3, 2, 2, 2, 2), features=4, hidden=8))


def build(
    inner: str = "jpeg", form: str = "fast", rate_aware: float = 0.1, certain: float = 1.0
) -> ComRecCodec:
    """A codec that works untrained: its fast networks begin as bicubic and identity. The last
    layers get some weight, so that it matters which network ran and what it was told."""
    torch.manual_seed(0)
    config = ComRecConfig(
        inner, form, com_features=4, rec_features=4, rec_blocks=1, switch=50.0,
        both=(10.0, 60.0, 100.0), rec=(5.0, 40.0, 95.0), dct=DCT, certain=certain,
    )  # fmt: skip
    model = ComRec(config)
    if form == "fast":
        for network in (model.com, model.rec):
            torch.nn.init.normal_(network.tail.weight, std=0.01)
    return ComRecCodec(model, name="tiny", wire_id=901, digest=DIGEST, rate_aware=rate_aware)


OTHERS = [name for name, codec in INNERS.items() if codec.missing() is None]
CODECS = {name: build("dct" if name == "dct" else "jpeg") for name in ("dct", "jpeg")}


def codec_for(inner: str) -> ComRecCodec:
    return CODECS["dct" if inner == "dct" else "jpeg"]


@pytest.fixture(scope="module")
def dct() -> ComRecCodec:
    return CODECS["dct"]


@pytest.fixture(scope="module")
def jpeg() -> ComRecCodec:
    return CODECS["jpeg"]


@pytest.fixture(scope="module")
def photo():
    return draw_photo(5, 101, 70)


@pytest.fixture(scope="module")
def large():
    return draw_photo(6, 240, 200)


def psnr(a, b) -> float:
    return metrics.psnr(np.asarray(a), np.asarray(b))


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 40), st.integers(1, 40), st.sampled_from(["L", "RGB"]),
    st.sampled_from(["dct", "jpeg", "webp"]), st.sampled_from(["both", "rec", "com"]),
)  # fmt: skip
def test_every_size_survives(width, height, mode, inner, arrangement):
    codec = codec_for(inner)
    image = draw_photo(1).crop((0, 0, width, height)).convert(mode)
    decoded = codec.decode(codec.encode(image, 90, inner=inner, arrangement=arrangement))
    assert (decoded.size, decoded.mode) == ((width, height), mode)
    assert np.abs(np.asarray(decoded, int) - np.asarray(image, int)).mean() < 30


@pytest.mark.parametrize("inner", ["dct", *OTHERS])
@pytest.mark.parametrize("arrangement", ["both", "rec", "com"])
@pytest.mark.parametrize("size", [(1, 1), (33, 18)])
def test_decoded_pixels_are_those_the_encoder_scored(inner, arrangement, size):
    codec = codec_for(inner)
    image = draw_photo(2).crop((0, 0, *size))
    prepared = codec.prepare(open_photo(image), inner=inner, arrangement=arrangement)
    coded = codec.attempt(prepared, 70)
    header = container.read(coded.data).header
    assert (header.inner, header.arrangement) == (
        Inner[inner.upper()],
        Arrangement[arrangement.upper()],
    )
    expected = coded.pixels()
    assert expected.shape == (size[1], size[0], 3)
    assert np.array_equal(np.asarray(codec.decode(coded.data)), expected)
    assert coded.data == codec.encode(image, 70, inner=inner, arrangement=arrangement)


@pytest.mark.parametrize("inner", ["dct", "jpeg"])
def test_each_arrangement_runs_its_networks_and_no_other(inner, photo):
    def images(codec):
        names = ("both", "rec", "com")
        return {n: codec.decode(codec.encode(photo, 60, arrangement=n)).tobytes() for n in names}

    before = images(build(inner))
    uses = {"com": {"both", "com"}, "rec": {"both", "rec"}}
    for network, arrangements in uses.items():
        codec = build(inner)
        with torch.no_grad():
            getattr(codec.model, network).tail.bias += 0.1
        after = images(codec)
        assert {name for name in before if before[name] != after[name]} == arrangements


def test_the_inner_codec_carries_the_picture_in_the_size_of_its_arrangement(jpeg, photo):
    for arrangement, width, height in (("both", 51, 35), ("rec", 101, 70), ("com", 51, 35)):
        file = container.read(jpeg.encode(photo, 60, arrangement=arrangement))
        (stream,) = file.streams
        carried = INNERS["jpeg"].decode(stream, width, height)
        if arrangement == "rec":
            expected = INNERS["jpeg"].encode(np.asarray(photo), file.header.inner_quality)
            assert stream == expected
        assert carried.shape == (height, width, 3)


@pytest.mark.parametrize("inner", ["dct", "jpeg"])
def test_quality_asks_along_the_curve_of_the_arrangement(inner, photo):
    codec = codec_for(inner)
    for quality, arrangement, asked in (
        (1, "both", 10.0),
        (49.99, "both", 59.98828125),  # in steps of 1/256, of 49.98828125
        (50, "rec", 40.0),
        (100, "rec", 95.0),
    ):
        header = container.read(codec.encode(photo, quality, arrangement=arrangement)).header
        assert header.quality == container.snap_quality(quality)
        assert header.inner_quality == asked


@pytest.mark.parametrize("inner", ["dct", "jpeg"])
def test_auto_takes_full_size_from_the_switch_on(inner, photo):
    for quality in (50, 77):
        header = container.read(codec_for(inner).encode(photo, quality)).header
        assert header.arrangement == Arrangement.REC


@pytest.mark.parametrize(
    ("gain", "margin", "full"), [(0.9, 0.0, False), (1.1, 0.0, True), (1.1, 0.5, False)]
)
def test_auto_below_the_switch_takes_what_gains_more_than_it_costs(
    gain, margin, full, monkeypatch, photo
):
    """The margin is asked for on top; a tenth of two rates is about 0.23 dB."""
    codec = ComRecCodec(codec_for("jpeg").model, prefer_half_db=margin)
    plain = codec._attempt
    decibels = gain * SLOPE * math.log(2)
    exact = open_photo(photo).pixels

    def fake(prepared, quality, arrangement):
        real = plain(prepared, quality, arrangement)
        rec = arrangement == Arrangement.REC
        error = round(100 / 10 ** (decibels / 20)) if rec else 100
        wrong = np.where(exact < 128, exact + error, exact - error).astype(np.uint8)
        return dataclasses.replace(
            real, data=real.data[:200] * (2 if rec else 1), pixels=lambda: wrong
        )

    monkeypatch.setattr(codec, "_attempt", fake)
    monkeypatch.setattr(comrec, "_coded_bytes", lambda attempts: len(attempts[0].data))
    chosen = codec.attempt(codec.prepare(open_photo(photo)), 20)
    assert len(chosen.data) == (400 if full else 200)


def test_auto_does_not_weigh_what_travels_with_the_picture(photo):
    """At a margin that decides by a hair, which is more than the length of a length."""
    codec = ComRecCodec(codec_for("jpeg").model)
    plain = open_photo(photo)
    noise = np.random.default_rng(0).bytes(60000)
    alpha = np.full(plain.pixels.shape[:2], 7, np.uint8)
    laden = dataclasses.replace(plain, alpha=alpha, icc=noise, exif=b"II*\0" + noise, xmp=noise)
    prepared = [codec.prepare(plain)]
    both, rec = (
        [codec._attempt(prepared[0], 20, arrangement)]
        for arrangement in (Arrangement.BOTH, Arrangement.REC)
    )
    gain = comrec._mean_psnr(prepared, rec) - comrec._mean_psnr(prepared, both)
    rate = SLOPE * math.log(comrec._coded_bytes(rec) / comrec._coded_bytes(both))
    for hair in (-0.02, 0.02):
        codec.prefer_half_db = gain - rate + hair
        chosen = [
            container.read(codec.attempt(codec.prepare(one), 20).data).header.arrangement
            for one in (plain, laden)
        ]
        assert chosen == [Arrangement.REC if hair < 0 else Arrangement.BOTH] * 2


def test_auto_tries_nothing_at_the_lowest_rates(monkeypatch, photo):
    codec = build("jpeg", certain=30.0)
    tried = []
    plain = codec._attempt
    monkeypatch.setattr(codec, "_attempt", lambda *args: tried.append(args[2].name) or plain(*args))
    codec.encode(photo, 29)
    assert tried == ["BOTH"]
    codec.encode(photo, 30)
    assert tried == ["BOTH", "BOTH", "REC"]


def test_each_attempt_is_decoded_once(monkeypatch, photo):
    """Both `auto` and the search for a target ask for its pixels."""
    codec = build("jpeg")
    calls = []
    for name in ("_attempt", "render"):
        plain = getattr(codec, name)
        monkeypatch.setattr(
            codec, name, lambda *args, name=name, plain=plain: calls.append(name) or plain(*args)
        )
    codec.encode(photo, target_psnr=35.3)
    assert calls.count("render") == calls.count("_attempt") > 20


@pytest.mark.parametrize("inner", ["dct", "webp"])
@pytest.mark.parametrize("arrangement", ["both", "rec", "com"])
def test_quality_buys_fidelity_with_bytes(inner, arrangement, large):
    codec = codec_for(inner)
    files = [codec.encode(large, q, inner=inner, arrangement=arrangement) for q in (1, 40, 75, 100)]
    assert sorted(map(len, files)) == list(map(len, files))
    # Untrained networks have errors that no rate mends: compare with their own best.
    *decoded, best = [codec.decode(data) for data in files]
    scores = [psnr(image, best) for image in decoded]
    assert scores == sorted(scores)
    assert scores[-1] > scores[0] + 1


def test_full_size_at_the_highest_quality_is_faithful(large):
    """With RecCNN still the identity, what is lost is the quantization alone."""
    codec = build("dct")
    torch.nn.init.zeros_(codec.model.rec.tail.weight)
    assert psnr(codec.decode(codec.encode(large, 100)), large) > 33


def test_file_decodes_to_the_same_symbols_on_any_thread_count(dct, large):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        data = dct.encode(large, 45)
        file = container.read(data)
        reference, estimate = dct._read_symbols(file)
        image = np.asarray(dct.decode_file(file), int)
        for threads in (2, 3):
            torch.set_num_threads(threads)
            assert dct.encode(large, 45) == data
            indices, again = dct._read_symbols(file)
            assert all(map(torch.equal, reference, indices))
            assert again == pytest.approx(estimate, rel=1e-9)
            assert np.abs(np.asarray(dct.decode_file(file), int) - image).max() <= 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("inner", ["dct", "jpeg"])
def test_threads_may_share_a_codec(inner, photo):
    codec = codec_for(inner)
    images = [photo.rotate(angle) for angle in range(0, 60, 10)]
    alone = [codec.encode(image, 40) for image in images]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda image: codec.encode(image, 40), images))
        decoded = list(pool.map(codec.decode, alone))
    assert alone == together
    for data, image in zip(alone, decoded, strict=True):
        assert np.array_equal(np.asarray(codec.decode(data)), np.asarray(image))


@pytest.mark.parametrize("arrangement", ["both", "rec"])
def test_estimate_coder_and_file_agree(dct, arrangement, large):
    data = dct.encode(large, 100, arrangement=arrangement)
    report = dct.rate_report(data)
    file = container.read(data)
    assert report.coded_bits == 8 * sum(map(len, file.streams))
    assert report.file_bits == 8 * len(data)
    assert abs(report.coded_bits / report.estimated_bits - 1) < 0.01
    assert len(file.streams) <= 16
    assert len(data) - report.coded_bits // 8 <= 64


def test_around_another_codec_the_estimate_is_its_file(jpeg, photo):
    data = jpeg.encode(photo, 60)
    report = jpeg.rate_report(data)
    (stream,) = container.read(data).streams
    assert report.estimated_bits == report.coded_bits == 8 * len(stream)
    assert report.file_bits == 8 * len(data)
    assert len(data) - len(stream) <= 64


@pytest.mark.parametrize("arrangement", ["both", "rec"])
def test_coefficients_are_what_the_decoder_turns_into_the_picture(dct, arrangement, photo):
    data = dct.encode(photo, 80, arrangement=arrangement)
    header = container.read(data).header
    planes = dct.coefficients(data)
    rows, cols = (9, 13) if arrangement == "rec" else (5, 7)
    assert [plane.shape for plane in planes] == [(rows, cols, 64)] * 3
    assert all(plane.dtype == np.int64 for plane in planes)
    assert np.count_nonzero(planes[0]) > 50
    assert not np.any(planes[1][..., DCT.chroma :])
    network = dct.model.dct
    values = [planes[plane][..., place] for plane, place in DCT.channels]
    levels = torch.from_numpy(np.stack(values))[None].float()
    asked = torch.tensor([header.inner_quality])
    half = arrangement == "both"
    with torch.no_grad():
        carried = network.inverse(levels * network.steps(asked, half))
        height, width = (35, 51) if half else (70, 101)
        restored = dct.model.restore(carried[:, :, :height, :width], asked, half)
    expected = (restored[0, :, :70, :101].clamp(0, 1) * 255).round().permute(1, 2, 0).numpy()
    assert np.array_equal(np.asarray(dct.decode(data)), expected)


def test_coefficients_are_the_rounded_transform_where_rate_does_not_count(large):
    codec = build("dct", rate_aware=0.0)
    data = codec.encode(large, 60, arrangement="rec")
    planes = codec.coefficients(data)
    asked = torch.tensor([container.read(data).header.inner_quality])
    network = codec.model.dct
    x = torch.from_numpy(np.asarray(large).copy()).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        scaled = (network.transform(x) / network.steps(asked, False))[0].numpy()
    for channel in (0, 1, 2, 3):  # all DC and the first of luma: coded everywhere
        plane, place = DCT.channels[channel]
        assert np.array_equal(planes[plane][..., place], np.rint(scaled[channel]))


def test_rate_aware_quantization_saves_bytes(photo):
    plain = build("dct", rate_aware=0.0).encode(photo, 80)
    assert len(build("dct", rate_aware=0.5).encode(photo, 80)) < len(plain)


@pytest.mark.parametrize("inner", ["dct", "jpeg"])
def test_targets_are_met(inner, large):
    """Within one arrangement; at the switch of `auto`, rate and score may jump."""
    codec = codec_for(inner)
    low, high = (codec.encode(large, q, arrangement="rec") for q in (1, 100))
    limit = (len(low) + len(high)) // 2
    data = codec.encode(large, target_size=limit, arrangement="rec")
    assert 0.95 * limit < len(data) <= limit
    bpp = 8 * limit / (240 * 200)
    assert codec.encode(large, target_bpp=bpp, arrangement="rec") == data
    wanted = (psnr(codec.decode(low), large) + psnr(codec.decode(high), large)) / 2
    data = codec.encode(large, target_psnr=wanted, arrangement="rec")
    assert wanted <= psnr(codec.decode(data), large) < wanted + 0.5
    assert len(low) < len(data) < len(high)
    assert len(codec.encode(large, target_size=limit)) <= limit


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quality": 0}, "quality 0 is out of range"),
        ({"quality": float("nan")}, "out of range"),
        ({"target_size": 60}, "target size 60 is out of reach"),
        ({"target_psnr": 90}, "target PSNR 90 is out of reach"),
        ({"inner": "gif"}, "no inner codec 'gif': use dct, jpeg, jpeg2000, webp, avif, heic"),
        ({"inner": "dct"}, "model tiny was trained around jpeg, not dct: choose the model"),
        ({"arrangement": "neither"}, "arrangement 'neither' does not exist: use auto, both"),
        ({"arrangement": "BOTH"}, "arrangement 'BOTH' does not exist"),
        ({"roi": Image.new("L", (8, 8))}, "model tiny has no importance map"),
        ({"importance": True}, "has no importance map"),
    ],
)
def test_options_out_of_range_are_refused(jpeg, photo, options, message):
    with pytest.raises(InvalidArgument, match=message):
        jpeg.encode(photo, **options)


def test_our_own_inner_codec_and_those_of_others_do_not_mix(dct, photo):
    with pytest.raises(InvalidArgument, match="was trained around dct, not webp"):
        dct.encode(photo, inner="webp")


def test_no_map_may_be_asked_for(jpeg, photo):
    assert jpeg.encode(photo, importance=False) == jpeg.encode(photo)


def test_pictures_larger_than_the_inner_codec_allows_are_refused(jpeg):
    wide = Image.new("RGB", (16390, 1))
    with pytest.raises(InvalidArgument, match="webp holds pictures of at most 16383 pixels"):
        jpeg.encode(wide, inner="webp", arrangement="rec")
    data = jpeg.encode(wide, inner="webp", arrangement="com")  # half of it fits
    assert jpeg.decode(data).size == (16390, 1)


def test_a_missing_inner_codec_is_named_in_both_directions(jpeg, photo, monkeypatch):
    data = jpeg.encode(photo, inner="webp")
    absent = dataclasses.replace(INNERS["webp"], missing=lambda: "not here: pip install it")
    monkeypatch.setitem(INNERS, "webp", absent)
    with pytest.raises(MissingDependency, match="inner codec webp: not here"):
        jpeg.encode(photo, inner="webp")
    with pytest.raises(MissingDependency, match="pip install it"):
        jpeg.decode(data)


@pytest.mark.parametrize("inner", ["dct", "webp"])
def test_metadata_and_alpha_come_back(inner, photo):
    codec = codec_for(inner)
    rgba = photo.convert("RGBA")
    alpha = Image.linear_gradient("L").resize(photo.size)
    rgba.putalpha(alpha)
    decoded = codec.decode(codec.encode(rgba, 50, inner=inner))
    assert decoded.mode == "RGBA"
    assert np.array_equal(np.asarray(decoded)[..., 3], np.asarray(alpha))
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    tagged = photo.copy()
    tagged.info["icc_profile"] = profile
    assert codec.decode(codec.encode(tagged, 50, inner=inner)).info["icc_profile"] == profile


@pytest.mark.parametrize("inner", ["dct", "webp"])
def test_grey_stays_grey(inner, photo):
    codec = codec_for(inner)
    decoded = codec.decode(codec.encode(photo.convert("L"), 80, inner=inner))
    assert (decoded.mode, decoded.size) == ("L", photo.size)
    assert psnr(decoded.convert("RGB"), photo.convert("L").convert("RGB")) > 20


def test_another_model_or_other_weights_are_refused_by_name(jpeg, photo):
    file = container.read(jpeg.encode(photo))
    with pytest.raises(ModelMismatch, match=r"model 7 of codec 2, not with tiny \(901\)"):
        jpeg.decode_file(dataclasses.replace(file, model=7))
    with pytest.raises(ModelMismatch, match="weights 00000000 of model tiny"):
        jpeg.decode_file(dataclasses.replace(file, model_digest=bytes(4)))


def changed(file: container.NczFile, **header) -> container.NczFile:
    return dataclasses.replace(file, header=dataclasses.replace(file.header, **header))


def test_an_inner_codec_that_the_model_was_not_made_for_is_corrupt(dct, jpeg, photo):
    """Models around codecs of others decode any of them; none decodes `dct` without its tables."""
    file = container.read(jpeg.encode(photo))
    with pytest.raises(CorruptStream, match=r"around jpeg, not dct.*the file was not made by it"):
        jpeg.decode_file(changed(file, inner=Inner.DCT))
    for call in (jpeg.rate_report, jpeg.coefficients):
        with pytest.raises(CorruptStream, match="not dct"):
            call(container.write(changed(file, inner=Inner.DCT)))
    file = container.read(dct.encode(photo))
    forged = dataclasses.replace(
        changed(file, inner=Inner.JPEG, grid_offset=0), streams=(b"\xff\xd8\xff",)
    )
    with pytest.raises(CorruptStream, match="around dct, not jpeg"):
        dct.decode(container.write(forged))


def test_coefficients_of_another_codecs_file_are_refused(jpeg, photo):
    with pytest.raises(InvalidArgument, match="carried by jpeg, not dct"):
        jpeg.coefficients(jpeg.encode(photo))


@pytest.mark.parametrize("inner", OTHERS)
def test_a_damaged_inner_stream_in_a_sound_file_is_refused(jpeg, inner, photo):
    data = jpeg.encode(photo, inner=inner)
    file = container.read(data)
    (stream,) = file.streams
    for wrong in (
        b"",
        b"not a picture",
        stream[:12],
        INNERS["jpeg"].encode(np.zeros((2, 2, 3), np.uint8), 50),
    ):
        forged = container.write(dataclasses.replace(file, streams=(wrong,)))
        with pytest.raises(CorruptStream, match=f"the {inner} stream"):
            jpeg.decode(forged)
    damaged = bytearray(data)
    damaged[-20] ^= 1
    with pytest.raises(ChecksumMismatch):
        jpeg.decode(bytes(damaged))


def test_a_stream_of_the_size_of_another_arrangement_is_refused(jpeg, photo):
    file = container.read(jpeg.encode(photo, arrangement="rec"))
    with pytest.raises(CorruptStream, match="more pixels than 51x35"):
        jpeg.decode_file(changed(file, arrangement=Arrangement.BOTH))
    file = container.read(jpeg.encode(photo, arrangement="com"))
    with pytest.raises(CorruptStream, match="holds 51x35 pixels, expected 101x70"):
        jpeg.decode_file(changed(file, arrangement=Arrangement.REC))


def test_too_few_or_too_many_dct_streams_are_corrupt(dct, photo):
    file = container.read(dct.encode(photo))
    with pytest.raises(CorruptStream, match="too few"):
        dct.decode_file(dataclasses.replace(file, streams=file.streams[:-1]))
    with pytest.raises(CorruptStream, match="1 coded streams too many"):
        dct.decode_file(dataclasses.replace(file, streams=(*file.streams, b"")))


@pytest.mark.parametrize("seed", range(4))
def test_garbage_dct_streams_decode_to_something_or_are_refused(dct, seed, photo):
    """Only the container's checksum can notice; the codec must neither crash nor hang."""
    file = container.read(dct.encode(photo, 60))
    rng = np.random.default_rng(seed)
    streams = tuple(rng.bytes(len(stream)) for stream in file.streams)
    try:
        image = dct.decode_file(dataclasses.replace(file, streams=streams))
        assert image.size == photo.size
    except NczError:
        pass


def test_padding_counts_where_it_is_most_of_the_pixels(dct):
    data = dct.encode(Image.new("RGB", (1, 200)))
    with pytest.raises(ImageTooLarge, match="3328 when padded"):
        dct.decode(data, max_pixels=831)
    assert dct.decode(data, max_pixels=832).size == (1, 200)
    data = dct.encode(Image.new("RGB", (33, 17)))
    with pytest.raises(ImageTooLarge):
        dct.decode(data, max_pixels=33 * 17 - 1)
    assert dct.decode(data, max_pixels=33 * 17).size == (33, 17)


@pytest.mark.parametrize("inner", ["dct", "jpeg"])
def test_encoding_sets_no_global_state(inner, photo):
    codec = codec_for(inner)
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    codec.decode(codec.encode(photo))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("inner", ["dct", "jpeg"])
@pytest.mark.parametrize("arrangement", ["both", "rec", "com"])
def test_the_full_form_round_trips(inner, arrangement, photo):
    codec = build(inner, "full")
    assert not any(module.training for module in codec.model.modules())  # batch statistics frozen
    small = photo.crop((0, 0, 33, 21))
    coded = codec.attempt(codec.prepare(open_photo(small), arrangement=arrangement), 60)
    decoded = np.asarray(codec.decode(coded.data))
    assert np.array_equal(decoded, coded.pixels())
    assert decoded.shape == (21, 33, 3)


@pytest.mark.parametrize(("inner", "form"), [("dct", "fast"), ("jpeg", "full")])
def test_frozen_weights_give_a_codec_that_reads_its_own_files(inner, form, photo):
    data = weights.to_bytes(build(inner, form).model)
    small = photo.crop((0, 0, 33, 21))
    one, two = (
        weights.codec_from_bytes(data, name="t", wire_id=3, digest=DIGEST) for _ in range(2)
    )
    assert one.model.config == build(inner, form).model.config
    file = one.encode(small, 60)
    assert two.encode(small, 60) == file
    assert np.array_equal(np.asarray(one.decode(file)), np.asarray(two.decode(file)))
