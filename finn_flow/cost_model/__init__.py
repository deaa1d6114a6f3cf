"""What a layer costs, as a formula per op fitted to syntheses."""
