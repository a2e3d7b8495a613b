from skinjax.data.synthetic.lesions import invent
from skinjax.data.synthetic.photographs import Painter
from skinjax.data.synthetic.settings import Settings


def test_invented_classes_differ():
    recipes = [invent(number) for number in range(256)]
    assert len({repr(recipe) for recipe in recipes}) == 256
    assert Painter(Settings(images=9, classes=3, height=32, width=32)).draw(8).shape == (32, 32, 3)
