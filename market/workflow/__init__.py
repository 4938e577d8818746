"""One file for each step of the story: load, compute, save."""
