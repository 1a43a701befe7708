"""Learning in the cells: how they answer pulses, three ways to update them, the Hebbian rule, a study of it."""
