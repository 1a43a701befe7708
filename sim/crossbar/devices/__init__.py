"""What one memristor is: a cell as a value, its drift, and the published presets."""
