"""The choice of precision and memory format on this machine."""

import torch

from fer_core.models import NETWORKS, build
from fer_core.recipe import parse
from fer_core.training.precision import choose_speed


def test_a_network_whose_shortcuts_end_the_process_in_fp32_and_channels_last_is_not_tried_so() -> None:
    """mini-Xception at its own size: torch's backward of its 1x1 convolutions of stride 2 is a segmentation fault."""
    spec = NETWORKS.get("mini-xception").spec
    model = build("mini-xception", classes=7, spec=spec)
    config = parse({"network": "mini-xception"})
    precision, layout, why = choose_speed(model, spec, 7, torch.device("cpu"), config)
    assert (precision, layout) != ("fp32", "channels_last")
    assert "fp32 channels_last" not in why
