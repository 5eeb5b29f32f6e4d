"""Millions of photos on many machines: sharded, and resumed after whatever stopped it. Needs the extra ``batch``."""
