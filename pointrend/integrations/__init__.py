"""Adapters with which other libraries run this model. Each imports its library; none is needed by the rest."""
