"""From the estimate to the coded bytes, on codecs small enough to be computed twice."""

import pytest
from click.testing import CliRunner

from benchmarks import snapping
from benchmarks.snapping import Rates, rates
from neurocodec import container
from tests.codecs import test_cvqn, test_vae
from tests.training.conftest import draw_photo


@pytest.mark.parametrize("build", [test_vae.build, test_cvqn.build])
def test_every_stream_is_counted(build):
    codec = build()
    data = codec.encode(draw_photo(6, 240, 200), 90)
    got = rates(codec, data)
    report = codec.rate_report(data)
    assert got.estimate == report.estimated_bits
    assert got.coded == report.coded_bits
    assert got.tables == pytest.approx(got.estimate, rel=5e-3)
    # The coder ends each stream with whole bytes.
    assert 0 < got.coded - got.tables < 24 * len(container.read(data).streams)


def test_files_are_added_up_before_they_are_compared():
    total = Rates(1000, 1001, 1010) + Rates(3000, 3003, 3006)
    shown = snapping.row("vae", 50.5, total)
    assert list(shown.values()) == ["vae", "50.5", "4000", "+0.100%", "+0.400%"]


@pytest.mark.slow
def test_the_table_of_a_shipped_model(tmp_path):
    draw_photo(6, 240, 200).save(tmp_path / "photo.png")
    out = tmp_path / "snapping.tsv"
    arguments = ["--data", str(tmp_path), "--quality", "50", "--out", str(out)]
    done = CliRunner().invoke(snapping.main, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    assert "| vae | 50 |" in done.stdout
    assert out.read_text().splitlines()[-1].startswith("vae\t50\t")
