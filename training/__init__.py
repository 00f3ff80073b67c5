"""What rounds and sounds teach: training sounds and their mixing, recipes, the loop, and tests on held-out recordings."""
