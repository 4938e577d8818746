"""Studies: many runs of one scenario that together answer a question of the field."""
