"""Maps of transformers: tokens are places, and attention is followed through the layers."""

import numpy as np
import pytest
import torch
from torch import nn

from fer_core.errors import ConfigError
from fer_core.explanation import explain, spatial_layers
from fer_core.images import ImageSpec, normalise, to_tensor
from fer_core.models import attribution_layer, build

SPEC = ImageSpec(channels=3, height=64, width=64)


def images(count: int = 2) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 64, 64, 3), dtype=np.uint8)


class Small(nn.Module):
    """torchvision's vision transformer, small: 16 x 16 patches of 4 pixels would take long, so 8 x 8 of 8."""

    def __init__(self) -> None:
        from torchvision.models import VisionTransformer

        super().__init__()
        torch.manual_seed(0)
        self.vit = VisionTransformer(64, 8, 2, 4, 32, 64, num_classes=7)
        nn.init.normal_(self.vit.heads.head.weight)

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        return self.vit(given)


def test_grad_cam_of_tokens_is_that_of_the_map_which_they_are() -> None:
    model = Small().eval()
    layers = spatial_layers(model, SPEC)
    assert layers["vit.encoder.layers.encoder_layer_1.ln_1"] == (8, 8)
    found = explain(model, images(), SPEC, [1, 4], "grad-cam", "vit.encoder.layers.encoder_layer_1.ln_1").map
    # by hand: tokens 1 to 64 in rows, weights the mean gradient of each channel over them
    kept: list[torch.Tensor] = []
    layer = model.vit.encoder.layers.encoder_layer_1.ln_1
    handle = layer.register_forward_hook(lambda *args: kept.append(args[2]) or args[2].retain_grad())
    logits = model(normalise(to_tensor(images()), SPEC))
    handle.remove()
    (logits[0, 1] + logits[1, 4]).backward()
    tokens, slopes = kept[0].detach()[:, 1:], kept[0].grad[:, 1:]
    coarse = (tokens * slopes.mean(dim=1, keepdim=True)).sum(dim=2).relu().reshape(2, 1, 8, 8)
    expected = nn.functional.interpolate(coarse, (64, 64), mode="bilinear", align_corners=False)[:, 0]
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-6)
    assert found.any()


@pytest.mark.parametrize("name", ["timm:vit_tiny_patch16_224", "timm:deit_tiny_distilled_patch16_224"])
def test_a_transformer_of_timm_is_looked_at_before_its_last_attention(name: str) -> None:
    pytest.importorskip("timm", reason="timm is not installed: pip install 'ferscope[foreign]'")
    torch.manual_seed(0)
    model = build(name, classes=7, spec=SPEC).eval()
    nn.init.normal_(model.head.weight)
    layer = attribution_layer(name, model)
    assert layer == "blocks.11.norm1"  # behind it, the tokens of places have no part in the answer
    for method in ("grad-cam", "hi-res-cam", "attention-rollout"):
        found = explain(model, images(), SPEC, [0, 3], method, layer).map
        assert found.shape == (2, 64, 64)
        assert found.any()


def test_rollout_multiplies_the_attention_of_all_layers() -> None:
    pytest.importorskip("timm", reason="timm is not installed: pip install 'ferscope[foreign]'")
    torch.manual_seed(0)
    model = build("timm:vit_tiny_patch16_224", classes=7, spec=SPEC).eval()
    rolled = torch.eye(17).repeat(2, 1, 1)
    with torch.no_grad():
        tokens = model._pos_embed(model.patch_embed(normalise(to_tensor(images()), SPEC)))
        for block in model.blocks:
            queries, keys, _ = block.attn.qkv(block.norm1(tokens)).reshape(2, 17, 3, 3, 64).permute(2, 0, 3, 1, 4)
            attention = (queries @ keys.transpose(-2, -1) / 8).softmax(dim=-1).mean(dim=1)
            rolled = (attention / 2 + torch.eye(17) / 2) @ rolled
            tokens = block(tokens)
    coarse = rolled[:, 0, 1:].reshape(2, 1, 4, 4)
    expected = nn.functional.interpolate(coarse, (64, 64), mode="bilinear", align_corners=False)[:, 0]
    found = explain(model, images(), SPEC, [0, 0], "attention-rollout")
    np.testing.assert_allclose(found.map, expected.numpy(), rtol=1e-4, atol=1e-7)
    other = explain(model, images(), SPEC, [6, 6], "attention-rollout")
    np.testing.assert_array_equal(other.map, found.map)


def test_the_attention_of_torch_is_read_and_left_as_it_was() -> None:
    model = Small().eval()
    before = model(normalise(to_tensor(images()), SPEC))
    found = explain(model, images(), SPEC, [0, 0], "attention-rollout").map
    assert found.shape == (2, 64, 64)
    assert found.min() > 0
    assert torch.equal(model(normalise(to_tensor(images()), SPEC)), before)


def test_what_has_no_attention_over_the_whole_image_is_refused() -> None:
    pytest.importorskip("timm", reason="timm is not installed: pip install 'ferscope[foreign]'")
    plain = build("small-vgg", classes=7, spec=ImageSpec())
    with pytest.raises(ConfigError, match="has no attention that can be read"):
        explain(plain, images()[..., 0], ImageSpec(height=64, width=64), [0, 0], "attention-rollout")
    spec = ImageSpec(channels=3, height=56, width=56)
    swin = build("timm:swin_tiny_patch4_window7_224", classes=7, spec=spec).eval()
    seen = np.random.default_rng(0).integers(0, 256, (1, 56, 56, 3), dtype=np.uint8)
    assert spatial_layers(swin, spec)["layers.0"] == (14, 14)  # channels last
    with pytest.raises(ConfigError, match="over parts of it"):
        explain(swin, seen, spec, [0], "attention-rollout")
    assert explain(swin, seen, spec, [0], "grad-cam", "layers.0").map.any()
