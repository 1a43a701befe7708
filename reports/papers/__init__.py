"""Pages and figures of the reproduced papers."""
