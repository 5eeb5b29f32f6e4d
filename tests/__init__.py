"""Tests, and the helpers that they share: ``from tests.launched import launched``."""
