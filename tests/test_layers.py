"""Imports point downward only: whoever changes a layer knows who may depend on it."""

import ast
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "neurocodec"

LAYERS = (
    {"errors"},
    {"device", "extras", "limits", "memory", "plain", "progress", "threads"},
    {"container", "coding", "image", "metrics", "nets"},
    {"codecs", "zoo"},  # the zoo loads codecs, which tell it by which name they can be pickled
    {"api", "evaluation", "interop", "training"},
    {"cli"},
    {"__init__", "__main__"},
)
RANKS = {name: rank for rank, names in enumerate(LAYERS) for name in names}
BESIDE = {("codecs", "zoo"), ("zoo", "codecs")}


def imported(source: Path) -> Iterator[str]:
    """The parts of the package that a file imports, at its top or within a function."""
    for node in ast.walk(ast.parse(source.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == PACKAGE.name:
            modules = [f"{PACKAGE.name}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules = [node.module]
        else:
            continue
        for module in modules:
            package, _, rest = module.partition(".")
            if package == PACKAGE.name and rest:
                yield rest.partition(".")[0]


@pytest.mark.parametrize("name", sorted(RANKS))
def test_imports_point_downward(name):
    folder = PACKAGE / name
    sources = sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]
    wrong = {
        f"{source.relative_to(PACKAGE)} imports {other}"
        for source in sources
        for other in imported(source)
        if other != name and (name, other) not in BESIDE and RANKS[other] >= RANKS[name]
    }
    assert sources
    assert not wrong


def test_every_part_has_its_layer():
    found = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert found - {"__pycache__"} == set(RANKS)


def test_every_package_is_installed():
    settings = ConfigParser()
    settings.read(PACKAGE.parent / "setup.cfg", "utf-8")
    found = {".".join(path.parts[-2:]) for path in PACKAGE.iterdir() if any(path.glob("*.py"))}
    listed = set(settings["options"]["packages"].split())
    assert listed == found | {"neurocodec", "neurocodec.models"}


def test_the_container_needs_no_array_library():
    for source in (PACKAGE / "container").glob("*.py"):
        for node in ast.walk(ast.parse(source.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            found = {name.partition(".")[0] for name in names}
            assert not found & {"torch", "numpy", "PIL"}, source.name
