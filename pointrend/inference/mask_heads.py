"""What is said where a model is asked for a mask head that it does not carry."""

from __future__ import annotations

from pointrend.errors import InvalidOption


def no_conv_head(model: str) -> InvalidOption:
    """The error for ``mask_head=conv`` of a model, by its name, whose masks are refined at points only."""
    return InvalidOption(
        f"The model {model} carries no convolutional mask head; mask_head can only be point.",
        field="mask_head",
        limit=["point"],
        value="conv",
        code="missing_mask_head",
    )
