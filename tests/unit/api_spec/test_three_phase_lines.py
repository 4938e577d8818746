"""Lines of three-phase networks that no computation can use are refused where they stand."""

from typing import Any

import pytest
from pydantic import ValidationError

from api_spec.grid import Network

ROW = [0.2, 0.05, 0.05]
MATRIX = [ROW, [0.05, 0.2, 0.05], [0.05, 0.05, 0.2]]


def network(**line: Any) -> Network:
    return Network.model_validate(
        {
            "name": "n",
            "phases": 3,
            "source": {"bus": "s"},
            "buses": [{"id": "s", "nominal_v": 400.0}, {"id": "far", "nominal_v": 400.0}],
            "lines": [{"id": "l1", "from": "s", "to": "far", **line}],
        }
    )


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ({"r_ohm": [[0.2, 0.1, 0.05], *MATRIX[1:]], "x_ohm": MATRIX}, "a phase matrix is symmetric"),
        ({"r_ohm": [[0.1] * 3] * 3, "x_ohm": [[0.1] * 3] * 3}, "cannot be inverted"),
        ({"r_ohm": [[0.0] * 3] * 3, "x_ohm": [[0.0] * 3] * 3}, "cannot be inverted"),
        ({"r1_ohm": 0.2, "x1_ohm": 0.1, "r0_ohm": 0.0, "x0_ohm": 0.0}, "no zero-sequence impedance"),
        ({"r1_ohm": 0.2, "x1_ohm": 0.1, "r0_ohm": 0.6}, "needs the zero-sequence value"),
        ({"r_ohm": 0.2, "x_ohm": 0.1}, "needs a 3x3 phase matrix"),
    ],
)
def test_a_line_that_cannot_be_used_is_refused(line: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        network(**line)


def test_a_symmetric_matrix_is_taken() -> None:
    assert network(r_ohm=MATRIX, x_ohm=MATRIX).lines[0].r_ohm is not None
