import io
import math
import threading
import time

import numpy as np
import pytest
from PIL import Image

from neurocodec.errors import InvalidArgument, NczError
from neurocodec.evaluation.images import find_images
from neurocodec.evaluation.rows import parse_rows
from neurocodec.evaluation.sweep import Entrant, sweep
from neurocodec.metrics import luma, ms_ssim, psnr, ssim

from .conftest import FakeCodec, photo


def entrant(codec, qualities=(20, 80), version="1"):
    return Entrant("fake", codec, qualities, version)


def test_images_of_a_folder(folder, tmp_path):
    assert [path.name for path in find_images(folder)] == ["a.png", "b.PNG"]
    Image.new("L", (2, 2)).save(folder / "c.gif")
    assert [path.name for path in find_images(folder)] == ["a.png", "b.PNG", "c.gif"]
    (folder / "._a.png").write_bytes(b"what macOS leaves there")
    (folder / "d.png").mkdir()
    assert [path.name for path in find_images(folder)] == ["a.png", "b.PNG", "c.gif"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidArgument, match="holds no images"):
        find_images(tmp_path / "empty")
    with pytest.raises(InvalidArgument, match="not a folder"):
        find_images(folder / "a.png")


def test_rows_say_what_happened(codec, folder, tmp_path):
    rows = sweep([entrant(codec)], find_images(folder), tmp_path / "rows.csv")
    assert [(row.image, row.quality) for row in rows] == [
        ("a.png", 20), ("a.png", 80), ("b.PNG", 20), ("b.PNG", 80),
    ]  # fmt: skip
    row, pixels = rows[1], photo(1)
    data = FakeCodec().encode(Image.fromarray(pixels), 80)
    decoded = np.asarray(Image.open(io.BytesIO(data)))
    assert (row.codec, row.width, row.height, row.bytes) == ("fake", 176, 192, len(data))
    assert row.bpp == pytest.approx(8 * len(data) / (176 * 192), abs=1e-6)
    assert row.psnr == pytest.approx(psnr(pixels, decoded), abs=1e-4)
    assert row.ms_ssim == pytest.approx(ms_ssim(pixels, decoded), abs=1e-6)
    planes = luma(pixels), luma(decoded)
    assert row.psnr_luma == pytest.approx(psnr(*planes), abs=1e-4)
    assert row.ssim == pytest.approx(ssim(pixels, decoded), abs=1e-6)
    assert row.ssim_luma == pytest.approx(ssim(*planes), abs=1e-6)
    assert abs(row.psnr_luma - row.psnr) > 0.1
    assert abs(row.ssim_luma - row.ssim) > 0.001
    bits = 8 * len(data)
    assert (row.estimated_bits, row.coded_bits, row.file_bits) == (bits - 500, bits - 400, bits)
    assert 0 <= row.encode_s < 5
    assert parse_rows((tmp_path / "rows.csv").read_text()) == rows


def test_the_sweep_continues_where_it_stopped(codec, folder, tmp_path):
    table, images = tmp_path / "rows.csv", find_images(folder)
    first = sweep([entrant(codec, (20,))], images, table)
    calls = len(codec.encoded)
    assert sweep([entrant(codec, (20,))], images, table) == first
    assert len(codec.encoded) == calls  # nothing was measured, not even a warm-up
    both = sweep([entrant(codec, (20, 80))], images, table)
    assert [row for row in both if row.quality == 20] == first
    assert [q for _, q in codec.encoded[calls:]] == [20, 80, 80]  # the first is the warm-up
    assert sweep([entrant(codec, (80,))], images, table) == [r for r in both if r.quality == 80]


def test_another_version_or_image_is_measured_anew(folder, tmp_path):
    table, images = tmp_path / "rows.csv", find_images(folder)
    old = sweep([entrant(FakeCodec(), (50,))], images, table)
    new = sweep([entrant(FakeCodec(overhead=100), (50,), "2")], images, table)
    assert [n.bytes - o.bytes for n, o in zip(new, old, strict=True)] == [100, 100]
    Image.fromarray(photo(9)).save(folder / "a.png")
    third = sweep([entrant(FakeCodec(overhead=200), (50,), "2")], images, table)
    assert third[0].image_crc32 != new[0].image_crc32
    assert third[1] == new[1]
    assert len(parse_rows(table.read_text())) == 2 + 1  # the stale row goes when next opened


def test_rows_are_on_disk_before_a_failure(folder, tmp_path):
    class Fails(FakeCodec):
        def encode(self, image, quality):
            if image.size == (181, 163) and quality == 80:
                raise ValueError("no such quality")
            return super().encode(image, quality)

    table, images = tmp_path / "rows.csv", find_images(folder)
    with pytest.raises(NczError, match=r"^fake failed on b\.PNG at quality 80: no such quality; "):
        sweep([entrant(Fails())], images, table)
    assert len(parse_rows(table.read_text())) == 3
    codec = FakeCodec()
    assert len(sweep([entrant(codec)], images, table)) == 4
    assert len(codec.encoded) == 2


@pytest.mark.parametrize("where", ["encode", "decode"])
def test_a_codec_that_never_works_fails_in_its_warm_up(codec, folder, tmp_path, where):
    setattr(codec, where, lambda *_: 1 / 0)
    with pytest.raises(NczError, match="fake failed on a small crop: division by zero"):
        sweep([entrant(codec)], find_images(folder), tmp_path / "rows.csv")


def test_a_copy_of_another_size_is_an_error(codec, folder, tmp_path):
    codec.decode = lambda data: Image.new("RGB", (100, 100))
    with pytest.raises(NczError, match="one size, got 176x192 and 100x100"):
        sweep([entrant(codec)], find_images(folder), tmp_path / "rows.csv")


def test_small_images_have_no_ms_ssim(codec, tmp_path):
    Image.fromarray(photo(3, 160, 300)).save(tmp_path / "small.png")
    (row,) = sweep([entrant(codec, (50,))], [tmp_path / "small.png"], tmp_path / "rows.csv")
    assert math.isnan(row.ms_ssim)
    assert row.psnr > 20
    assert 0 < row.ssim < 1
    Image.fromarray(photo(3, 10, 300)).save(tmp_path / "tiny.png")
    (row,) = sweep([entrant(codec, (50,))], [tmp_path / "tiny.png"], tmp_path / "rows.csv")
    assert math.isnan(row.ssim)
    assert math.isnan(row.ssim_luma)
    assert row.psnr_luma > 20


def test_decoding_is_timed_even_where_the_image_is_lazy(codec, tmp_path):
    class Lazy(Image.Image):
        def load(self):
            time.sleep(0.2)
            return super().load()

    def decode(data):
        image = Image.open(io.BytesIO(data)).convert("RGB")
        image.__class__ = Lazy
        return image

    codec.decode = decode
    Image.fromarray(photo(3, 20, 20)).save(tmp_path / "small.png")
    (row,) = sweep([entrant(codec, (50,))], [tmp_path / "small.png"], tmp_path / "rows.csv")
    assert row.decode_s >= 0.2
    assert row.encode_s < 0.2


def test_codecs_without_a_rate_report(folder, tmp_path):
    class Plain:
        encode, decode = FakeCodec().encode, FakeCodec().decode

    row = sweep([entrant(Plain())], find_images(folder), tmp_path / "rows.csv")[0]
    assert (row.estimated_bits, row.coded_bits, row.file_bits) == (None, None, None)


def test_jobs_share_the_work(folder, tmp_path):
    threads = set()
    meeting = threading.Barrier(2, timeout=20)

    class Watched(FakeCodec):
        def decode(self, data):
            if threading.current_thread() is not threading.main_thread():
                threads.add(threading.get_ident())
                meeting.wait()  # passes only with two decodes at the same time
            return super().decode(data)

    images = find_images(folder)
    alone = sweep([entrant(FakeCodec())], images, tmp_path / "one.csv")
    shared = sweep([entrant(Watched())], images, tmp_path / "two.csv", jobs=2)
    assert len(threads) == 2
    assert [(r.key, r.bytes, r.psnr) for r in shared] == [(r.key, r.bytes, r.psnr) for r in alone]


def test_a_failure_among_jobs_surfaces(codec, folder, tmp_path):
    codec.rate_report = lambda data: 1 / 0
    with pytest.raises(NczError, match="division by zero"):
        sweep([entrant(codec)], find_images(folder), tmp_path / "rows.csv", jobs=2)


def test_arguments_are_checked(codec, folder, tmp_path):
    images, table = find_images(folder), tmp_path / "rows.csv"
    with pytest.raises(InvalidArgument, match="jobs is 0"):
        sweep([entrant(codec)], images, table, jobs=0)
    with pytest.raises(InvalidArgument, match="two codecs are called fake"):
        sweep([entrant(codec), entrant(codec)], images, table)
    with pytest.raises(InvalidArgument, match=r"two images are called a\.png"):
        sweep([entrant(codec)], [images[0], images[0]], table)
    with pytest.raises(InvalidArgument, match="fake has no qualities"):
        sweep([entrant(codec, ())], images, table)
    assert not table.exists()
    assert len(sweep([entrant(codec, (50, 50.0))], images, table)) == 2


def test_the_bar_is_silent_in_a_pipe(codec, folder, tmp_path, capfd):
    sweep([entrant(codec)], find_images(folder), tmp_path / "rows.csv")
    assert capfd.readouterr() == ("", "")
