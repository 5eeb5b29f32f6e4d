"""PointRend on a one-stage detector: NanoDet-Plus's network, and mask heads on its pyramid."""
