"""Two-port admittances of lines and transformers in per unit, balanced or phase by phase.

Three-phase elements given by sequence values become phase matrices with Fortescue's transformation:
Y_abc = A diag(y0, y1, y2) A^-1. A transformer turns its positive sequence by its clock number and its negative
sequence the other way; what its zero sequence finds depends on the windings.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from api_spec.grid import Line, Transformer

ComplexArray = npt.NDArray[np.complex128]

_TURN: Final = np.exp(2j * np.pi / 3)
FORTESCUE: Final = np.array([[1, 1, 1], [1, _TURN**2, _TURN], [1, _TURN, _TURN**2]])
"""Phase values from (zero, positive, negative) sequence."""
TO_SEQUENCE: Final = np.linalg.inv(FORTESCUE)

_Ports = tuple[ComplexArray, ComplexArray, ComplexArray, ComplexArray]


def two_ports(
    elements: Sequence[Line | Transformer], nominal_from_v: npt.NDArray[np.float64], *, phases: int, base_va: float
) -> _Ports:
    """y_ff, y_ft, y_tf, y_tt : (branch, P, P) [pu], with I_from = y_ff V_from + y_ft V_to and the same at to.

    nominal_from_v : (branch,) [V], line to line. base_va : of the three phases together.
    """
    ports = tuple(np.zeros((len(elements), phases, phases), dtype=np.complex128) for _ in range(4))
    lines = {at: each for at, each in enumerate(elements) if isinstance(each, Line)}
    own = list(lines)
    for port, values in zip(ports, _lines([*lines.values()], base_va / nominal_from_v[own] ** 2, phases), strict=True):
        port[own] = values
    for at, element in enumerate(elements):
        if isinstance(element, Transformer):
            for port, value in zip(ports, _transformer(element, base_va, phases), strict=True):
                port[at] = value
    return ports[0], ports[1], ports[2], ports[3]


def series_ohm(line: Line, phases: int) -> ComplexArray:
    """(P, P) series impedance of a line [ohm]; without dimensions where P is 1."""
    r_ohm, x_ohm = (line.r_ohm, line.x_ohm) if line.r1_ohm is None else (line.r1_ohm, line.x1_ohm)
    if phases == 1 or line.r1_ohm is None:
        return np.array(r_ohm) + 1j * np.array(x_ohm)
    positive = complex(line.r1_ohm, line.x1_ohm or 0.0)
    zero = complex(line.r0_ohm or 0.0, line.x0_ohm or 0.0)
    return FORTESCUE @ np.diag([zero, positive, positive]) @ TO_SEQUENCE


def _lines(lines: Sequence[Line], base_s: npt.NDArray[np.float64], phases: int) -> tuple[Any, ...]:
    """Of lines; their shunt is the same on every phase and joins none. base_s : (line,)."""
    base = base_s[:, None, None]
    impedance = np.array([series_ohm(line, phases) for line in lines], dtype=np.complex128)
    series = np.linalg.inv(impedance.reshape(-1, phases, phases)) / base
    shunt = 1j * np.array([line.b_s for line in lines])[:, None, None] / base * np.eye(phases)
    return series + shunt / 2, -series, -series, series + shunt / 2


def _transformer_sequence(transformer: Transformer, base_va: float, clock: int) -> tuple[complex, ...]:
    """The two-port that positive sequence finds; clock 0 also where nobody looks at angles. Negative : -clock."""
    series = transformer.rated_va / base_va / short_circuit_pu(transformer)
    shunt = _magnetising_va(transformer) / base_va
    ratio = transformer.tap_ratio * np.exp(1j * np.pi / 6 * clock)
    return (
        (series + shunt / 2) / abs(ratio) ** 2,
        -series / np.conj(ratio),
        -series / ratio,
        series + shunt / 2,
    )


def _transformer(transformer: Transformer, base_va: float, phases: int) -> tuple[Any, ...]:
    if phases == 1:
        return _transformer_sequence(transformer, base_va, 0)
    return _three_phase_transformer(transformer, base_va)


def _three_phase_transformer(transformer: Transformer, base_va: float) -> tuple[ComplexArray, ...]:
    group = transformer.vector_group
    clock = int(group.lstrip("YNDyndz"))
    positive = _transformer_sequence(transformer, base_va, clock)
    negative = _transformer_sequence(transformer, base_va, -clock)
    zero = _zero_sequence(transformer, base_va, group.rstrip("0123456789"), clock)
    return tuple(
        FORTESCUE @ np.diag(each).astype(np.complex128) @ TO_SEQUENCE
        for each in zip(zero, positive, negative, strict=True)
    )


def _zero_sequence(transformer: Transformer, base_va: float, windings: str, clock: int) -> tuple[complex, ...]:
    """What zero sequence finds: the other side where both star points are earthed, else earth, or nothing.

    As power-grid-model: the whole magnetising branch stands at the one side that zero sequence can enter, and that of a
    zigzag winding is a tenth of the positive sequence's series impedance.
    """
    series = transformer.rated_va / base_va / short_circuit_pu(transformer)
    shunt = _magnetising_va(transformer) / base_va
    match windings:
        case "YNyn":
            # Star windings turned by a half (or with crossed phases) turn zero sequence by a half as well.
            return _transformer_sequence(transformer, base_va, 6 if clock in (2, 6, 10) else 0)
        case "Dyn":
            return 0.0, 0.0, 0.0, series + shunt
        case "YNd":
            return (series + shunt) / transformer.tap_ratio**2, 0.0, 0.0, 0.0
        case "Yzn" | "YNzn" | "Dzn":
            return 0.0, 0.0, 0.0, 10 * series
        case "Yyn":
            return 0.0, 0.0, 0.0, shunt
        case "YNy":
            return shunt / transformer.tap_ratio**2, 0.0, 0.0, 0.0
        case _:
            return 0.0, 0.0, 0.0, 0.0


def short_circuit_pu(transformer: Transformer) -> complex:
    """Series impedance on the transformer's own base [pu]."""
    r = transformer.vkr_percent / 100
    return complex(r, np.sqrt((transformer.vk_percent / 100) ** 2 - r**2))


def _magnetising_va(transformer: Transformer) -> complex:
    """Conjugate of the no-load power at nominal voltage [VA], that is, admittance times the square of voltage."""
    apparent_va = transformer.i0_percent / 100 * transformer.rated_va
    reactive_var = np.sqrt(max(apparent_va**2 - transformer.pfe_w**2, 0.0))
    return complex(transformer.pfe_w, -reactive_var)
