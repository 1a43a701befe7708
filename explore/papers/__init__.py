"""The papers' experiments on bundled photographs, as values: what was run, what was found, which claims hold."""
