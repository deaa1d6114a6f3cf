"""Notebooks, for `pynq get-notebooks`."""
