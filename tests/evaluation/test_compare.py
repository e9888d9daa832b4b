import math

import numpy as np
import pytest
from PIL import Image

import neurocodec
from neurocodec import container
from neurocodec.errors import InvalidArgument, UnreadableImage
from neurocodec.evaluation import compare, page
from neurocodec.evaluation.page import Panel, default_crops, draw_page
from neurocodec.evaluation.peers import select
from neurocodec.metrics import ms_ssim, psnr

from .conftest import photo


@pytest.fixture
def original(tmp_path):
    path = tmp_path / "original.png"
    Image.fromarray(photo(1)).save(path)
    return path


def test_rows_of_files(original, tmp_path):
    jpeg, copy = tmp_path / "copy.jpg", tmp_path / "copy.png"
    Image.fromarray(photo(1)).save(jpeg, quality=30)
    Image.fromarray(photo(1)).save(copy)
    row, lossless = compare(original, [jpeg, str(copy)])
    decoded = np.asarray(Image.open(jpeg))
    assert (row.file, row.bytes) == (str(jpeg), jpeg.stat().st_size)
    assert row.bpp == 8 * row.bytes / (176 * 192)
    assert row.psnr == psnr(photo(1), decoded)
    assert row.ms_ssim == ms_ssim(photo(1), decoded) < 1
    assert (lossless.psnr, lossless.ms_ssim) == (math.inf, pytest.approx(1, abs=1e-6))


def test_ncz_files_are_decoded_by_the_library(original, tmp_path, monkeypatch):
    path = tmp_path / "file.NCZ"
    path.write_bytes(b"a file")
    calls = []

    def decode(data, device):
        calls.append((data, device))
        return Image.fromarray(photo(1) ^ 1)

    monkeypatch.setattr(neurocodec, "decode", decode, raising=False)
    (row,) = compare(original, [path], device="cuda")
    assert calls == [(b"a file", "cuda")]
    assert (row.bytes, row.psnr) == (6, pytest.approx(48.1308, abs=1e-4))


def test_formats_that_need_a_package(original, tmp_path):
    pytest.importorskip("pillow_heif")
    path = tmp_path / "file.heic"
    path.write_bytes(select(["heic444"])[0].encode(Image.fromarray(photo(1)), 60))
    (row,) = compare(original, [path])
    assert 28 < row.psnr < 60
    path.write_bytes(b"nothing")
    with pytest.raises(UnreadableImage, match=r"file\.heic"):
        compare(original, [path])


def test_transparent_pictures_are_compared_as_they_look_on_white(tmp_path):
    pixels = np.dstack([photo(1), photo(2)[..., 0]])
    image = Image.fromarray(pixels)
    image.save(tmp_path / "a.png")
    white = Image.new("RGBA", image.size, "white")
    Image.alpha_composite(white, image).convert("RGB").save(tmp_path / "a.bmp")
    (row,) = compare(tmp_path / "a.png", [tmp_path / "a.bmp"])
    assert row.psnr == math.inf


def test_ncz_files_of_another_name(original, tmp_path, monkeypatch):
    path = tmp_path / "file.bin"
    path.write_bytes(container.MAGIC)
    monkeypatch.setattr(neurocodec, "decode", lambda *_, **__: Image.fromarray(photo(1)))
    (row,) = compare(original, [path])
    assert row.psnr == math.inf


def test_small_images_have_no_ms_ssim(tmp_path):
    path = tmp_path / "small.png"
    Image.fromarray(photo(1, 5, 300)).save(path)
    (row,) = compare(path, [path], tmp_path / "page.png")
    assert math.isnan(row.ms_ssim)
    assert (tmp_path / "page.png").exists()


def test_what_cannot_be_compared(original, tmp_path):
    other = tmp_path / "other.png"
    Image.fromarray(photo(1, 192, 176)).save(other)
    with pytest.raises(InvalidArgument, match=r"other\.png is 192x176 but .*original\.png is 176x"):
        compare(original, [other])
    with pytest.raises(InvalidArgument, match="no files to compare"):
        compare(original, [])
    for name in ("none.ncz", "none.png"):
        with pytest.raises(FileNotFoundError, match=name) as missing:
            compare(original, [tmp_path / name])
        assert missing.value.filename == str(tmp_path / name)


def test_the_page_replaces_no_input(original, tmp_path):
    copy, link = tmp_path / "copy.png", tmp_path / "link.png"
    Image.fromarray(photo(1)).save(copy)
    link.symlink_to(original)
    for page_path, name in ((original, "original"), (copy, "copy"), (link, "original")):
        before = page_path.read_bytes()
        with pytest.raises(InvalidArgument, match=rf"is the input .*{name}\.png itself"):
            compare(original, [copy], page_path)
        assert page_path.read_bytes() == before


def test_the_page_shows_the_same_crops_of_all(original, tmp_path):
    copy, sheet = tmp_path / "copy.png", tmp_path / "page.png"
    Image.fromarray(255 - photo(1)).save(copy)
    compare(original, [copy], sheet, crops=[(10, 20, 140, 30), (0, 0, 8, 40)])
    shown = np.asarray(Image.open(sheet))
    assert shown.shape == (64 + 60 + 12 + 80 + 12, 12 + 2 * (280 + 12), 3)
    top, second = slice(64, 124), slice(136, 216)
    truth = photo(1)
    for pixels, x in ((truth, 12), (255 - truth, 304)):
        expected = pixels[20:50, 10:150].repeat(2, 0).repeat(2, 1)
        assert (shown[top, x : x + 280] == expected).all()
        expected = pixels[:40, :8].repeat(2, 0).repeat(2, 1)
        assert (shown[second, x : x + 16] == expected).all()
    captions = shown[:64]
    assert (captions[:, 12:290] < 128).any()
    assert (captions[:, 304:] < 128).any()


def test_default_crops_are_the_middle_and_the_worst():
    truth = photo(1, 500, 400)
    copy = truth.copy()
    copy[300:310, 40:50] ^= 64
    middle, (x, y, width, height) = default_crops(truth, [truth, copy])
    assert middle == (154, 104, 192, 192)
    assert (width, height) == (192, 192)
    assert x <= 40 < 50 <= x + 192
    assert y <= 300 < 310 <= y + 192
    small = photo(1, 30, 20)
    assert default_crops(small, [small]) == [(0, 0, 30, 20)]


def test_the_worst_crop_is_the_worst_of_all(monkeypatch):
    monkeypatch.setattr(page, "_CROP", 7)
    truth, copy, other = photo(1, 20, 30), photo(2, 20, 30), photo(3, 20, 30)
    _, (x, y, *_) = default_crops(truth, [copy, other])

    def error(x, y):
        window = np.s_[y : y + 7, x : x + 7]
        return sum(((truth[window] * 1.0 - c[window]) ** 2).sum() for c in (copy, other))

    assert error(x, y) == max(error(i, j) for i in range(14) for j in range(24))


@pytest.mark.parametrize("box", [(-1, 0, 9, 9), (0, 0, 31, 9), (0, 12, 9, 9), (3, 3, 0, 5)])
def test_crops_outside_are_refused(box):
    with pytest.raises(InvalidArgument, match="not inside the image of 30x20"):
        draw_page([Panel("a", "", photo(1, 30, 20))], [box])


def test_a_page_without_crops():
    page_image = draw_page([Panel("a", "", photo(1, 30, 20))], [])
    assert page_image.height < 100 < page_image.width


def test_long_names_stay_in_their_column():
    panels = [Panel("x" * 300 + ".png", "", photo(1, 30, 20))] * 2
    sheet = np.asarray(draw_page(panels, [(0, 0, 30, 20)]))
    assert (sheet[:64, 272:284] > 250).all()  # the gap between the columns
