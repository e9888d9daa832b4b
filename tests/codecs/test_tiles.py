"""Pictures in tiles, on small untrained networks: the whole, its parts, and what damage costs."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from neurocodec import container, metrics, progress
from neurocodec.codecs import base, tiles
from neurocodec.container import Arrangement, Box, Grid
from neurocodec.errors import (
    ChecksumMismatch,
    CorruptStream,
    ImageTooLarge,
    InvalidArgument,
    MalformedHeader,
    MissingDependency,
    Truncated,
)
from neurocodec.image import open_photo, pack_alpha
from tests.codecs.conftest import build
from tests.codecs.test_comrec import CODECS as COMRECS
from tests.codecs.test_vae import build as build_vae
from tests.training.conftest import draw_photo

CODECS = {
    "cvqn": build(),
    "dct": COMRECS["dct"],
    "jpeg": COMRECS["jpeg"],
    "vae": build_vae(),
}
SIZE = (150, 131)  # three tiles of 64 each way, the last ones thin


@pytest.fixture(params=CODECS)
def codec(request):
    return CODECS[request.param]


@pytest.fixture(scope="module")
def cvqn():
    return CODECS["cvqn"]


@pytest.fixture(scope="module")
def photo():
    return draw_photo(7, *SIZE)


def array(image) -> np.ndarray:
    return np.asarray(image, int)


def spoil(data: bytes, *numbers: int) -> bytes:
    """The file with a flipped bit in the middle of each of these tiles."""
    file = container.read(data)
    out = bytearray(data)
    start = len(data) - sum(map(len, file.tiling.parts))
    for number, part in enumerate(file.tiling.parts):
        if number in numbers:
            out[start + len(part) // 2] ^= 1
        start += len(part)
    return bytes(out)


# How a picture is cut.


def test_progress_is_told_tile_by_tile(cvqn, photo):
    told = []
    with progress.told_to(lambda *numbers: told.append(numbers)):
        data = cvqn.encode(photo, 40, tile_size=64)
        assert told == [(done, 9) for done in range(10)]
        told.clear()
        cvqn.decode(data, crop=(0, 0, 65, 10))
        assert told == [(done, 2) for done in range(3)]
        told.clear()
        cvqn.decode(cvqn.encode(photo, 40))
    cvqn.decode(data)
    assert told == []


def test_pictures_up_to_a_tile_are_coded_as_they_always_were(codec):
    photo = draw_photo(1, 100, 70)
    alone = codec.encode(photo, 40, tile_size=0)
    assert alone[4] == container.VERSION
    assert codec.encode(photo, 40) == alone
    assert codec.encode(photo, 40, tile_size=128) == alone  # 7,000 of 16,384 pixels
    assert codec.encode(photo, 40, tile_size=64)[4] == container.TILED_VERSION


def test_what_is_worked_on_at_once_is_limited(cvqn, photo, monkeypatch):
    whole, cut = cvqn.encode(photo, 40, tile_size=0), cvqn.encode(photo, 40, tile_size=64)
    monkeypatch.setattr(base, "PIECE", 64 * 64)  # the picture has 150x131, padded 160x144
    assert cvqn.encode(photo, 40, tile_size=64) == cut
    with pytest.raises(ImageTooLarge, match=r"150x131 pixels in one piece .* 4096: encode in til"):
        cvqn.encode(photo, 40, tile_size=0)
    monkeypatch.setattr(base, "PIECE", 64 * 64 - 1)
    with pytest.raises(ImageTooLarge, match=r"64x64 .* 4095: encode in tiles, or in smaller"):
        cvqn.encode(photo, 40, tile_size=64)
    monkeypatch.setattr(base, "PIECE", 64 * 64)
    allowed = 8 * 160 * 144  # who allows that many pixels allows an eighth of it at once
    assert cvqn.decode(cut, max_pixels=allowed - 1).size == SIZE
    assert cvqn.decode(whole, max_pixels=allowed).size == SIZE
    with pytest.raises(ImageTooLarge, match=r"150x131 .* 23039: raise max_pixels"):
        cvqn.decode(whole, max_pixels=allowed - 1)
    with pytest.raises(ImageTooLarge, match="in one piece"):
        cvqn.decode(whole, max_pixels=allowed - 1, crop=(0, 0, 1, 1))


@pytest.mark.parametrize(
    ("width", "height", "size", "expected"),
    [
        (1024, 1024, None, None),
        (2048, 512, None, None),
        (5000, 5000, 0, None),
        (1025, 1024, None, (576, 1024)),
        (1100, 1100, None, (576, 576)),
        (8192, 8192, None, (1024, 1024)),
        (4097, 300, None, (832, 320)),
        (65, 64, 64, (64, 64)),
        (2**20, 2, 64, (64, 64)),
    ],
)
def test_layout(width, height, size, expected):
    grid = tiles.layout(width, height, size)
    assert (grid and (grid.tile_width, grid.tile_height)) == expected


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 20))
def test_tiles_are_alike_few_and_cover_the_picture_once(width, height, units):
    grid = tiles.layout(width, height, 64 * units)
    if grid is None:
        assert width * height <= (64 * units) ** 2
        return
    assert max(grid.tile_width, grid.tile_height) <= 64 * units
    assert grid.tile_width % 64 == grid.tile_height % 64 == 0
    assert sum(box.width * box.height for box in map(grid.box, range(len(grid)))) == width * height
    assert len(grid) >= 2


@pytest.mark.parametrize("crop", [(0.5, 0, 10, 10), (0, 0, 10), (0, 0, 1, 1, 1), None, "0,0,9,9"])
def test_what_is_no_crop(crop):
    with pytest.raises(InvalidArgument, match="is not four integers x, y, width, height"):
        tiles.check_crop(crop, None)


def test_options_that_a_codec_does_not_have(codec, photo):
    with pytest.raises(InvalidArgument, match=r"has no option 'colour': use .*roi, importance"):
        codec.encode(photo, 50, colour=True)


def test_alpha_is_packed_once(cvqn, photo, monkeypatch):
    packed = []
    monkeypatch.setattr(
        "neurocodec.image.photo.pack_alpha", lambda a: packed.append(1) or pack_alpha(a)
    )
    image = photo.copy()
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    cvqn.encode(image, target_bpp=2.0)
    assert packed == [1]


def test_a_target_analyses_each_tile_once_unless_they_are_too_many(cvqn, photo, monkeypatch):
    sizes = [len(cvqn.encode(photo, quality, tile_size=64)) for quality in (1, 100)]
    analysed, prepare = [], cvqn.prepare

    def counted(part, **options):
        analysed.append(part)
        return prepare(part, **options)

    monkeypatch.setattr(cvqn, "prepare", counted)
    monkeypatch.setattr(tiles, "SAMPLES", 1)  # foretells badly, so that several are tried
    held = cvqn.encode(photo, tile_size=64, target_size=sum(sizes) // 2)
    assert len(analysed) == 9
    monkeypatch.setattr(tiles, "HELD", 150 * 131 - 1)
    assert cvqn.encode(photo, tile_size=64, target_size=sum(sizes) // 2) == held
    assert len(analysed) - 9 in {1 + 8 * tries for tries in (2, 3, 4)}


def test_more_tiles_than_the_format_holds():
    assert len(tiles.layout(2**22, 1, 64)) == 2**16
    with pytest.raises(InvalidArgument, match="into 65537 tiles, more than 65536: use larger"):
        tiles.layout(2**22 + 1, 1, 64)


@pytest.mark.parametrize("size", [1, 100, -64, 2**16 + 64])
def test_sizes_that_tiles_cannot_have(cvqn, photo, size):
    with pytest.raises(InvalidArgument, match=f"tile size {size}: use a multiple of 64"):
        cvqn.encode(photo, tile_size=size)


boxes = st.builds(Box, *[st.integers(0, 300)] * 2, *[st.integers(1, 300)] * 2)


@given(boxes)
def test_tiles_that_a_box_touches(box):
    grid = Grid(600, 600, 64, 128)
    expected = [n for n in range(len(grid)) if all(grid.box(n).overlap(box)[2:])]
    assert grid.touching(box) == expected


# The whole.


@pytest.mark.parametrize("quality", [15, 80])
def test_tiles_cost_little_and_leave_no_seam(codec, photo, quality):
    whole = codec.encode(photo, quality, tile_size=0)
    tiled = codec.encode(photo, quality, tile_size=64)
    difference = array(codec.decode(tiled)) - array(codec.decode(whole))
    border = np.zeros(SIZE[::-1], bool)
    border[:, [63, 64, 127, 128]] = border[[63, 64, 127, 128]] = True
    assert np.square(difference[border]).mean() < 4 * np.square(difference[~border]).mean() + 2
    assert len(container.read(tiled).tiling.parts) == 9
    for number, part in enumerate(tiles.parts(container.read(tiled))):
        box = container.read(tiled).grid.box(number)
        assert (part.width, part.height) == (box.width, box.height)
        assert part.header.quality == quality


def test_what_surrounds_a_tile_is_seen(cvqn, photo):
    """Without the margin a border would be that of a picture, which the networks smooth."""
    whole = array(cvqn.decode(cvqn.encode(photo, 90, tile_size=0)))
    tiled = cvqn.encode(photo, 90, tile_size=64)
    alone = np.zeros_like(whole)
    file = container.read(tiled)
    for number, part in enumerate(tiles.parts(file)):
        box = file.grid.box(number)
        alone[box.y : box.bottom, box.x : box.right] = cvqn.read_pixels(part)
    together = array(cvqn.decode(tiled))
    assert np.square(together - whole).mean() <= np.square(alone - whole).mean()


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 150), st.integers(1, 150), st.sampled_from(["L", "RGB"]))
def test_every_size_survives(width, height, mode):
    image = draw_photo(1).crop((0, 0, width, height)).convert(mode)
    for codec in CODECS.values():
        decoded = codec.decode(codec.encode(image, 80, tile_size=64))
        assert (decoded.size, decoded.mode) == ((width, height), mode)
        assert np.abs(array(decoded) - array(image)).mean() < 30


@pytest.mark.parametrize("size", [(65, 64), (64, 65), (129, 1), (1, 5000), (193, 129)])
def test_tiles_of_one_row_or_column(codec, size):
    photo = draw_photo(3, *size)
    data = codec.encode(photo, 60, tile_size=64)
    decoded = codec.decode(data)
    assert decoded.size == size
    assert np.abs(array(decoded) - array(photo)).mean() < 30
    x, y = size[0] - 1, size[1] - 1
    last = codec.decode(data, crop=(x, y, 1, 1))
    assert array(last).tolist() == array(decoded)[y:, x:].tolist()


def test_metadata_and_alpha(codec, photo):
    image = photo.convert("RGBA")
    alpha = Image.new("L", SIZE, 255)
    alpha.paste(Image.linear_gradient("L").resize((50, 40)), (40, 50))
    image.putalpha(alpha)
    profile = bytes(16) + b"RGB " + bytes(20)
    image.info["icc_profile"] = profile
    data = codec.encode(image, 50, tile_size=64)
    file = container.read(data)
    assert file.icc == profile
    assert all(part.alpha is not None for part in tiles.parts(file))
    decoded = codec.decode(data)
    assert decoded.mode == "RGBA"
    assert decoded.info["icc_profile"] == profile
    assert array(decoded.getchannel("A")).tolist() == array(alpha).tolist()
    part = codec.decode(data, crop=(30, 45, 60, 30))
    assert array(part).tolist() == array(decoded.crop((30, 45, 90, 75))).tolist()
    assert codec.decode(data, crop=(130, 100, 20, 20)).mode == "RGBA"  # opaque there
    whole = codec.encode(image, 50)
    assert codec.decode(whole, crop=(130, 100, 20, 20)).mode == "RGBA"


def test_the_arrangement_of_comrec_is_one_for_all_tiles():
    codec = COMRECS["jpeg"]
    pixels = np.array(draw_photo(2, 200, 128))
    pixels[:, 100:] = np.random.default_rng(0).integers(0, 256, (128, 100, 3))
    for quality in (5, 30, 45, 60):
        file = container.read(codec.encode(pixels, quality, tile_size=64))
        assert {part.header.arrangement for part in tiles.parts(file)} == {file.header.arrangement}
    fixed = codec.encode(pixels, 60, tile_size=64, arrangement="com")
    assert container.read(fixed).header.arrangement is Arrangement.COM
    assert codec.decode(fixed).size == (200, 128)


def test_a_region_of_interest_and_a_map_are_cut(cvqn, photo):
    mask = Image.new("L", (15, 13), 0)
    mask.paste(255, (0, 0, 7, 13))
    data = cvqn.encode(photo, 80, tile_size=64, roi=mask, importance=True)
    whole = cvqn.encode(photo, 80, tile_size=0, roi=mask, importance=True)
    expected = container.read(whole).header.importance
    levels = np.frombuffer(expected.values, np.uint8).reshape(expected.rows, expected.cols)
    file = container.read(data)
    found = np.full_like(levels, 3)  # a tile without a map has the highest level everywhere
    for number, part in enumerate(tiles.parts(file)):
        box = file.grid.box(number)
        if part.header.importance is not None:
            rows, cols = part.header.importance.rows, part.header.importance.cols
            values = np.frombuffer(part.header.importance.values, np.uint8).reshape(rows, cols)
            found[box.y // 16 : box.y // 16 + rows, box.x // 16 : box.x // 16 + cols] = values
    assert (found[:, :4] == 3).all()
    assert (levels[:, :4] == 3).all()
    assert found[:, 5:].max() < 3
    assert levels[:, 5:].max() < 3
    error = np.square(array(cvqn.decode(data)) - array(photo))
    assert error[:, :64].mean() < error[:, 80:].mean()


def test_rate_report_adds_the_tiles_up(codec, photo):
    data = codec.encode(photo, 90, tile_size=64)
    report = codec.rate_report(data)
    coded = sum(len(s) for part in tiles.parts(container.read(data)) for s in part.streams)
    assert (report.coded_bits, report.file_bits) == (8 * coded, 8 * len(data))
    assert abs(report.coded_bits / report.estimated_bits - 1) < 0.1


# Parts.


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_a_crop_is_the_region_of_the_whole(data):
    codec = CODECS[data.draw(st.sampled_from(sorted(CODECS)))]
    coded, whole = _coded(codec)
    x, y = data.draw(st.integers(0, SIZE[0] - 1)), data.draw(st.integers(0, SIZE[1] - 1))
    width = data.draw(st.integers(1, SIZE[0] - x))
    height = data.draw(st.integers(1, SIZE[1] - y))
    part = codec.decode(coded, crop=(x, y, width, height))
    assert np.array_equal(array(part), whole[y : y + height, x : x + width])


_CODED = {}


def _coded(codec):
    if codec not in _CODED:
        coded = codec.encode(draw_photo(7, *SIZE), 70, tile_size=64)
        _CODED[codec] = coded, array(codec.decode(coded))
    return _CODED[codec]


def test_a_crop_decodes_only_the_tiles_it_needs(cvqn, monkeypatch):
    coded, _ = _coded(cvqn)
    read = []
    opened = container.tile

    def tile(file, number):
        read.append(number)
        return opened(file, number)

    monkeypatch.setattr(container, "tile", tile)
    cvqn.decode(coded, crop=(0, 0, 5, 5))
    assert read == [0, 1, 3, 4]  # the neighbours for their margins
    # Others may be anything.
    cvqn.decode(spoil(coded, 2, 5, 6, 7, 8), crop=(0, 0, 5, 5))
    with pytest.raises(ChecksumMismatch, match="tile 4 of 9"):
        cvqn.decode(spoil(coded, 4), crop=(0, 0, 5, 5))


def test_a_crop_of_a_picture_coded_as_a_whole(codec, photo):
    data = codec.encode(photo, 50)
    part = codec.decode(data, crop=(20, 30, 40, 50))
    assert array(part).tolist() == array(codec.decode(data))[30:80, 20:60].tolist()


@pytest.mark.parametrize(
    "crop",
    [(0, 0, 0, 5), (0, 0, 5, 0), (-1, 0, 5, 5), (0, -1, 5, 5), (146, 0, 5, 5), (0, 127, 5, 5)],
)
@pytest.mark.parametrize("size", [0, 64])
def test_crops_that_are_not_in_the_picture(cvqn, photo, crop, size):
    data = cvqn.encode(photo, 20, tile_size=size)
    with pytest.raises(InvalidArgument, match="does not lie within the picture of 150x131 pixels"):
        cvqn.decode(data, crop=crop)


def test_the_limit_of_pixels_is_that_of_the_crop(cvqn):
    coded, whole = _coded(cvqn)
    part = cvqn.decode(coded, crop=(0, 0, 30, 30), max_pixels=900)
    assert array(part).tolist() == whole[:30, :30].tolist()
    with pytest.raises(ImageTooLarge):
        cvqn.decode(coded, crop=(0, 0, 150, 131), max_pixels=900)
    with pytest.raises(ImageTooLarge):
        cvqn.decode(coded, max_pixels=900)


def test_the_limit_of_pixels_is_that_of_a_tile_and_its_neighbours(cvqn):
    """However small the crop is, they are decoded for it."""
    coded = cvqn.encode(draw_photo(1, 300, 200), 50, tile_size=128)
    tiling = container.read(coded).tiling
    assert (tiling.width, tiling.height) == (128, 128)
    assert cvqn.decode(coded, crop=(0, 0, 1, 1), max_pixels=60_000).size == (1, 1)
    with pytest.raises(ImageTooLarge, match="tiles of 128x128 pixels have 60000 with their neigh"):
        cvqn.decode(coded, crop=(0, 0, 1, 1), max_pixels=59_999)


# Damage.


def test_a_damaged_tile_is_refused_by_number(codec):
    coded, _ = _coded(codec)
    with pytest.raises(ChecksumMismatch, match=r"tile 7 of 9 is damaged.* --best-effort"):
        codec.decode(spoil(coded, 7))


def test_best_effort_costs_the_damaged_tile_alone(codec):
    coded, whole = _coded(codec)
    image = codec.decode(spoil(coded, 0), best_effort=True)
    assert image.info["damaged"] == ((0, 0, 64, 64),)
    found = array(image)
    assert (found[:64, :64] == 128).all()
    assert np.array_equal(found[128:], whole[128:])  # none of these is a neighbour
    assert np.array_equal(found[:, 128:], whole[:, 128:])
    rest = np.ones(whole.shape[:2], bool)
    rest[:64, :64] = False
    assert np.abs(found[rest] - whole[rest]).mean() < 3
    assert "damaged" not in codec.decode(coded, best_effort=True).info
    beside = codec.decode(spoil(coded, 0), best_effort=True, crop=(64, 0, 64, 64))
    assert beside.info["damaged"] == ((0, 0, 64, 64),)  # no pixel of it is, but its border is
    assert np.array_equal(array(beside), found[:64, 64:128])
    far = codec.decode(spoil(coded, 0), best_effort=True, crop=(128, 64, 20, 64))
    assert "damaged" not in far.info
    assert np.array_equal(array(far), whole[64:128, 128:148])


@pytest.mark.parametrize("cause", [MissingDependency, InvalidArgument])
def test_what_is_wrong_here_is_not_damage_of_the_file(codec, monkeypatch, cause):
    def fails(file):
        raise cause("install something")

    coded, _ = _coded(codec)
    monkeypatch.setattr(codec, "read_latent", fails)
    with pytest.raises(cause, match="install something"):
        codec.decode(coded, best_effort=True)


def test_an_encoder_out_of_memory_names_the_way_out(codec, photo, monkeypatch):
    def fails(*args, **kwargs):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 GB")

    monkeypatch.setattr(codec, "prepare", fails)
    with pytest.raises(ImageTooLarge, match=r"150x131 pixels need more memory.*--tile-size"):
        codec.encode(photo)


@pytest.mark.slow
def test_a_target_of_ms_ssim_in_tiles_too_small_for_it(cvqn):
    large = draw_photo(8, 180, 170)
    data = cvqn.encode(large, target_msssim=0.3, tile_size=64)
    assert container.read(data).tiling is not None
    assert metrics.ms_ssim(np.asarray(large), np.asarray(cvqn.decode(data))) >= 0.3


def test_best_effort_on_a_file_without_its_end(codec):
    coded, whole = _coded(codec)
    last = len(container.read(coded).tiling.parts[8])
    with pytest.raises(Truncated, match="incomplete"):
        codec.decode(coded[:-last])
    for cut in (coded[:-last], coded[:-1]):
        image = codec.decode(cut, best_effort=True)
        assert image.info["damaged"] == ((128, 128, 22, 3),)
        assert np.array_equal(array(image)[:64], whole[:64])
    head = len(coded) - sum(map(len, container.read(coded).tiling.parts))
    everything = codec.decode(coded[:head], best_effort=True)
    assert (array(everything) == 128).all()
    assert len(everything.info["damaged"]) == 9
    with pytest.raises(Truncated):
        codec.decode(coded[: head - 1], best_effort=True)


def test_best_effort_does_not_mend_a_head_or_a_picture_coded_as_a_whole(cvqn, photo):
    coded, _ = _coded(cvqn)
    for number in (9, 20):
        head = bytearray(coded)
        head[number] ^= 1
        with pytest.raises(ChecksumMismatch, match="head"):
            cvqn.decode(bytes(head), best_effort=True)
    whole = bytearray(cvqn.encode(photo, 50))
    whole[-10] ^= 1
    with pytest.raises(ChecksumMismatch):
        cvqn.decode(bytes(whole), best_effort=True)


def test_a_tile_that_only_decoding_finds_wrong(cvqn, photo):
    """Its checksum is right, its streams are not: forged, or of a faulty encoder."""
    coded, _ = _coded(cvqn)
    file = container.read(coded)
    part = container.tile(file, 4)
    forged = dataclasses.replace(part, streams=part.streams[:-1])
    parts = list(file.tiling.parts)
    parts[4] = container.write_tile(4, forged)
    tiling = dataclasses.replace(file.tiling, parts=tuple(parts))
    data = container.write(dataclasses.replace(file, tiling=tiling))
    with pytest.raises(CorruptStream):
        cvqn.decode(data)
    assert cvqn.decode(data, best_effort=True).info["damaged"] == ((64, 64, 64, 64),)


def test_alpha_of_a_damaged_tile_is_opaque(cvqn, photo):
    image = photo.copy()
    image.putalpha(Image.new("L", SIZE, 7))
    data = cvqn.encode(image, 50, tile_size=64)
    alpha = array(cvqn.decode(spoil(data, 4), best_effort=True).getchannel("A"))
    assert (alpha[64:128, 64:128] == 255).all()
    assert (alpha[:64] == 7).all()


def test_a_codec_without_a_margin_takes_no_tiles(cvqn, photo, monkeypatch):
    data = cvqn.encode(photo, 50, tile_size=64)
    monkeypatch.setattr(type(cvqn), "margin", None)
    assert cvqn.encode(photo, 50, tile_size=64) == cvqn.encode(photo, 50, tile_size=0)
    with pytest.raises(InvalidArgument, match="has no tiles"):
        cvqn.decode(data)


def test_tiles_of_another_model_are_refused(cvqn, photo):
    data = cvqn.encode(photo, 50, tile_size=64)
    other = build(groups=(3, 11, 10), levels=(127, 63, 31))
    with pytest.raises(MalformedHeader, match="channel groups"):
        other.decode(data)


# Targets.


def test_a_target_size_is_for_the_whole_file_and_never_exceeded(codec):
    photo = draw_photo(8, 272, 260)
    sizes = [len(codec.encode(photo, quality, tile_size=64)) for quality in (60, 90)]
    target = sum(sizes) // 2
    data = codec.encode(photo, tile_size=64, target_size=target)
    assert 0.97 * target < len(data) <= target
    assert container.read(data).tiling is not None


def test_other_targets(cvqn):
    photo = draw_photo(8, 272, 260)
    pixels = open_photo(photo).pixels
    files = [cvqn.encode(photo, quality, tile_size=64) for quality in (1, 100)]
    small, large = map(len, files)
    bpp = 4 * (small + large) / (272 * 260)
    data = cvqn.encode(photo, tile_size=64, target_bpp=bpp)
    assert 0.97 * bpp < 8 * len(data) / (272 * 260) <= bpp
    low, high = (metrics.psnr(pixels, np.asarray(cvqn.decode(file))) for file in files)
    target = (low + high) / 2
    data = cvqn.encode(photo, tile_size=64, target_psnr=target)
    assert target <= metrics.psnr(pixels, np.asarray(cvqn.decode(data))) < target + 0.2
    for unreachable in ({"target_psnr": high + 5}, {"target_size": small - 1}):
        with pytest.raises(InvalidArgument, match="out of reach"):
            cvqn.encode(photo, tile_size=64, **unreachable)
    easy = cvqn.encode(photo, tile_size=64, target_size=2 * large)
    assert container.read(easy).header.quality == 100
