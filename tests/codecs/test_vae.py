"""The VAE codec on a small untrained network with real coded bytes."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neurocodec import coding, container, metrics
from neurocodec.codecs import weights
from neurocodec.codecs.vae import VAECodec, walk
from neurocodec.errors import CorruptStream, InvalidArgument, MalformedHeader
from neurocodec.image import open_photo
from neurocodec.nets.vae import VAE, VAEConfig
from tests.codecs.conftest import DIGEST
from tests.training.conftest import draw_photo

TINY = VAEConfig(
    groups=(3, 9, 12), passes=(5, 3, 1), components=2, hyper=4, features=6, hidden=8,
    analysis=(4, 8), synthesis=(4, 8), blocks=(1, 1),
)  # fmt: skip


def build(config: VAEConfig = TINY, **options) -> VAECodec:
    torch.manual_seed(0)
    options = {"rate_aware": 0.0, **options}
    return VAECodec(VAE(config), name="tiny-vae", wire_id=901, digest=DIGEST, **options)


@pytest.fixture(scope="module")
def codec():
    return build()


@pytest.fixture(scope="module")
def photo():
    return draw_photo(5, 100, 70)


def psnr(a, b) -> float:
    return metrics.psnr(np.asarray(a), np.asarray(b))


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 70), st.sampled_from(["L", "RGB"]))
def test_every_size_survives(codec, width, height, mode):
    image = draw_photo(1).crop((0, 0, width, height)).convert(mode)
    decoded = codec.decode(codec.encode(image, 80))
    assert (decoded.size, decoded.mode) == ((width, height), mode)
    assert np.abs(np.asarray(decoded, int) - np.asarray(image, int)).mean() < 30


def test_quality_buys_fidelity_with_bytes(codec, photo):
    files = [codec.encode(photo, quality) for quality in (1, 25, 50, 75, 100)]
    assert sorted(map(len, files)) == list(map(len, files))
    scores = [psnr(codec.decode(data), photo) for data in files]
    assert sorted(scores) == scores
    assert scores[-1] > scores[0] + 3


def test_decoded_pixels_are_those_the_encoder_scored(codec, photo):
    coded = codec.attempt(codec.prepare(open_photo(photo)), 60)
    assert np.array_equal(np.asarray(codec.decode(coded.data)), coded.pixels())


def test_file_decodes_to_the_same_integers_on_any_thread_count(codec):
    file = container.read(codec.encode(draw_photo(6, 240, 200), 90))
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        reference, _, estimate = codec._read_symbols(file)
        for threads in (2, 3):
            torch.set_num_threads(threads)
            integers, _, again = codec._read_symbols(file)
            assert all(torch.equal(a, b) for a, b in zip(reference, integers, strict=True))
            assert again == pytest.approx(estimate, rel=1e-9)
    finally:
        torch.set_num_threads(before)


def test_threads_may_share_a_codec(codec, photo):
    images = [photo.rotate(angle) for angle in range(0, 60, 10)]
    alone = [codec.encode(image, 40) for image in images]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(lambda image: codec.encode(image, 40), images)) == alone


def test_estimate_coder_and_file_agree(codec):
    data = codec.encode(draw_photo(6, 240, 200), 100)
    report = codec.rate_report(data)
    file = container.read(data)
    assert report.coded_bits == 8 * sum(map(len, file.streams))
    assert report.file_bits == 8 * len(data)
    assert abs(report.coded_bits / report.estimated_bits - 1) < 0.01
    assert len(file.streams) == 1 + 5 + 3 + 1
    assert len(data) - report.coded_bits // 8 <= 64


def test_the_header_has_as_many_levels_as_the_picture_needs(codec, photo):
    coarse = container.read(codec.encode(photo, 1)).header
    fine = container.read(codec.encode(photo, 100)).header
    assert [group.size for group in coarse.groups] == [3, 9, 12]
    assert all(group.levels % 2 for group in (*coarse.groups, *fine.groups))
    assert coarse.groups[2].levels == 3 < coarse.groups[0].levels
    assert fine.groups[0].levels > coarse.groups[0].levels


def test_the_walk_is_the_training_pass(codec):
    """Bits that the loss counts are those of the mixtures that the coder meets."""
    generator = torch.Generator().manual_seed(3)
    latent = torch.randn(1, 24, 6, 7, generator=generator, dtype=torch.float64) * 4
    hyper = torch.randn(1, 4, 2, 2, generator=generator, dtype=torch.float64).round()
    quality = torch.tensor([70.0], dtype=torch.float64)
    expected, decoded = codec.prior(latent, hyper, quality)
    from neurocodec.nets import gaussian

    counted = 0.0
    groups = latent.round()[0].split(TINY.groups)

    def exchange(group, mixtures, where):
        nonlocal counted
        values = groups[group][where]
        counted += float(gaussian.bits(mixtures, values).sum())
        return values

    values, shifts = walk(codec.prior, hyper, quality, 6, 7, exchange)
    assert torch.equal(values, latent.round())
    assert counted == pytest.approx(float(expected.sum()), rel=1e-9)
    torch.testing.assert_close(values + shifts, decoded)


@pytest.fixture(scope="module")
def loud():
    """A codec whose integers need the widest window on the picture ``flash``."""
    codec = build(dataclasses.replace(TINY, steps=(0.4, 0.2)))
    with torch.no_grad():
        codec.prior.gain.log_gain[:, 0] += 2.5
        codec.model.prior.gain.log_gain[:, 0] += 2.5
    return codec


@pytest.fixture(scope="module")
def flash():
    return draw_photo(1, 64, 64).point(lambda v: 255 * (v > 128))


def test_a_stream_too_large_for_a_decoder_is_not_written(loud, flash, monkeypatch):
    """It needs a CDF of 1,022 entries a symbol, the encoder four."""
    monkeypatch.setattr(coding.coder, "_MAX_ENTRIES", 3000)
    with pytest.raises(InvalidArgument, match="code in parts, such as tiles"):
        loud.encode(flash, 90)


def test_integers_beyond_the_widest_window_are_clipped_and_decode(loud, flash):
    coded = loud.attempt(loud.prepare(open_photo(flash)), 90.0)
    assert container.read(coded.data).header.groups[0].levels in (1021, 1023)
    assert np.array_equal(np.asarray(loud.decode(coded.data)), coded.pixels())


def test_rate_aware_quantization_saves_bytes():
    photo = draw_photo(6, 240, 200)
    plain = len(build().encode(photo, 100))
    aware = build(rate_aware=2.0)
    data = aware.encode(photo, 100)
    assert len(data) < plain
    assert psnr(aware.decode(data), photo) > 20


def test_mixtures_on_a_rounding_boundary_move_the_grid(photo, monkeypatch):
    """The guard of DESIGN 5: a planted value is seen, and the file says what was done."""
    codec = build()

    def plant(parameters, guard=None):
        parameters[3][0, 0] = 0.5 / 32
        return coding.grid.choose_offset(parameters, guard)

    monkeypatch.setattr(coding, "choose_offset", plant)
    data = codec.encode(photo, 50)
    assert container.read(data).header.grid_offset == 1


@pytest.mark.parametrize("options", [{"roi": "x.png"}, {"importance": True}])
def test_no_region_of_interest(codec, photo, options):
    with pytest.raises(InvalidArgument, match="tiny-vae has no importance map"):
        codec.encode(photo, 50, **options)


def remade(data: bytes, **changes) -> bytes:
    return container.write(dataclasses.replace(container.read(data), **changes))


def test_damage_behind_the_checksum_is_refused(codec, photo, monkeypatch):
    data = codec.encode(photo, 50)
    file = container.read(data)
    streams = file.streams
    with monkeypatch.context() as patch:  # known before any network runs
        patch.setattr("neurocodec.codecs.vae.walk", None)
        for others in (streams[:1], streams[:-1], (*streams, b"x")):
            with pytest.raises(CorruptStream, match=f"{len(others)} coded streams, expected 10 "):
                codec.decode(remade(data, streams=others))
    with pytest.raises(CorruptStream, match="does not fit its"):
        codec.decode(remade(data, streams=(streams[0] + b"abc", *streams[1:])))
    groups = (container.Group(4, 3), *file.header.groups[1:])
    header = dataclasses.replace(file.header, groups=groups)
    with pytest.raises(MalformedHeader, match="not those of model tiny-vae"):
        codec.decode(remade(data, header=header))


def test_levels_are_odd_in_a_file(codec, photo):
    file = container.read(codec.encode(photo, 50))
    groups = (container.Group(3, 8), *file.header.groups[1:])
    with pytest.raises(InvalidArgument, match="an odd number is needed"):
        container.write(
            dataclasses.replace(file, header=dataclasses.replace(file.header, groups=groups))
        )


def test_weights_file_holds_all_of_it(codec, photo):
    data = weights.to_bytes(codec.model)
    again = weights.codec_from_bytes(
        data, name="tiny-vae", wire_id=901, digest=DIGEST, rate_aware=0.0
    )
    assert again.model.config == TINY
    # Kernels are stored in half precision, gains and tables exactly.
    assert torch.equal(again.model.prior.gain.log_gain, codec.model.prior.gain.log_gain)
    assert torch.equal(again.model.hyper_cdf, codec.model.hyper_cdf)
    assert psnr(again.decode(again.encode(photo, 80)), photo) == pytest.approx(
        psnr(codec.decode(codec.encode(photo, 80)), photo), abs=0.1
    )
