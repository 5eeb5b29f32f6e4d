"""What an image holds, and what its known vulnerabilities mean here; see ``__main__.py``."""
