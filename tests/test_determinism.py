"""The settings of bitstream/determinism that a plain CPU can vary, on a few small files."""

import json
from dataclasses import replace
from math import prod

import pytest
import torch

from bitstream.determinism.bench import BITSTREAM, Bench, conformance_files
from bitstream.determinism.page import MAX_PIXEL_DIFFERENCE, Line, page, try_setting
from bitstream.determinism.settings import SETTINGS as ALL_SETTINGS
from bitstream.determinism.settings import obstacle
from bitstream.determinism.trace import Outcome, codec_of, compare, laid_out, trace
from neurocodec import coding, container
from neurocodec.coding.grid import guard_for

SETTINGS = [setting for setting in ALL_SETTINGS if setting.device == "cpu"]


def small_files():
    """The largest conformance file of every model that codes symbols of its own."""
    chosen = {}
    for name, data in conformance_files().items():
        file = container.read(data)
        header = file.header
        own = file.tiling is None
        own = own and getattr(header, "inner", container.Inner.DCT) == container.Inner.DCT
        if own and len(data) > len(chosen.get(file.model, ("", b""))[1]):
            chosen[file.model] = name, data
    return dict(chosen.values())


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Bench(tmp_path_factory.mktemp("bench"), small_files())


@pytest.mark.slow
@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name.strip("`"))
def test_the_coder_gets_the_same_integers(bench, setting):
    reason = obstacle(setting)
    if reason:
        pytest.skip(reason)
    version, outcomes = bench.run(setting)
    assert version == str(torch.__version__)
    assert set(outcomes) == set(bench.names) != set()
    for outcome in outcomes.values():
        assert outcome.error == ""
        assert outcome.equal
        assert outcome.logits > 1_000
        # Room to spare: the guard is a hundred times what the logits differ by.
        assert outcome.difference < guard_for(outcome.logits) / 100 < outcome.boundary
        assert outcome.pixels <= MAX_PIXEL_DIFFERENCE


@pytest.mark.slow
def test_a_child_that_fails_is_reported(bench):
    broken = replace(SETTINGS[0], layout="own", device="no such device")
    with pytest.raises(RuntimeError, match=r"exit code 1: .*no such device"):
        bench.run(broken)
    line = try_setting(bench, broken)
    assert not line.good
    assert "did not run" in line.equal


@pytest.mark.slow
def test_an_emulator_is_spared_large_pictures(bench):
    sizes = {name: prod(found.pixels.shape[:2]) for name, found in bench.traces.items()}
    least = min(sizes.values())
    _, outcomes = bench.run(replace(SETTINGS[0], most_pixels=least))
    assert set(outcomes) == {name for name, size in sizes.items() if size == least}
    assert len(outcomes) < len(sizes)


def test_other_integers_are_noticed(bench, monkeypatch):
    """One grid index of all that is decoded, one higher."""
    name = bench.names[0]
    data = (bench.folder / f"{name}.ncz").read_bytes()
    codec, reference = codec_of(data), bench.traces[name]
    again = trace(codec, data)
    same = compare(again, reference)
    assert same.equal
    assert same.difference == same.pixels == 0
    assert same.logits == reference.logits.size
    assert 0 < same.boundary == reference.boundary <= coding.LOGIT_STEP / 2

    altered = replace(again, logits=again.logits + 1e-7, pixels=again.pixels ^ 1)
    outcome = compare(altered, reference)
    assert outcome.equal
    assert outcome.difference == pytest.approx(1e-7, rel=1e-3)
    assert outcome.pixels == 1
    assert compare(replace(again, logits=again.logits[1:]), reference).difference is None

    snap, calls = coding.snap, []

    def one_higher(logits, offset=0):
        calls.append(snap(logits, offset))
        if len(calls) == reference_passes:  # the last pass: what comes before still decodes
            calls[-1][-1, 0] += 1
        return calls[-1]

    reference_passes = len(container.read(data).streams)
    monkeypatch.setattr(coding, "snap", one_higher)
    altered = trace(codec, data)
    assert len(calls) == reference_passes
    assert altered.grid != reference.grid
    assert not compare(altered, reference).equal


def test_layout_of_the_weights_is_put_back(bench):
    codec = codec_of((bench.folder / f"{bench.names[0]}.ncz").read_bytes())
    weights = [p for p in (*codec.model.parameters(), *codec.context.parameters()) if p.dim() > 3]
    before = [weight.stride() for weight in weights]
    for layout in ("contiguous", "channels_last"):
        values = [weight.clone() for weight in weights]
        with laid_out(codec, layout):
            contiguous = [weight.is_contiguous() for weight in weights]
            assert all(contiguous) == (layout == "contiguous")
            assert all(map(torch.equal, values, weights))
        assert [weight.stride() for weight in weights] == before


def test_page_lists_every_setting(bench):
    lines = [
        Line("2 threads", "2.13", "1 files, 5 logits", "yes", "0.0e+00", "1e-6", "0"),
        Line("GPU", equal="not tried: no GPU"),
    ]
    text = page(bench, bench.names, lines)
    assert "| 2 threads | 2.13 | 1 files, 5 logits | yes | 0.0e+00 | 1e-6 | 0 |" in text
    assert "| GPU |  |  | not tried: no GPU |  |  |  |" in text
    assert "distance of 1e-09" in text


def test_lines_of_the_table(bench, monkeypatch):
    good = Outcome(True, 100, 1e-13, 2e-6, 0)
    bad = Outcome(False, 0, None, 0.0, 255, "damaged")
    setting = replace(SETTINGS[0], needs=())

    def line(outcomes):
        monkeypatch.setattr(bench, "run", lambda setting: ("9.9", outcomes))
        return try_setting(bench, setting)

    assert line({"a": good, "b": replace(good, pixels=1)}) == Line(
        setting.name, "9.9", "2 files, 200 logits", "yes", "1.0e-13", "2.0e-06", "1"
    )
    assert not line({"a": replace(good, pixels=2)}).good
    unequal = line({"a": good, "b": bad})
    assert (unequal.equal, unequal.difference) == ("**no**: b", "other logits")
    assert not unequal.good
    missing = replace(setting, needs=("avx9000", "sse-none"))
    assert try_setting(bench, missing).equal == (
        "not tried: the processor has no avx9000, sse-none"
    )


def test_the_shipped_table_knows_every_setting():
    text = (BITSTREAM / "DETERMINISM.md").read_text()
    for setting in ALL_SETTINGS:
        assert f"| {setting.name} |" in text
    assert "**no**" not in text
    assert "did not run" not in text
    conformance = json.loads((BITSTREAM / "conformance" / "manifest.json").read_text())
    assert f"of the {len(conformance)} conformance files" in text
