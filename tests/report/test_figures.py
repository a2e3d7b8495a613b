"""What is drawn, read back from the figures; and the picture that is written."""

import io
import warnings

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from skinjax.data.sampling.samplers import Sampler
from skinjax.methods.base import Objective
from skinjax.report import figures
from skinjax.training.lr_range import Curve
from skinjax.training.phases import Phase


def picture(colour, height=6, width=8):
    return np.full((height, width, 3), colour, np.uint8)


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_a_class_panel_shows_the_images_under_name_and_count():
    images = [[picture((255, 0, 0)), picture((9, 9, 9))], [picture((0, 0, 255))], []]
    figure = figures.class_panel(images, [30, 10, 0], ["mel", "Seborrheic_Keratosis", "vasc"])
    (axes,) = figure.axes
    drawn = [image.get_array()[0, 0].tolist() for image in axes.images]
    assert drawn == [[255, 0, 0], [9, 9, 9], [0, 0, 255]]
    names = ["mel", "30 images, 75.0 %", "Seborrheic_Keratosis", "10 images, 25.0 %", "vasc", "no images"]
    assert texts(figure) == names


@pytest.mark.parametrize(("classes", "each"), [(2, 1), (7, 8), (198, 3)])
def test_a_class_panel_has_room_for_every_image(classes, each):
    images = [[picture(number % 256)] * each for number in range(classes)]
    (axes,) = figures.class_panel(images, [each] * classes, [f"class_{n}" for n in range(classes)]).axes
    corners = np.array([image.get_extent() for image in axes.images])
    assert corners.shape == (classes * each, 4)
    assert corners[:, :2].min() >= 0
    assert corners[:, 1].max() <= axes.get_xlim()[1]
    assert corners[:, 2].max() <= axes.get_ylim()[0]
    assert len(np.unique(corners[:, [0, 3]].round(6), axis=0)) == classes * each
    across, down = axes.figure.get_size_inches()
    assert down < 1.6 * across + 1


def test_images_keep_their_aspect_ratio_and_share_a_scale():
    (axes,) = figures.class_panel([[picture(0, 6, 8), picture(0, 8, 4), picture(0, 6, 8)]], [3], ["nv"]).axes
    left, right, bottom, top = axes.images[1].get_extent()
    assert (right - left) / (bottom - top) == pytest.approx(4 / 8)
    left, right, bottom, top = axes.images[0].get_extent()
    assert (right - left) / (bottom - top) == pytest.approx(8 / 6)


def test_a_name_that_is_too_long_is_shortened_and_never_taken_for_mathematics():
    long = "Hyperkeratosis_Palmaris_Et_Plantaris_$x^2$_of_the_third_kind"
    figure = figures.class_panel([[picture(0)]], [1], [long])
    assert texts(figure)[0].endswith("…")
    assert long.startswith(texts(figure)[0][:-1])
    figures.class_frequencies({"all": [1, 2]}, ["a $ b $ c", "$\\frac$"]).canvas.draw()


@pytest.mark.parametrize(
    "name", ["Hyperkeratosis_Palmaris_Et_Plantaris", "NEVUS SEBACEUS OF JADASSOHN AND MORE", "黑色素瘤" * 9]
)
def test_names_stay_within_their_photographs(name):
    panel = figures.class_panel([[picture(0)] * 2] * 2, [2, 2], [name, name])
    titles, _, blocks = extents(panel)
    assert titles[0].x1 <= blocks[1].x1
    assert titles[1].x1 <= blocks[3].x1
    _, captions, blocks = extents(figures.view_panel({"as stored": picture(0)[None]}, [name]))
    assert captions[0].width <= blocks[0].width


def extents(figure):
    """The boxes of the bold texts, the other texts and the images of a figure, in pixels."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    (axes,) = figure.axes
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")
        boxes = [(text.get_weight(), text.get_window_extent(renderer)) for text in axes.texts]
    bold, other = ([box for weight, box in boxes if (weight == "bold") == wanted] for wanted in (True, False))
    return bold, other, [image.get_window_extent(renderer) for image in axes.images]


def bars(axes):
    return [[patch.get_width() for patch in container] for container in axes.containers]


def test_bars_are_counts_the_largest_class_first():
    counts = {"train": [10, 40, 30], "test": [2, 10, 8]}
    figure = figures.class_frequencies(counts, ["df", "nv", "mel"])
    (axes,) = figure.axes
    assert bars(axes) == [[40, 30, 10], [10, 8, 2]]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["nv", "mel", "df"]
    assert texts(figure) == ["40   50.0 %", "30   37.5 %", "10   12.5 %", "10   50.0 %", "8   40.0 %", "2   10.0 %"]
    assert [text.get_text() for text in figure.legends[0].texts] == ["train: 80 images", "test: 20 images"]
    places = [[patch.get_y() for patch in container] for container in axes.containers]
    assert np.all(np.diff(np.transpose(places).ravel()) > 0), "bars of a class stand together, in the order of parts"
    assert axes.get_ylim()[0] > axes.get_ylim()[1], "the first class is on top"


@pytest.mark.parametrize(("counts", "scale"), [([19, 1], "linear"), ([20, 1], "log"), ([20, 2, 0], "linear")])
def test_a_large_imbalance_is_drawn_on_a_logarithmic_axis(counts, scale):
    (axes,) = figures.class_frequencies({"all": counts}, list("abc")[: len(counts)]).axes
    assert axes.get_xscale() == scale
    assert ("logarithmic" in axes.get_xlabel()) == (scale == "log")
    assert axes.get_xlim()[0] < 1, "a single image has a bar too"


def test_a_class_without_images_has_its_note_on_a_logarithmic_axis_too(tmp_path):
    figure = figures.class_frequencies({"all": [60, 1, 0]}, ["nv", "df", "mel"])
    assert [note.xy[0] for note in figure.axes[0].texts] == [60, 1, 0.5]
    figures.save(figure, tmp_path / "bars.png")
    with Image.open(tmp_path / "bars.png") as image:
        assert image.width < 1000


def test_many_classes_stand_in_columns_on_one_axis():
    counts = np.arange(1, 199)
    figure = figures.class_frequencies({"all": counts}, [f"class_{n:03d}" for n in range(198)])
    lengths = [axes.containers[0].datavalues.tolist() for axes in figure.axes]
    assert [len(column) for column in lengths] == [50, 50, 49, 49]
    assert np.concatenate(lengths).tolist() == counts[::-1].tolist()
    assert len({axes.get_xlim() for axes in figure.axes}) == 1


def test_a_row_of_a_view_panel_is_a_view():
    batch = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
    figure = figures.view_panel({"as stored": batch, "training view": 255 - batch}, ["mel", "nv"])
    (axes,) = figure.axes
    drawn = [np.asarray(image.get_array()) for image in axes.images]
    np.testing.assert_array_equal(drawn, [*batch, *(255 - batch)])
    tops = [image.get_extent()[3] for image in axes.images]
    lefts = [image.get_extent()[0] for image in axes.images]
    assert tops[0] == tops[1] < tops[2] == tops[3]
    assert lefts[0] == lefts[2] < lefts[1] == lefts[3]
    assert texts(figure) == ["mel", "nv", "as stored", "training view"]


def phase(name, rates, **others):
    """A phase of these learning rates."""
    sampler = Sampler(1, 1, lambda step: np.zeros(1, np.int32), (1.0,))
    return Phase(name, len(rates), sampler, lambda steps: np.asarray(rates)[steps], **others)


def test_phases_of_a_schedule_follow_each_other():
    warm = phase("head", [0.5, 1.0, 1.0, 0.9], objective=Objective(frozen=("stem", "stage1")))
    rows = (("stem", 0.5), (".*", 1.0))
    figure = figures.schedule([warm, phase("all", [0.8, 0.4], learning_rate_multipliers=rows)])
    (axes,) = figure.axes
    curves = {tuple(line.get_xdata()): line.get_ydata() for line in axes.lines if len(line.get_xdata()) == 4}
    np.testing.assert_allclose(curves[0, 1, 2, 3], [0.5, 1.0, 1.0, 0.9])
    second = [line for line in axes.lines if tuple(line.get_xdata()) == (4, 5)]
    np.testing.assert_allclose([line.get_ydata() for line in second], [[0.4, 0.2], [0.8, 0.4]])
    assert texts(figure) == ["warm-up", "head: 4 steps, frozen: stem, stage1", "all: 2 steps"]
    assert [text.get_text() for text in axes.get_legend().texts] == ["all others", "stem"]
    assert axes.get_xlim() == (0, 6)
    assert axes.get_yscale() == "linear"
    (shaded,) = axes.patches
    assert (shaded.get_x(), shaded.get_width()) == (0, 1)


def test_rates_that_fall_by_powers_of_ten_have_a_logarithmic_axis():
    steps = np.arange(100)
    falling = np.where(steps < 50, 1.0, 0.01)
    cosine = 0.5 * (1 + np.cos(np.pi * steps / 100))
    scales = [figures.schedule([phase("train", rates)]).axes[0] for rates in (falling, cosine)]
    assert [axes.get_yscale() for axes in scales] == ["log", "linear"]
    assert scales[0].get_legend() is None
    assert scales[0].get_ylim()[0] < 0.01


def test_a_saved_panel_is_a_picture_with_red_where_red_was(tmp_path):
    figures.save(figures.class_panel([[picture((255, 0, 0), 60, 80)]], [1], ["mel"]), tmp_path / "panel.png")
    with Image.open(io.BytesIO((tmp_path / "panel.png").read_bytes())) as image:
        pixels = np.array(image.convert("RGB")).reshape(-1, 3)
    assert np.mean(np.all(pixels == (255, 0, 0), axis=1)) > 0.1
    assert [path.name for path in tmp_path.iterdir()] == ["panel.png"]


def test_a_suffix_chooses_svg_whose_text_is_text(tmp_path):
    figure = figures.class_frequencies({"all": [1, 2]}, ["<b> & $x$", "nv"])
    figures.save(figure, tmp_path / "bars.svg")
    assert "&lt;b&gt; &amp; $x$</text>" in (tmp_path / "bars.svg").read_text()


def test_names_in_any_script_are_saved_without_a_warning(tmp_path):
    figures.save(figures.class_frequencies({"all": [1, 2]}, ["黑色素瘤", "痣"]), tmp_path / "bars.png")


def test_synthetic_pictures_say_so():
    drawn = [
        figures.class_panel([[picture(0)]], [1], ["nv"], synthetic=True),
        figures.class_frequencies({"all": [1]}, ["nv"], synthetic=True),
        figures.view_panel({"as stored": picture(0)[None]}, ["nv"], synthetic=True),
        figures.schedule([phase("train", [1.0])], synthetic=True),
    ]
    assert all("not medicine" in figure.texts[1].get_text() for figure in drawn)


def range_curve(seed, group, steepest):
    """A curve of 46 batches, of which 30 are shown, that falls fastest at the batch `steepest` of these."""
    batches = np.arange(46.0)
    smoothed = 1 - np.tanh((batches - 10 - steepest) / 3)
    return Curve(seed, group, 10 ** (batches / 10 - 5), smoothed + seed, smoothed)


def test_a_range_test_has_a_line_a_dot_and_an_upright_line_at_the_rate():
    curves = [range_curve(0, "all", 15), range_curve(1, "all", 10)]
    (axes,) = figures.range_curves(curves, {"all": 3e-3}).axes
    points, line, dot = (drawn.get_xydata() for drawn in axes.lines[3:6])
    np.testing.assert_array_equal(points, np.stack([curves[1].rates, curves[1].losses], axis=1)[10:-6])
    np.testing.assert_array_equal(line, np.stack([curves[1].rates, curves[1].smoothed], axis=1)[10:-6])
    np.testing.assert_allclose(dot, [[1e-3, 1.0]])
    assert axes.lines[-1].get_xdata() == [3e-3, 3e-3]
    assert [text.get_text() for text in axes.texts] == ["0.003"]
    assert axes.get_xscale() == "log"
    assert [text.get_text() for text in axes.get_legend().texts] == ["seed 0", "seed 1"]


def test_groups_of_a_range_test_have_a_colour_each():
    curves = [range_curve(seed, group, 15) for group in ("stem", ".*") for seed in (0, 1)]
    (axes,) = figures.range_curves(curves, {"stem": 1e-3, ".*": 2e-3}).axes
    assert [text.get_text() for text in axes.get_legend().texts] == ["stem", "all others"]
    first, second = figures.COLOURS[:2]
    assert [line.get_color() for line in axes.lines] == [first] * 6 + [second] * 6 + [first, second]
