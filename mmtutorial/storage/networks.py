"""Networks in Keras's format, read without running or importing what a file names."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

from mmtutorial.keras_settings import keras, keras_defaults
from mmtutorial.storage.archives import check_archive

PARTS = {"metadata.json", "config.json", "model.weights.h5"}
TRUSTED = {"keras", "mmtutorial", "builtins"}  # modules that a layer may come from


@keras_defaults()
def load_network(path: Path) -> keras.Model:
    """Read a network that ``keras.Model.save`` has written into a ``.keras`` file.

    By Keras's safe mode; moreover, only `PARTS` are in the archive, and what is built comes from
    `TRUSTED` modules. Keras would import some others, and to import a module is to run it.

    Raises
    ------
    ValueError
        Names the file: if it is damaged (every byte is checked), is compressed, holds other parts,
        a Lambda layer, which is a program, or a layer from elsewhere.
    OSError
        If the system does not let it be read, which is no damage.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "tower.keras").write_bytes(b"")
    ...     load_network(Path(folder, "tower.keras"))
    Traceback (most recent call last):
    ValueError: tower.keras cannot be read as a network: File is not a zip file
    """
    with path.open("rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                for name in archive.namelist():
                    if name not in PARTS:
                        raise ValueError(f"it holds {name!r}, which is no part of one")
                check_archive(archive)
                json.loads(archive.read("config.json"), object_hook=_check)
            return keras.saving.load_model(path, safe_mode=True)
        except Exception as fault:  # damaged files make Keras raise nearly anything
            raise ValueError(f"{path.name} cannot be read as a network: {fault}") from fault


def _check(part: dict[str, Any]) -> None:
    """Refuse a part of a network's description that would bring in code."""
    module = str(part.get("module") or "keras").partition(".")[0]
    if module not in TRUSTED or part.get("class_name") == "Lambda":
        raise ValueError(f"{module}'s {part.get('class_name')} may run a program; it was not built")
