"""How columns answer to prices, place by place, however many there are and whichever envelopes tie them."""

import numpy as np

from market.clearing.cells import Cells
from market.clearing.ties import Tie
from market.network.model import FloatArray


class Response:
    """How columns answer to prices, once each has a looseness : (k,), what it moves for one unit of price.

    matrix : (place, time, time) what every cell changes, downwards, for a price at every cell of its place. Running
    energies tie the columns of an envelope: each gives way by its slack : (e,) for one unit of its own price.

    Between two running energies that count, the columns of an envelope see one more price p. With a what they give way
    by together and w the slacks, p solves a tridiagonal system of a_j + w_j + w_j-1 with -w_j beside it, whose inverse
    is found by adding and multiplying what is positive only (Grassmann, Taksar and Heyman, Oper. Res. 33 (1985)
    1107-1116). So is the matrix: no digits are lost where energies are held fast and columns are loose.
    """

    def __init__(self, cells: Cells, looseness: FloatArray, slack: FloatArray) -> None:
        """Of columns with this looseness, and running energies with this slack."""
        self._cells, self._loose, self.slack = cells, looseness, slack
        self._tied_loose = looseness * cells.segments[1]
        self._by_column = cells.counted.in_columns(self._tied_loose)
        self._by_cell = cells.counted.in_cells(self._tied_loose * cells.segments[1])
        self._yielding = np.zeros(len(slack), dtype=np.bool_)
        places, times = cells.shape
        self.matrix = np.zeros((places, times, times))
        own = np.arange(times)
        self.matrix[:, own, own] = cells.diagonal(looseness)
        of_fleet = cells.by_fleet(cells.weight[cells.tied] ** 2 * looseness[cells.column[cells.tied]])
        self._inverse = [self._tied(tie, of_fleet[tie.fleets]) for tie in cells.ties]
        free = np.ones(len(cells.fleets), dtype=np.bool_)
        free[cells.fleet] = False
        alone = np.zeros(cells.shape)
        np.add.at(alone, cells.place_of[free], of_fleet[free])
        self.matrix[:, own, own] += alone
        for column, place, weights in zip(*cells.profiles, strict=True):
            self.matrix[place] += looseness[column] * np.outer(weights, weights)

    @property
    def firmness(self) -> FloatArray:
        """(k,) what one unit of each column pushes back with."""
        return 1 / self._loose

    def _tied(self, tie: Tie, loose: FloatArray) -> FloatArray:
        """Add fleets that are loose : (m, time); returns the inverse (m, n, n) of their systems."""
        slack, (many, width) = self.slack[tie.energies], tie.energies.shape
        self._yielding[tie.energies] = slack > loose.sum(axis=1)[:, None]
        loose = loose if tie.whole else np.take_along_axis(loose, tie.times, axis=1)
        alone = np.bincount(tie.slot.ravel(), loose.ravel(), many * (width + 1)).astype(np.float64)
        inverse = _inverse(alone.reshape(many, width + 1)[:, :width], slack)
        # What columns give way by when all see one price more: nothing where the last energy is held fast.
        reach = np.append(slack[:, -1:] * inverse[:, :, -1], np.ones((many, 1)), axis=1)
        together = loose * np.take(reach, tie.slot)
        if tie.whole:
            self._add_whole(tie, loose, inverse, together)
        else:
            self._add_windows(tie, loose, inverse, together)
        return inverse

    def _add_whole(self, tie: Tie, loose: FloatArray, inverse: FloatArray, together: FloatArray) -> None:
        """Add fleets over all times, those of several places at once."""
        (many, width), own = tie.energies.shape, np.arange(loose.shape[1])
        parts, answer = np.zeros((2, many + 1, width, len(own)))  # the last one fills up
        np.multiply(tie.segment[:, None, :] == np.arange(width)[:, None], loose[:, None, :], out=parts[:-1])
        answer[:-1] = inverse @ parts[:-1] if width > 1 else inverse * parts[:-1]
        for places, fleets in tie.beside:
            one, other = (each[fleets].reshape(len(places), -1, len(own)) for each in (parts, answer))
            product = one.transpose(0, 2, 1) @ other
            product[:, own, own] = 0.0
            self.matrix[places] -= product
            self.matrix[places[:, None], own, own] += product.sum(axis=1)
        first = np.flatnonzero(np.diff(tie.place, prepend=-1))
        self.matrix[tie.place[first, None], own, own] += np.add.reduceat(together, first, axis=0)

    def _add_windows(self, tie: Tie, loose: FloatArray, inverse: FloatArray, together: FloatArray) -> None:
        """Add fleets of which each knows few times, fleet by fleet."""
        many, own = len(tie.fleets), np.arange(tie.times.shape[1])
        padded = np.pad(inverse, ((0, 0), (0, 1), (0, 1)))
        fleet = np.arange(many)[:, None, None]
        product = padded[fleet, tie.segment[:, :, None], tie.segment[:, None, :]]
        product *= loose[:, :, None] * loose[:, None, :]
        product[:, own, own] = 0.0
        product[:, own, own] = -product.sum(axis=2) - together
        times = self.matrix.shape[1]
        at = (tie.place[:, None] * times + tie.times)[:, :, None] * times + tie.times[:, None, :]
        added = np.bincount(at.ravel(), product.ravel(), minlength=self.matrix.size)
        self.matrix -= added.reshape(self.matrix.shape)

    def lack(self, push: FloatArray, energy: FloatArray) -> FloatArray:
        """(e,) what running energies lack where columns are pushed : (k,), each but what the one before it has."""
        lack: FloatArray = energy - self._by_column @ push
        for chain in self._cells.chains:
            lack[chain[:, 1:]] -= energy[chain[:, :-1]]
        return lack

    def change(self, push: FloatArray, lack: FloatArray) -> FloatArray:
        """(place, time) what columns change that are pushed : (k,), where energies make up for what they lack."""
        held = self._by_cell[1] @ self._made_up(lack)
        changed: FloatArray = self._cells.spread(self._loose * push) + held.reshape(self._cells.shape)
        return changed

    def move(
        self, push: FloatArray, energy: FloatArray, lack: FloatArray, price: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Moves of columns (k,) and of energy prices (e,) at a price : (place, time), where energies `lack` without it.

        move / looseness - G'y = push - S'price; G move + slack y = energy.
        """
        made_up = self._made_up(lack + self._by_cell[0] @ price.ravel())
        move = self._loose * (push - self._cells.worth(price))
        move += self._tied_loose * np.append(made_up, 0.0)[self._cells.segments[0]]
        y = made_up.copy()
        for chain in self._cells.chains:
            y[chain[:, :-1]] -= made_up[chain[:, 1:]]
        if self._yielding.any():
            # Of what hardly holds, the price is better known from how far it went than as a difference of prices.
            y = np.where(self._yielding, (energy - self._cells.energy(move)) / self.slack, y)
        return move, y

    def _made_up(self, lack: FloatArray) -> FloatArray:
        """(e,) prices to columns that an energy is the first to count."""
        price = np.zeros(len(lack))
        for tie, inverse in zip(self._cells.ties, self._inverse, strict=True):
            price[tie.energies] = np.einsum("mij,mj->mi", inverse, lack[tie.energies])
        return price


def _inverse(alone: FloatArray, slack: FloatArray) -> FloatArray:
    """(m, n, n) inverses of tridiagonal matrices: alone_j + slack_j + slack_j-1, and -slack_j beside it.

    alone, slack : (m, n), positive; no differences are taken.
    """
    fleets, width = alone.shape
    surplus, pivot = alone.copy(), np.empty_like(alone)
    for number in range(width):
        pivot[:, number] = surplus[:, number] + slack[:, number]
        if number + 1 < width:
            surplus[:, number + 1] += slack[:, number] * surplus[:, number] / pivot[:, number]
    inverse = np.zeros((fleets, width, width))
    inverse[:, np.arange(width), np.arange(width)] = 1.0
    for number in range(1, width):
        inverse[:, number] += inverse[:, number - 1] * (slack[:, number - 1] / pivot[:, number - 1])[:, None]
    inverse /= pivot[:, :, None]
    for number in reversed(range(width - 1)):
        inverse[:, number] += inverse[:, number + 1] * (slack[:, number] / pivot[:, number])[:, None]
    return inverse
