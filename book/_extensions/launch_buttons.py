"""A Sphinx extension: buttons that open a chapter on Colab or Binder, once the address is known.

The address is `repository: url:` of `_config.yml`. Without it there are no buttons and no badge.
Both services read the branch on which `book/publish.py` publishes the executed notebooks.
"""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ConfigError

BRANCH = "gh-pages"
HOSTS = {"colab_url": "https://colab.research.google.com", "binderhub_url": "https://mybinder.org"}


def repository(url: str) -> str:
    """Return the address without what browsers and git append; refuse one that is not GitHub's.

    >>> repository("https://github.com/ann/mmtutorial.git/")
    'https://github.com/ann/mmtutorial'
    """
    address = url.strip().rstrip("/").removesuffix(".git")
    parts = address.removeprefix("https://github.com/").split("/")
    if not address.startswith("https://github.com/") or len(parts) != 2 or not all(parts):
        raise ConfigError(
            f"repository: url: of _config.yml is {url!r}; "
            "it is https://github.com/OWNER/NAME, or empty"
        )
    return address


def buttons(app: Sphinx, config: Config) -> None:
    """Tell the theme of the repository, or of nothing."""
    theme: dict[str, Any] = config["html_theme_options"]
    url = theme.get("repository_url") or ""
    badges = ""
    if url:
        address = repository(url)
        theme |= {"repository_url": address, "repository_branch": BRANCH, "path_to_docs": ""}
        theme["launch_buttons"] = {**theme.get("launch_buttons", {}), **HOSTS}
        theme["use_repository_button"] = True
        badges = "\n".join(
            f"[![{name}]({address}/actions/workflows/{name}.yml/badge.svg)]({address}/actions)"
            for name in ("tests", "book")
        )
    config["myst_substitutions"] = {**config["myst_substitutions"], "badges": badges or "&nbsp;"}


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension, before the theme looks at its options."""
    app.connect("config-inited", buttons, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
