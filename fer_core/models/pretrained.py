"""ImageNet weights: torchvision's files, stored where torchvision stores them."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fer_core.errors import ConfigError

TIMEOUT = 30.0  # seconds without a byte after which there is no internet


def from_torchvision(name: str) -> Callable[[Mapping[str, Any]], Path]:
    """The file of torchvision's weights of that name, whatever the network's arguments."""
    return lambda arguments: torchvision_file(name)


def torchvision_file(name: str) -> Path:
    """A file of torchvision's weights, downloaded if it is not here yet.

    Args:
        name: as torchvision calls them: “ResNet50_Weights.IMAGENET1K_V1”.

    Raises:
        ConfigError: it is not here and cannot be downloaded; the message names address and place.
    """
    import torch  # only where weights are loaded: whoever lists networks need not wait for it
    from torchvision.models import get_weight

    url = str(get_weight(name).url)
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if path.exists():
        return path
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), hash_prefix=path.stem.rpartition("-")[2])
    except (OSError, RuntimeError) as error:  # no internet or no room; a file that is not what its name says
        raise ConfigError(
            f"{path.name} is not here and cannot be downloaded ({error}); get {url} where there is internet and put it "
            f"into {path.parent}."
        ) from error
    finally:
        socket.setdefaulttimeout(before)
    return path
