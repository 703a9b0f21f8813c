"""Where everything of ours lies on this machine."""

from __future__ import annotations

import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

from bbj_desktop.core.settings import ResolvedSettings
from bbj_desktop.services.configuration import APP_NAME, config_folder, portable_folder


@dataclass(frozen=True, slots=True)
class Paths:
    """Attributes:
    data: What is kept: the store, the trusted registries.
    cache: What can be made again.
    config: The settings file.
    logs: The log files.
    store: The installed versions; below ``data``.
    registries: The trusted metadata of each registry; below ``data``.
    temporary: For short-lived files; on the store's volume.
    runtime: For what programs of one user must find of each other while they run.
    """

    data: Path
    cache: Path
    config: Path
    logs: Path
    store: Path
    registries: Path
    temporary: Path
    runtime: Path

    @property
    def extras(self) -> Path:
        """Installers and IDE extensions that were fetched or imported; below ``data``."""
        return self.data / "extras"

    @property
    def learned(self) -> Path:
        """What answers here taught: speeds and memory as measured; and tokenizers. Below ``data``."""
        return self.data / "learned"

    def all_folders(self) -> tuple[Path, ...]:
        """Every folder that the program fills. The data folder itself isn't among them: somebody may have named one
        that holds other things too."""
        data = (self.store, self.registries, self.extras, self.learned, self.temporary)
        return (*data, self.runtime, self.cache, self.config, self.logs)

    def shells(self) -> tuple[Path, ...]:
        """Folders around these that are ours when nothing else is in them, inner ones first."""
        around = {self.data, *(folder.parent for folder in self.all_folders() if folder.parent.name == APP_NAME)}
        return tuple(sorted(around, key=lambda folder: len(folder.parts), reverse=True))


def paths_for(settings: ResolvedSettings) -> Paths:
    """The folders that the settings lead to; none is made.

    A data folder named by a flag or a variable holds everything, settings, cache and logs included, so that removing
    it removes every trace. One named by a file holds what is kept; the rest stays in the platform's folders.
    """
    portable = portable_folder(settings)
    if portable is not None:
        below = {name: portable / name for name in ("cache", "config", "logs")}
        return _below(portable, runtime=portable / "run", **below)
    import platformdirs

    return _below(
        settings.values.data_folder or platformdirs.user_data_path(APP_NAME, appauthor=False),
        cache=platformdirs.user_cache_path(APP_NAME, appauthor=False),
        config=config_folder(settings),
        logs=platformdirs.user_log_path(APP_NAME, appauthor=False),
        runtime=_runtime_folder(),
    )


def _runtime_folder() -> Path:
    """The login session's own folder, which ends with it; where there is none, one beside the cache. (``sudo`` and
    ``su`` may leave the variable at another user's.)"""
    import platformdirs

    given = os.environ.get("XDG_RUNTIME_DIR")
    if given and _is_own_folder(Path(given)):
        return Path(given) / APP_NAME
    return platformdirs.user_cache_path(APP_NAME, appauthor=False) / "run"


def _is_own_folder(folder: Path) -> bool:
    try:
        found = folder.stat()
    except OSError:
        return False
    own = sys.platform == "win32" or found.st_uid == os.getuid()
    return own and stat.S_ISDIR(found.st_mode) and os.access(folder, os.W_OK | os.X_OK)


def _below(data: Path, *, cache: Path, config: Path, logs: Path, runtime: Path) -> Paths:
    return Paths(
        data=data,
        cache=cache,
        config=config,
        logs=logs,
        store=data / "store",
        registries=data / "registries",
        temporary=data / "tmp",
        runtime=runtime,
    )
