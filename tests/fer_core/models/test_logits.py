"""Test-time augmentation."""

import pytest
import torch
import torch.nn.functional as F

from fer_core.models.logits import logits_with


def test_ten_crop_averages_five_crops_and_their_mirror_images() -> None:
    class Mean(torch.nn.Module):  # answers with where the light lies: left, right, top, bottom
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            left, right = images[..., :8].mean((1, 2, 3)), images[..., 8:].mean((1, 2, 3))
            top, bottom = images[..., :8, :].mean((1, 2, 3)), images[..., 8:, :].mean((1, 2, 3))
            return torch.stack([left, right, top, bottom], dim=1)

    picture = torch.zeros(1, 1, 16, 16)
    picture[..., :1] = 1.0  # the first column: seen by the two left corners only, of which each crop holds 14 columns
    expected = Mean()(picture)
    views = logits_with(Mean(), picture, "ten-crop")
    assert views[0, 0] == pytest.approx(views[0, 1].item())  # mirrored as often as not
    assert views[0, 2] == pytest.approx(views[0, 3].item())
    lit = F.interpolate(picture[..., :14, :14], size=(16, 16), mode="bilinear").mean().item()
    assert views[0, :2].mean().item() == pytest.approx(2 / 5 * lit)
    assert torch.equal(logits_with(Mean(), picture, "none"), expected)
