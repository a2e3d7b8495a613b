"""Ordered crops: windows of one size at the same places of every picture, in rows from the top left (paper 003)."""

import math
from collections.abc import Sequence

import jax.numpy as jnp
from jax import Array

from skinjax.core.errors import UserError
from skinjax.images.geometry import Size, check_crop_fits

CORNERS_AND_CENTRE = 5
MOST_CROPS = 1024
Grid = tuple[int, int] | None  # rows and columns; None is the four corners and the centre


def grid_of(crops: int, grid: Sequence[int] = ()) -> Grid:
    """The grid of so many crops, or `grid` where it is given.

    >>> grid_of(9)
    (3, 3)
    """
    if grid:
        if grid[0] * grid[1] > MOST_CROPS:
            raise UserError(f"views.grid is {tuple(grid)}, more than {MOST_CROPS} crops: give fewer rows or columns")
        return grid[0], grid[1]
    if crops == CORNERS_AND_CENTRE:
        return None
    side = math.isqrt(max(crops, 0))
    if side < 1 or side * side != crops:
        raise UserError(
            f"{crops} crops make no square: choose {CORNERS_AND_CENTRE} (corners and centre), 4, 9, 16, ..., or give "
            "rows and columns in views.grid"
        )
    return side, side


def ordered_corners(stored: Size, size: Size, grid: Grid) -> list[tuple[int, int]]:
    """(top, left) of windows of `size` in a `stored` picture, row by row; of five, the corners and then the centre.

    They are spread evenly from edge to edge, fractions of a pixel cut off as paper 003's code does.

    >>> ordered_corners((450, 600), (224, 224), None)
    [(0, 0), (0, 376), (226, 0), (226, 376), (113, 188)]
    """
    check_crop_fits(stored, size)
    if grid is None:
        return [*ordered_corners(stored, size, (2, 2)), *ordered_corners(stored, size, (1, 1))]
    tops, lefts = (_spread(whole - part, count) for whole, part, count in zip(stored, size, grid, strict=True))
    return [(top, left) for top in tops for left in lefts]


def _spread(room: int, count: int) -> list[int]:
    """So many whole numbers from 0 to `room`; a single one in the middle."""
    return [room * place // (count - 1) for place in range(count)] if count > 1 else [room // 2]


def cut(images: Array, corners: Sequence[tuple[int, int]], size: Size) -> Array:
    """[batch, H, W, channels] to the windows at `corners`: [batch, windows, h, w, channels], of the same type."""
    return jnp.stack([images[:, top : top + size[0], left : left + size[1]] for top, left in corners], axis=1)
