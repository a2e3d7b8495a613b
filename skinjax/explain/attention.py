"""Which patches an image's answer rests on: crops in borders as bright as their weight (paper 003, Fig. 4)."""

import numpy as np

BRIGHT = np.array([255, 221, 0])  # of the border of the patch that weighs most


def framed(patches: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Patches with borders that are black for the least weight of their image and bright for the largest.

    patches: [images, patches, h, w, 3] uint8; weights: [images, patches]
    """
    low, high = weights.min(axis=1, keepdims=True), weights.max(axis=1, keepdims=True)
    relative = (weights - low) / np.maximum(high - low, 1e-12)
    colours = np.round(relative[..., None] * BRIGHT).astype(np.uint8)[:, :, None, None]
    thick = max(2, min(patches.shape[2:4]) // 16)
    framed = patches.copy()
    for edge in (np.s_[:, :, :thick], np.s_[:, :, -thick:], np.s_[:, :, :, :thick], np.s_[:, :, :, -thick:]):
        framed[edge] = colours
    return framed
