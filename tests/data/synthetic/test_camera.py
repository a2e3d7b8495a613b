import numpy as np

from skinjax.data.synthetic.camera import View


def test_waves_and_blobs_are_what_they_say():
    view = View.random(24, 32, np.random.default_rng(0))
    vectors, phases, weights = np.array([[3.0, -5.0], [20.0, 8.0]]), np.array([0.3, 2.0]), np.array([1.0, 0.4])
    photograph = np.stack(np.meshgrid(view.x, view.y), -1)
    position = (photograph - view.shift) @ np.linalg.inv(view.turn).T
    expected = (weights * np.cos(position @ vectors.T + phases)).sum(-1)
    np.testing.assert_allclose(view.waves((vectors, phases, weights)), expected, atol=1e-4)
    centre, radius = np.array([0.1, -0.05]), 0.08
    expected = 0.7 * np.exp(-((position - centre) ** 2).sum(-1) / (2 * radius**2))
    blob = view.blobs(centre[None], np.array([radius]), np.array([0.7]))
    np.testing.assert_allclose(blob, expected, atol=1e-5)
