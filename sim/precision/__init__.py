"""How many bits are enough: proved and measured ranges, calibration on pictures, automatic formats."""
