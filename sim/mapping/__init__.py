"""Where everything lives: devices and budgets, the machine as a graph, the search for a mapping, folding."""
