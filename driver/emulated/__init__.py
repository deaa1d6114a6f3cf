"""The board without a board."""
