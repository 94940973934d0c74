"""Test-time augmentation."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from fer_core.images import ImageSpec, normalise, to_tensor
from fer_core.models import build
from fer_core.models.logits import close, logits_with, predict_logits


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


def test_an_answer_is_close_where_the_second_expression_is_half_as_probable_or_more() -> None:
    probs = torch.tensor([[0.5, 0.3, 0.2], [0.6, 0.29, 0.11], [0.1, 0.31, 0.59], [0.2, 0.2, 0.6]])
    assert close(probs.log() + 3.0).tolist() == [True, False, True, False]  # 0.6, 0.48, 0.53 and 0.33 of the first
    assert close(torch.tensor([[0.0, math.log(0.51)], [0.0, math.log(0.49)]])).tolist() == [True, False]


def test_only_close_answers_take_ten_crops_however_the_images_are_batched() -> None:
    spec = ImageSpec()
    torch.manual_seed(0)
    model = build("small-vgg", classes=7, spec=spec, arguments={"widths": [4, 8]}).eval()
    images = np.random.default_rng(0).integers(0, 256, (50, 1, 1), dtype=np.uint8).repeat(48, 1).repeat(48, 2)
    images[:, 10:20, :30] //= 2
    highest = np.sort(predict_logits(model, images, spec, tta="flip"), axis=1)
    with torch.no_grad():  # so that half of the answers are close
        for tensor in model.head[-1].parameters():
            tensor.mul_(math.log(2) / float(np.median(highest[:, -1] - highest[:, -2])))
    found, flip, ten = (
        predict_logits(model, images, spec, tta=tta) for tta in ("ten-crop-if-close", "flip", "ten-crop")
    )
    doubtful = close(torch.from_numpy(flip)).numpy()
    assert 15 < doubtful.sum() < 35
    np.testing.assert_allclose(found, np.where(doubtful[:, None], ten, flip), atol=1e-4)
    assert np.abs(ten - flip).max() > 1e-3
    given = normalise(to_tensor(images[:1]), spec)
    with torch.inference_mode():
        np.testing.assert_allclose(logits_with(model, given, "ten-crop-if-close")[0], found[0], atol=1e-4)
