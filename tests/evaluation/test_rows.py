import io
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurocodec.errors import InvalidArgument
from neurocodec.evaluation.rows import Row, RowLog, parse_rows, write_rows

ROW = Row(
    "fake", "a.png", 50.0, 4, 2, 10, 10.0, 31.25, 0.96, 0.5, 0.25, 79.5, 80.0, 88.0, "v1", "0a",
    32.5, 0.75, 0.875,
)  # fmt: skip
HEADER = (
    "codec,image,quality,width,height,bytes,bpp,psnr,ms_ssim,encode_s,decode_s,"
    "estimated_bits,coded_bits,file_bits,version,image_crc32,psnr_luma,ssim,ssim_luma\n"
)
LINE = "fake,a.png,50.0,4,2,10,10.0,31.25,0.96,0.5,0.25,79.5,80.0,88.0,v1,0a,32.5,0.75,0.875\n"


def test_the_table_byte_for_byte():
    assert write_rows([ROW]) == HEADER + LINE
    assert write_rows([ROW], header=False) == LINE
    assert write_rows([ROW], delimiter="\t", header=False) == LINE.replace(",", "\t")


finite = st.floats(allow_nan=False)
names = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12)


@given(
    st.builds(
        Row, names, names, finite, *[st.integers(0)] * 3, *[finite] * 5,
        *[st.none() | finite] * 3, names, names, *[st.none() | finite] * 3,
    )
)  # fmt: skip
def test_reading_gives_back_what_was_written(row):
    assert parse_rows(write_rows([row, ROW])) == [row, ROW]


def test_nan_and_infinity_survive():
    row = replace(ROW, psnr=math.inf, ms_ssim=math.nan)
    (back,) = parse_rows(write_rows([row]))
    assert back.psnr == math.inf
    assert math.isnan(back.ms_ssim)


def test_a_torn_last_line_is_left_out_and_mended(tmp_path):
    path = tmp_path / "rows.csv"
    for cut in range(1, len(LINE)):
        path.write_text(HEADER + LINE + LINE.replace("a.png", "b.png")[:-cut])
        log = RowLog(path)
        assert list(log.rows.values()) == [ROW]
        assert path.read_text() == HEADER + LINE


def test_a_new_log_grows_line_by_line(tmp_path):
    path = tmp_path / "rows.csv"
    log = RowLog(path)
    assert path.read_text() == HEADER
    log.append(ROW)
    assert path.read_text() == HEADER + LINE
    newer = replace(ROW, bytes=11)
    log.append(newer)
    assert log.rows == {ROW.key: newer}
    assert RowLog(path).rows == {ROW.key: newer}
    assert len(path.read_text().splitlines()) == 2


@pytest.mark.parametrize("name", ["été 写真.png", "caf\udce9.png"])
def test_a_log_keeps_any_name_in_any_locale(name, tmp_path, monkeypatch):
    # As on Windows.
    monkeypatch.setattr(io, "text_encoding", lambda given, *_: given or "cp1252")
    log = RowLog(tmp_path / "rows.csv")
    log.append(replace(ROW, image=name))
    log.append(replace(ROW, image=name, quality=7.0))
    again = RowLog(tmp_path / "rows.csv")
    assert [row.image for row in again.rows.values()] == [name, name]


def test_foreign_tables_are_refused(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(InvalidArgument, match=r"rows\.csv has other columns"):
        RowLog(path)
    path.write_text(HEADER + LINE.replace("31.25", "good") + LINE)
    with pytest.raises(InvalidArgument, match=r"rows\.csv, line 2: .*'good'"):
        RowLog(path)
    path.write_text(HEADER + "fake,a.png\n" + LINE)
    with pytest.raises(InvalidArgument, match="line 2"):
        RowLog(path)
    assert path.read_text() == HEADER + "fake,a.png\n" + LINE
