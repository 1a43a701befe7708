"""A serial port of the operating system as a transport of ``host.Link``."""

import errno
import os

import serial  # type: ignore[import-untyped]
from serial.tools import list_ports  # type: ignore[import-untyped]

from ...golden.errors import InputError
from .host import LinkError


def ports() -> list[str]:
    """The serial ports that the system knows of."""
    return sorted(port.device for port in list_ports.comports())


class SerialPort:
    """A port, 8N1, open until ``close``.

    Raises:
        InputError: no such port, no permission, in use, no serial port, or a rate that it does not have.
    """

    def __init__(self, port: str, baud: int) -> None:
        self.port = port
        if not os.path.exists(port) and "://" not in port and os.name == "posix":
            there = ", ".join(ports())
            raise InputError(f"no serial port {port}; {f'there are {there}' if there else 'the system knows of none'}")
        try:
            self._serial = serial.Serial(port, baud, timeout=0, exclusive=True)
        except ValueError as error:
            raise InputError(f"{port} cannot be opened at {baud} baud ({error}); try --baud 115200") from None
        except serial.SerialException as error:
            raise InputError(_reason(port, error)) from None
        except OSError as error:
            raise InputError(f"{port} cannot be opened: {error.strerror}; is it a serial port?") from None

    def write(self, data: bytes) -> None:
        """Send these bytes; LinkError when the port is gone."""
        try:
            self._serial.write_timeout = 10.0
            self._serial.write(data)
        except (serial.SerialException, OSError) as error:
            raise LinkError(f"sending failed: {_line(error)}; is the board still plugged in?") from None

    def read(self, wait_s: float) -> bytes:
        """What has come; waits at most so many seconds for the first byte. LinkError when the port is gone."""
        try:
            self._serial.timeout = wait_s
            first: bytes = self._serial.read(1)
            rest: bytes = self._serial.read(self._serial.in_waiting) if first else b""
        except (serial.SerialException, OSError) as error:
            raise LinkError(f"receiving failed: {_line(error)}; is the board still plugged in?") from None
        return first + rest

    def clear(self) -> None:
        """Forget what has come and what has not been sent."""
        self._serial.reset_input_buffer()
        self._serial.reset_output_buffer()

    def close(self) -> None:
        """Give the port back."""
        self._serial.close()


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def _reason(port: str, error: Exception) -> str:
    """What pyserial means, with a remedy."""
    number = getattr(error, "errno", None)
    if number == errno.EACCES:
        return f"no permission to open {port}; join its group (sudo usermod -aG dialout $USER) and log in again"
    if number in (errno.EAGAIN, errno.EBUSY):
        return f"{port} is in use by another program; close that one"
    return f"{port} cannot be opened: {_line(error)}; is it a serial port?"
