"""Every attack of bitstream/attacks has its outcome, in little memory; so has every mutant."""

import io
import re
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import neurocodec
from neurocodec.errors import ImageTooLarge, NczError
from neurocodec.image import save
from tests import attacks as scripts

pytest.importorskip("resource", reason="the fuzzer measures memory as Unix does")
attacks, forge, fuzz, mutate, target = map(
    scripts.module, ("attacks", "forge", "fuzz", "mutate", "target")
)

MEBIBYTES = 256
"""What an attack may take. 2^28 pixels, which a header may ask for, are 768 as bytes."""


@pytest.fixture(autouse=True, scope="module")
def models(tmp_path_factory):
    with scripts.small_models(tmp_path_factory.mktemp("models")):
        for data in attacks.valid().values():
            assert target.try_one(data) == "decoded"
        yield


@pytest.fixture
def little_memory(request):
    """Fails where more than `MEBIBYTES` are taken at any time, or what an attack may take."""
    attack = getattr(request.node, "callspec", None) and request.node.callspec.params.get("attack")
    if sys.platform != "linux":
        yield
        return
    before = fuzz.forget_peak()
    yield
    assert fuzz.peak() - before < (attack.mebibytes if attack else MEBIBYTES)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize(
    "attack",
    [
        pytest.param(one, id=one.name, marks=[pytest.mark.slow] * (one.mebibytes > MEBIBYTES))
        for one in attacks.ATTACKS
    ],
)
def test_attack(attack, little_memory):
    tried = 0
    for data in attack.build():
        tried += 1
        if attack.outcome is None:
            found = attack.decode(data)
            if isinstance(found, Image.Image) and attack.mebibytes == MEBIBYTES:
                save(found, io.BytesIO(), "TIFF")
            continue
        with pytest.raises(attack.outcome, match=attack.message or None) as caught:
            attack.decode(data)
        assert "\n" not in str(caught.value)
        assert ": " in str(caught.value)  # cause and remedy
        assert target.parse_one(data).startswith(("refused as a file", "parsed"))
    assert tried or attack.name.startswith("heic")


def test_numbers_and_table():
    assert [attack.number for attack in attacks.ATTACKS] == list(range(1, len(attacks.ATTACKS) + 1))
    assert len({attack.name for attack in attacks.ATTACKS}) == len(attacks.ATTACKS)
    readme = (scripts.FOLDER / "README.md").read_text(encoding="utf-8")
    for chapter in attacks.table().split("\n\n###"):
        assert chapter.strip() in readme, "python bitstream/attacks/attacks.py --table"


def test_an_exif_bomb_is_not_in_the_file_that_is_written():
    (data,) = attacks.exif_bomb()
    image = neurocodec.decode(data)
    assert len(image.info["exif"]) > 2**20
    save(image, written := io.BytesIO(), "TIFF")
    assert len(written.getvalue()) < 10_000


@pytest.mark.parametrize("name", ["cvqn-map", "comrec-both", "jpeg-rec"])
def test_max_pixels_is_what_a_header_may_ask_for(name, little_memory):
    """The sides of these are multiples of what networks pad to, or get room for it."""
    data = forge.forged(attacks.valid()[name], width=5000, height=4000)
    with pytest.raises(ImageTooLarge, match=r"5000 x 4000 = 20000000 pixels, 19999999 are allowed"):
        neurocodec.decode(data, max_pixels=19_999_999)
    with pytest.raises(NczError) as caught:
        neurocodec.decode(data, max_pixels=21_000_000)
    assert not isinstance(caught.value, ImageTooLarge)


def test_what_is_forged_is_what_the_writer_writes():
    for data in attacks.valid().values():
        assert forge.take_apart(data).seal() == data
        assert forge.forged(data) == data
    with pytest.raises(ValueError, match="a length needs"):
        forge.unseal(b"\x89NCZ\x01")


def test_the_chunks_of_a_png_are_put_together_again():
    stream = io.BytesIO()
    Image.linear_gradient("L").save(stream, "PNG")
    assert forge.png(forge.png_chunks(stream.getvalue())) == stream.getvalue()


@given(st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_mutants_are_decoded_or_refused(random):
    files = list(attacks.valid().values())
    mutant = mutate.mutate(random.choice(files), random, files)
    assert re.match("decoded|refused", target.try_one(mutant))


@given(st.binary(max_size=80), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_mutants_of_noise_are_refused(noise, random):
    assert target.try_one(mutate.mutate(noise, random)).startswith("refused as a file")


# The fuzzer itself.

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads and resets counters in /proc")


def run_fuzz(folder, *options):
    return fuzz.main(["--out", str(folder), "--hang", "60", *options])


@linux
@pytest.mark.slow
@pytest.mark.parametrize("engine", ["random", "atheris"])
def test_twenty_seconds_of_mutants(engine, tmp_path, capfd):
    """Twenty, since CI runs it; a million by hand, see bitstream/attacks/README.md."""
    if engine == "atheris":
        pytest.importorskip("atheris")
    found = run_fuzz(tmp_path, "--engine", engine, "--seconds", "20", "--count", "20000")
    out, err = capfd.readouterr()
    assert found == 0, err
    counted = {name: int(number) for number, name in re.findall(r"^ *(\d+)  (.+)$", out, re.M)}
    files = counted["files"]
    # Most checksums are right, and all that lies behind them is reached.
    assert counted.get("refused as a file: ChecksumMismatch", 0) < 0.05 * files
    for depth in (
        "inflated something",
        "reached the entropy decoder",
        "reached an inner codec's library",
    ):
        assert counted[depth] > 0.01 * files
    assert counted["decoded"] > 0.01 * files


FAULTY = """
import os
import signal

number = 0

def try_one(data):
    global number
    number += 1
    if number <= FILES + 5:
        return "decoded"
    FAULT
    return "refused"
"""


@linux
@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "fault", "cause"),
    [
        ("error", "raise KeyError(1)", "KeyError: 1"),
        ("memory", "bytearray(os.urandom(1000)) * 200_000", r"took \d+ MiB"),
        ("hang", "while True: pass", "took more than 0.5 s"),
        ("crash", "os.kill(os.getpid(), signal.SIGSEGV)", "the process ended with -11"),
    ],
)
def test_every_kind_of_fault_is_kept(kind, fault, cause, tmp_path, monkeypatch, capfd):
    source = FAULTY.replace("FAULT", fault).replace("FILES", str(len(attacks.valid())))
    (tmp_path / "faulty.py").write_text(source)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    out = tmp_path / "out"
    options = ("--target", "faulty", "--count", "7", "--seconds", "100")
    hang = "0.5" if kind == "hang" else "60"  # slow machines take a while to give that much memory
    assert fuzz.main(["--out", str(out), "--hang", hang, *options]) == 1
    assert {path.name for path in out.glob("000-*")} == {f"000-{kind}.ncz", f"000-{kind}.txt"}
    assert re.search(cause, (out / f"000-{kind}.txt").read_text())
    assert re.search(r"[1-9]  offenders", capfd.readouterr().out)
    assert (out / f"000-{kind}.ncz").read_bytes()


@linux
@pytest.mark.slow
def test_a_fuzzer_that_fails_itself_says_so(tmp_path):
    with pytest.raises(SystemExit, match="the fuzzer itself failed"):
        run_fuzz(tmp_path, "--target", "no_such_module", "--seconds", "100")
