"""What an engine is given to compute is what plain PyTorch computes."""

from __future__ import annotations

import pytest
import torch

from pointrend.config.schema import CoarseMaskConfig, PointHeadConfig
from pointrend.engines.part import Points
from pointrend.modeling.roi_heads.point_mask_head import PointRendMaskHead


@pytest.mark.parametrize("context_maps", [0, 3])
@pytest.mark.parametrize("coarse_pred_each_layer", [True, False])
def test_inputs_put_together_give_what_products_added_up_give(coarse_pred_each_layer: bool, context_maps: int) -> None:
    torch.manual_seed(0)
    config = PointHeadConfig(fc_dim=16, coarse_pred_each_layer=coarse_pred_each_layer)
    head = PointRendMaskHead(8, 5, CoarseMaskConfig(conv_dim=8, fc_dim=16, context_maps=context_maps), config)
    part = Points(head.point_head, 8, 5 + context_maps)
    fine, coarse = torch.randn(3, 11, 8), torch.randn(3, 11, 5 + context_maps)
    assert part.inputs == ((-1, -1, 8), (-1, -1, 5 + context_maps))
    (features,) = part(fine, coarse)
    assert [features.shape] == part.shapes(fine.shape, coarse.shape)
    assert torch.allclose(features, head.point_head.layers(fine, coarse), atol=1e-6)
