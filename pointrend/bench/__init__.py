"""What an image costs: stages, engines, sizes and numbers of instances, side by side in one run."""
