"""ICC profiles of an RGB space by its primaries and curve (ICC.1:2001-04, display profiles of three components).

Chromaticities are (x, y) of CIE 1931.
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

Chromaticity = tuple[float, float]
Primaries = tuple[Chromaticity, Chromaticity, Chromaticity, Chromaticity]
"""White, red, green and blue."""
Curve = float | tuple[float, ...]
"""An exponent from stored values to light, or the five parameters g, a, b, c, d of a parametric curve's third type."""

D65: Chromaticity = (0.3127, 0.3290)
SRGB_PRIMARIES: Primaries = (D65, (0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
DISPLAY_P3: Primaries = (D65, (0.68, 0.32), (0.265, 0.69), (0.15, 0.06))
REC_2020: Primaries = (D65, (0.708, 0.292), (0.170, 0.797), (0.131, 0.046))
SRGB_CURVE: Curve = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)

_D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def matrix_profile(primaries: Primaries, curve: Curve) -> bytes:
    """Write the profile.

    Args:
        primaries: of the space.
        curve: of each of its three components.

    Raises:
        numpy.linalg.LinAlgError: the primaries lie on one line.
    """
    matrix = _to_d50(primaries)
    tags = {b"wtpt": _xyz(_D50)}
    tags |= {name + b"XYZ": _xyz(column) for name, column in zip((b"r", b"g", b"b"), matrix.T, strict=True)}
    tags |= {name + b"TRC": _curve(curve) for name in (b"r", b"g", b"b")}
    start = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        table += struct.pack(">4sII", name, start + len(body), len(data))
        body += data
    # Size, no preferred colour engine, version 2.4, the class and the two spaces; a date is not needed.
    head = struct.pack(">III4s4s4s", start + len(body), 0, 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    return (head.ljust(36, b"\0") + b"acsp").ljust(68, b"\0") + _fixed(_D50) + bytes(48) + table + body


def _to_d50(primaries: Primaries) -> NDArray[np.float64]:
    """(3, 3): from linear RGB to XYZ under D50."""
    white, *rest = (np.array([x / y, 1.0, (1 - x - y) / y]) for x, y in primaries)
    columns = np.stack(rest, axis=1)
    matrix = columns * np.linalg.solve(columns, white)
    gain = (_BRADFORD @ _D50) / (_BRADFORD @ white)
    adapted: NDArray[np.float64] = np.linalg.solve(_BRADFORD, gain[:, None] * (_BRADFORD @ matrix))
    return adapted


def _fixed(values: NDArray[np.float64]) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(float(value) * 65536) for value in values))


def _xyz(values: NDArray[np.float64]) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(values)


def _curve(curve: Curve) -> bytes:
    if isinstance(curve, tuple):
        return struct.pack(">4sIHH", b"para", 0, 3, 0) + _fixed(np.array(curve))
    return struct.pack(">4sIIHH", b"curv", 0, 1, round(curve * 256), 0)
