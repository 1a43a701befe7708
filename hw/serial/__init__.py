"""The serial link between a host and a machine on a board: UART, frames, the bridge in gates, and the host's side."""
