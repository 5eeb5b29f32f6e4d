"""``pointrend video``: a video in, the same with masks out; every object keeps its number and its colour."""
