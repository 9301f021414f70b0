"""Tests; they need no network, no root and no files beside this checkout."""
