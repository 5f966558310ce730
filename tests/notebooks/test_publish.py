"""What is published: pages and notebooks that run on Colab and Binder, once the address is known."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import nbformat
import pytest
import yaml
from jupyter_book.config import get_final_config
from nbformat.v4 import new_code_cell, new_notebook
from sphinx.errors import ConfigError

ROOT = Path(__file__).parents[2]
URL = "https://github.com/ann/book"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def module(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


publish = module("book/publish.py")
launch = module("book/_extensions/launch_buttons.py")


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """A book that was built."""
    (tmp_path / "build" / "html" / "notebooks").mkdir(parents=True)
    (tmp_path / "build" / "html" / "index.html").write_text("page")
    executed = tmp_path / "build" / "jupyter_execute" / "notebooks"
    executed.mkdir(parents=True)
    nbformat.write(new_notebook(cells=[new_code_cell("print('é')")]), executed / "01_data.ipynb")
    return tmp_path / "build"


def test_the_published_notebook_installs_the_library_on_colab_alone(
    build: Path, tmp_path: Path
) -> None:
    assert publish.assemble(build, tmp_path / "site", URL) == 1
    notebook = nbformat.read(tmp_path / "site" / "notebooks" / "01_data.ipynb", as_version=4)
    nbformat.validate(notebook)
    first, last = notebook.cells
    assert f'%pip install --quiet "mmtutorial[book] @ git+{URL}"' in first.source
    assert last.source == "print('é')"
    assert URL in (tmp_path / "site" / "binder" / "requirements.txt").read_text()
    assert (tmp_path / "site" / ".nojekyll").exists()


def test_without_an_address_nothing_is_made_up(build: Path, tmp_path: Path) -> None:
    assert publish.assemble(build, tmp_path / "site", "") == 1
    notebook = nbformat.read(tmp_path / "site" / "notebooks" / "01_data.ipynb", as_version=4)
    assert len(notebook.cells) == 1
    assert not (tmp_path / "site" / "binder").exists()


def test_a_folder_that_exists_is_left_alone(build: Path, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    with pytest.raises(SystemExit, match="name a new folder"):
        publish.assemble(build, tmp_path / "site", URL)
    with pytest.raises(SystemExit, match="run `make book` first"):
        publish.assemble(tmp_path, tmp_path / "other", URL)


def test_the_address_is_read_as_sphinx_reads_it() -> None:
    config = (ROOT / "_config.yml").read_text(encoding="utf-8")
    assert publish.repository_url(config) == yaml.safe_load(config)["repository"]["url"]
    filled = re.sub(r'(?m)^  url: ""', f'  url: "{URL}"', config)
    assert publish.repository_url(filled) == yaml.safe_load(filled)["repository"]["url"] == URL


def theme(url: str) -> dict[str, Any]:
    config: Any = {"html_theme_options": {"repository_url": url}, "myst_substitutions": {}}
    launch.buttons(SimpleNamespace(), config)
    return config


def test_buttons_and_badges_follow_from_the_address() -> None:
    given = theme(URL + ".git")
    options = given["html_theme_options"]
    assert options["repository_url"] == URL
    assert options["repository_branch"] == "gh-pages"
    assert set(options["launch_buttons"]) == {"colab_url", "binderhub_url"}
    assert f"{URL}/actions/workflows/tests.yml/badge.svg" in given["myst_substitutions"]["badges"]
    bare = theme("")
    assert "launch_buttons" not in bare["html_theme_options"]
    assert "http" not in bare["myst_substitutions"]["badges"]


def test_one_line_of_the_configuration_is_enough() -> None:
    """As Jupyter Book reads it: whoever forks fills in nothing else."""
    empty = (ROOT / "_config.yml").read_text(encoding="utf-8")
    filled = re.sub(r'(?m)^  url: ""', f'  url: "{URL}"', empty)
    assert sum(a != b for a, b in zip(empty.splitlines(), filled.splitlines(), strict=True)) == 1
    given, _ = get_final_config(
        user_yaml=yaml.safe_load(filled), cli_config={"latex_individualpages": False}
    )
    launch.buttons(SimpleNamespace(), given | {"myst_substitutions": {}})
    options = given["html_theme_options"]
    assert options["repository_url"] == publish.repository_url(filled) == URL
    assert options["use_repository_button"] is True
    assert "colab" in options["launch_buttons"]["colab_url"]
    made_up = re.compile(r"github\.com/(?!ann/|OWNER/)[\w-]+/mmtutorial")
    for path in ("_config.yml", "pyproject.toml", "README.md", "CITATION.cff"):
        assert not made_up.search((ROOT / path).read_text(encoding="utf-8")), path


@pytest.mark.parametrize("url", ["github.com/ann/book", "https://github.com/ann", "ann/book"])
def test_an_address_that_is_none_is_named(url: str) -> None:
    with pytest.raises(ConfigError, match="OWNER/NAME, or empty"):
        theme(url)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_what_a_workflow_runs_is_there(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    runs = [
        step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step
    ]
    assert runs
    for command in runs:
        if command.startswith("make "):
            assert command.split()[1] in targets
        for script in re.findall(r"python (\S+\.py)", command):
            assert (ROOT / script).exists()
