"""What generated layers cost after synthesis: Yosys on each of them, cached."""
