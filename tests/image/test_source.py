"""Where a photo may come from, and how each source is refused."""

import io
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

from neurocodec.errors import ImageTooLarge, MissingDependency, UnreadableImage
from neurocodec.image import open_photo, reading
from tests.image.samples import encoded, rgb

PNG = encoded(Image.fromarray(rgb()))


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    return path


def test_paths_bytes_and_files(path):
    sources = [path, str(path), PNG, bytearray(PNG), memoryview(PNG), io.BytesIO(PNG)]
    with path.open("rb") as file:
        for source in [*sources, file, Image.open(path), open_photo(path)]:
            np.testing.assert_array_equal(open_photo(source).pixels, rgb())


def test_a_photo_is_returned_as_it_is():
    photo = open_photo(PNG)
    assert open_photo(photo) is photo


def test_arrays():
    grey, rgba = rgb()[..., 0], np.dstack([rgb(), rgb(seed=1)[..., 0]])
    assert open_photo(grey).mode == open_photo(grey[..., None]).mode == "L"
    np.testing.assert_array_equal(open_photo(grey).pixels, np.dstack([grey] * 3))
    np.testing.assert_array_equal(open_photo(grey[..., None]).pixels, np.dstack([grey] * 3))
    np.testing.assert_array_equal(open_photo(rgba).pixels, rgba[..., :3])
    np.testing.assert_array_equal(open_photo(rgba).alpha, rgba[..., 3])
    assert open_photo(rgba).pixels.flags.c_contiguous


def test_an_array_is_copied():
    array = rgb()
    photo = open_photo(array)
    array[:] = 0
    np.testing.assert_array_equal(photo.pixels, rgb())


def test_a_reversed_view():
    np.testing.assert_array_equal(open_photo(rgb()[::-1]).pixels, rgb()[::-1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.uint8])
@pytest.mark.parametrize("batch", [False, True])
def test_tensors(dtype, batch):
    tensor = torch.from_numpy(rgb()).permute(2, 0, 1)
    tensor = tensor.to(dtype) / 255 if dtype.is_floating_point else tensor
    photo = open_photo(tensor[None] if batch else tensor)
    assert photo.mode == "RGB"
    np.testing.assert_array_equal(photo.pixels, rgb())


def test_tensor_with_gradient_of_low_precision():
    tensor = torch.tensor([0.0, 1.0, 0.5], dtype=torch.bfloat16, requires_grad=True)
    assert open_photo(tensor.view(1, 1, 3)).pixels[0, :, 0].tolist() == [0, 255, 128]


def test_floats_are_rounded_not_cut():
    tensor = torch.tensor([0.4, 0.6, 1.49, 1.51]).view(1, 1, 4) / 255
    assert open_photo(tensor).pixels[0, :, 0].tolist() == [0, 1, 1, 2]


def test_grey_and_transparent_tensors():
    assert open_photo(torch.ones(1, 2, 2)).mode == "L"
    photo = open_photo(torch.full((4, 2, 2), 0.2))
    assert photo.mode == "RGB"
    assert (photo.alpha == 51).all()


def with_info(image, **info):
    image.info.update(info)
    return image


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (torch.full((3, 2, 2), 255.0), r"from 255 to 255, expected \[0, 1\].*divide by 255"),
        (torch.full((3, 2, 2), -0.1), r"expected \[0, 1\]"),
        (torch.full((3, 2, 2), torch.nan), r"expected \[0, 1\]"),
        (torch.zeros(2, 3, 4, 4), "one image at a time"),
        (torch.zeros(5, 4, 3), r"shape \(5, 4, 3\), expected \(3, height, width\)"),
        (torch.zeros(8, 8), r"shape \(8, 8\)"),
        (torch.zeros(3, 2, 2, dtype=torch.int64), "holds int64, expected uint8"),
        (torch.zeros(3, 0, 2), "2x0 pixels"),
        (np.zeros((2, 2, 3), np.float32), "holds float32, expected uint8: scale"),
        (np.zeros((2, 2), bool), "holds bool, expected uint8"),
        (np.zeros((3, 8, 8), np.uint8), r"shape \(3, 8, 8\).*reorder its axes"),
        (np.zeros((1, 2, 2, 3), np.uint8), r"shape \(1, 2, 2, 3\)"),
        (np.zeros((0, 5, 3), np.uint8), "5x0 pixels"),
        (Image.new("RGB", (0, 5)), "0x5 pixels"),
        ([1, 2], "a list is no image: give a path"),
        (None, "a NoneType is no image"),
        (io.StringIO("text"), "open the file in binary mode"),
        (io.TextIOWrapper(io.BytesIO(PNG), "utf-8"), "open the file in binary mode"),
        (with_info(Image.new("RGB", (2, 2)), transparency=b"\0\1"), "the image cannot be read"),
        (b"", "the data is empty"),
        (b"no image at all, but long enough to be looked at", "no image of a known format"),
        (PNG[:60], "cannot be read as an image"),
        (PNG[: len(PNG) // 2], "cannot be read as an image"),
        (encoded(Image.new("RGB", (64, 64)), "JPEG")[:-40], "truncated"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "render it first"),
    ],
)
def test_refused(source, message):
    with pytest.raises(UnreadableImage, match=message) as caught:
        open_photo(source)
    assert "\n" not in str(caught.value)
    assert " object at 0x" not in str(caught.value)


@pytest.mark.parametrize("length", range(0, len(PNG) - 16, 7))  # what closes a PNG is not needed
def test_any_truncation_is_one_clear_error(length):
    with pytest.raises(UnreadableImage):
        open_photo(PNG[:length])


def test_messages_name_the_file(tmp_path):
    path = tmp_path / "odd name.png"
    path.write_bytes(PNG[:60])
    with pytest.raises(UnreadableImage, match=r"odd name\.png"):
        open_photo(path)
    with path.open("rb") as file, pytest.raises(UnreadableImage, match=r"odd name\.png"):
        open_photo(file)


def test_what_cannot_be_opened_is_an_oserror(tmp_path):
    with pytest.raises(FileNotFoundError):
        open_photo(tmp_path / "none.png")
    with pytest.raises(IsADirectoryError):
        open_photo(tmp_path)


def test_an_image_opened_by_the_caller_and_truncated():
    image = Image.open(io.BytesIO(encoded(Image.new("RGB", (64, 64)), "JPEG")[:-40]))
    with pytest.raises(UnreadableImage, match="cannot be loaded"):
        open_photo(image)


def png_of(width, height):
    """The header of a PNG of any size."""

    def chunk(kind, data):
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"x") + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(("width", "height"), [(2**14, 2**14 + 1), (2**31 - 1, 2**31 - 1)])
def test_too_large_by_default(width, height):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ImageTooLarge, match=rf"{width * height} pixels, 268435456 are allowed"):
            open_photo(png_of(width, height))


@pytest.mark.parametrize(
    "source", [PNG, Image.fromarray(rgb()), rgb(), torch.zeros(3, 3, 4)], ids=lambda s: type(s)
)
def test_limit_of_the_caller(source):
    assert open_photo(source, max_pixels=12).pixels.shape == (3, 4, 3)
    with pytest.raises(ImageTooLarge, match="4x3 = 12 pixels, 11 are allowed"):
        open_photo(source, max_pixels=11)


@pytest.mark.parametrize("limit", [5, 11])  # Pillow would refuse, would warn
@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_the_limit_of_pillow_is_not_ours(monkeypatch, limit, format):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        photo = open_photo(encoded(Image.fromarray(rgb()), format))
    np.testing.assert_array_equal(photo.pixels, rgb())
    assert limit == Image.MAX_IMAGE_PIXELS


def test_the_limit_of_pillow_is_put_back_after_an_error(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5)
    with pytest.raises(UnreadableImage):
        open_photo(b"no image, but enough bytes for a signature")
    assert Image.MAX_IMAGE_PIXELS == 5


def test_many_threads_leave_the_limit_of_pillow():
    before = Image.MAX_IMAGE_PIXELS
    with ThreadPoolExecutor(8) as pool:
        photos = list(pool.map(open_photo, [PNG] * 64))
    assert all(np.array_equal(photo.pixels, rgb()) for photo in photos)
    assert before == Image.MAX_IMAGE_PIXELS


def test_a_reader_that_finds_a_bomb_itself(monkeypatch):
    def bomb(*_, **__):
        raise Image.DecompressionBombError("a frame of 10 gigapixels")

    monkeypatch.setattr(reading.Image, "open", bomb)
    with pytest.raises(ImageTooLarge, match="10 gigapixels"):
        open_photo(PNG)


def test_lack_of_memory_is_not_blamed_on_the_file(monkeypatch):
    def exhausted(*_, **__):
        raise MemoryError

    monkeypatch.setattr(reading.Image, "open", exhausted)
    with pytest.raises(MemoryError):
        open_photo(PNG)


@pytest.mark.parametrize(("module", "format"), [("pillow_heif", "HEIF"), ("pillow_jxl", "JXL")])
def test_formats_of_plugins(module, format):
    pytest.importorskip(module)
    from neurocodec.image.formats import register_plugins

    register_plugins()
    data = encoded(Image.new("RGB", (32, 16), (200, 90, 30)), format)
    np.testing.assert_allclose(open_photo(data).pixels[5, 5], (200, 90, 30), atol=6)


@pytest.mark.parametrize(
    ("beginning", "package"),
    [
        (b"\0\0\0\x18ftypheic", "pillow-heif"),
        (b"\0\0\0\x18ftypmif1", "pillow-heif"),
        (b"\xff\x0a", "pillow-jxl-plugin"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "pillow-jxl-plugin"),
    ],
)
def test_a_format_whose_plugin_is_not_there_is_no_fault_of_the_file(
    tmp_path, monkeypatch, beginning, package
):
    monkeypatch.setattr("neurocodec.image.formats.find_spec", lambda name: None)
    monkeypatch.setattr(Image, "ID", [kind for kind in Image.ID if kind not in ("HEIF", "JXL")])
    path = tmp_path / "a.bin"
    path.write_bytes(beginning + bytes(20))
    with pytest.raises(MissingDependency, match=rf"a\.bin is .* pip install {package}"):
        open_photo(path)


def test_damage_in_a_format_whose_plugin_is_there(monkeypatch):
    monkeypatch.setattr("neurocodec.image.formats.find_spec", lambda name: object())
    with pytest.raises(UnreadableImage):
        open_photo(b"\0\0\0\x18ftypheic" + bytes(20))
