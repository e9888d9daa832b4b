import json
import sys

import pytest

from benchmarks import fresh, rate_distortion, speed
from neurocodec.errors import InvalidArgument

CURVES = {
    "published": {
        "bpg-444": {"bpp": [0.2, 0.4, 1.2], "psnr": [28, 33, 39], "ms_ssim": [0.9, 0.96, 0.99]},
        "half": {"bpp": [0.1, 0.2, 0.6], "psnr": [28, 33, 39], "ms_ssim": None},
    }
}


@pytest.fixture
def anchors(tmp_path):
    path = tmp_path / "anchors.json"
    path.write_text(json.dumps(CURVES))
    return path


def test_anchors_alone_are_judged(anchors, capsys):
    assert rate_distortion.main(["--anchors", str(anchors)]) == 0
    shown = capsys.readouterr().out
    assert "| half | −50.0 % | – |" in shown
    assert rate_distortion.main(["--anchors", str(anchors), "--reference", "vvc"]) == 1
    assert "no curve 'vvc': choose from bpg-444, half" in capsys.readouterr().err


def test_tables_go_between_the_marks(folder, anchors, tmp_path):
    readme, out = tmp_path / "README.md", tmp_path / "out"
    readme.write_text(f"# Title\n{rate_distortion.BEGIN}\nold\n{rate_distortion.END}\ntail\n")
    arguments = ["--data", folder, "--out", out, "--anchors", anchors, "--readme", readme]
    arguments += ["--models", "--peers", "jpeg"]
    assert rate_distortion.main([str(argument) for argument in arguments]) == 0
    text = readme.read_text()
    assert text.startswith(f"# Title\n{rate_distortion.BEGIN}\nBD-rate")
    assert text.endswith(f"{rate_distortion.END}\ntail\n")
    assert "old" not in text
    assert "against bpg-444" in text
    table = (out / "per_image.tsv").read_text().splitlines()
    assert table[0].startswith("# cpu: ")
    assert any(line.startswith("# torch: ") for line in table)
    header = next(line for line in table if not line.startswith("#"))
    assert header.split("\t")[:3] == ["codec", "image", "quality"]
    assert sum(line.startswith("jpeg\t") for line in table) == 2 * 13

    costs = (out / "costs.tsv").read_text().splitlines()
    assert any(line.startswith("# image: ") for line in costs)
    names, values = (line.split("\t") for line in costs if not line.startswith("#"))
    spent = dict(zip(names, values, strict=True))
    assert spent["codec"] == "jpeg"
    assert 20 < float(spent["decode MB"]) < 1000
    assert "| " + " | ".join(values) + " |" in text


def test_a_readme_without_marks_is_left_alone(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(rate_distortion.END + rate_distortion.BEGIN)
    with pytest.raises(InvalidArgument, match="needs one line"):
        rate_distortion.insert(readme, "tables")
    assert readme.read_text() == rate_distortion.END + rate_distortion.BEGIN


@pytest.mark.parametrize("arguments", [[], ["--data", "x"], ["--out", "x", "--anchors", "y"]])
def test_options_that_do_not_fit_are_a_usage_error(arguments):
    with pytest.raises(SystemExit) as usage:
        rate_distortion.main(arguments)
    assert usage.value.code == 2


def test_speed_of_a_peer(tmp_path, capsys):
    path = tmp_path / "speed.json"
    assert speed.main(["--codec", "jpeg", "--quality", "50", "--json", str(path)]) == 0
    result = json.loads(path.read_text())
    assert (result["width"], result["height"]) == (768, 512)
    assert result["encode_s"] > 0
    assert result["decode_s"] > 0
    assert result["psnr"] > 25
    assert result["decode_peak_mb"] > 20
    assert result["streams"] is None
    assert result["cold_start_s"] is None
    assert "cpu" in result
    assert "not measured" in capsys.readouterr().out


def test_limits_are_checked(monkeypatch, capsys):
    figures = {"encode_s": 1.5, "decode_s": 0.5, "streams": 8, "cold_start_s": None}
    monkeypatch.setattr(speed, "measure", lambda options, folder: figures)
    assert speed.main([]) == 0
    assert speed.main(["--check"]) == 1
    assert "1.500   over the limit of 1\n" in capsys.readouterr().out


def test_a_failing_worker_is_one_line(capsys):
    assert speed.main(["--codec", "jpeg", "--image", "/nowhere.png"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("speed: error: ")
    assert error.count("\n") == 1


def test_a_fresh_process_has_the_threads_it_is_given():
    asked = [sys.executable, "-c", "import os; print(os.environ['OMP_NUM_THREADS'])"]
    assert fresh.output(asked, 2) == "2\n"
