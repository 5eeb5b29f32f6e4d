"""Millions of images on many machines: sharded, and resumed after whatever stopped it. Needs the extra ``batch``."""
