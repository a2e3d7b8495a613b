"""Settings: what fields may be, how they are read from plain data, and what two of them have otherwise."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import pytest

from skinjax.core.errors import UserError
from skinjax.core.settings import (
    BELOW_ONE,
    FieldError,
    Kind,
    Named,
    Settings,
    choice,
    differences,
    from_plain,
    help_lines,
    number,
    one_of,
    section,
    to_plain,
)


@dataclasses.dataclass(frozen=True)
class Engine(Settings):
    name: str = "petrol"
    litres: float = number(1.5, 0.5, 8)


@dataclasses.dataclass(frozen=True)
class Electric(Engine):
    name: str = "electric"
    cells: int = number(100, 1)


ENGINES = {"petrol": Kind(Engine, None), "electric": Kind(Electric, None)}
RADIOS = {"short_wave": Kind(Named, None), "long_wave": Kind(Named, None)}


@dataclasses.dataclass(frozen=True)
class Seats(Settings):
    rows: tuple[int, int] = number((2, 3), 1)
    heated: bool = False


@dataclasses.dataclass(frozen=True)
class Car(Settings):
    colour: str = choice("red", "colour", {"red": 1, "blue": 2})
    wear: float = number(0.0, 0, BELOW_ONE)
    doors: int | None = number(None, 2, 5)
    extras: tuple[str, ...] = ()
    tyres: tuple[tuple[str, float], ...] = number((("front", 2.0),), 0)
    engine: Engine = one_of("petrol", "engine", ENGINES)
    radio: Named | None = one_of(None, "radio", RADIOS)
    seats: Seats = section(Seats)
    trips: Mapping[str, Seats] = dataclasses.field(default_factory=dict)
    less: Mapping[str, Any] = dataclasses.field(default_factory=dict, metadata={"overrides": Seats})
    notes: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def test_what_is_close_enough_becomes_the_fields_type():
    car = Car(wear=0, extras=["roof"], tyres=[["back", 3]])
    assert (car.wear, type(car.wear)) == (0.0, float)
    assert car.extras == ("roof",)
    assert car.tyres == (("back", 3.0),)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"wear": 1.0}, "car.wear is 1.0; it must be a number from 0 to less than 1"),
        ({"wear": float("nan")}, "car.wear is nan; it must be a number from 0 to less than 1"),
        ({"wear": True}, "car.wear is True; it must be a number from 0 to less than 1"),
        ({"doors": 2.5}, "car.doors is 2.5; it must be a whole number from 2 to 5"),
        ({"doors": 7}, "car.doors is 7; it must be a whole number from 2 to 5"),
        ({"extras": "roof"}, "car.extras is 'roof'; it must be a tuple of names, like ('stem',)"),
        ({"tyres": (("back", "x"),)}, "must be rows of a name and a number, like (('stem', 0.1),)"),
        ({"tyres": (("back", -1),)}, "must be rows of a name and a number, like (('stem', 0.1),)"),
        ({"colour": "bleu"}, "unknown colour 'bleu' (did you mean 'blue'?); known: blue, red"),
        ({"colr": "red"}, "unknown field of car 'colr' (did you mean 'colour'?)"),
        ({"seats": 4}, "car.seats is 4; it must be a section with fields"),
        ({"seats": {"rows": (0, 2)}}, "car.seats.rows is (0, 2); it must be a tuple of whole numbers from 1 on"),
        ({"seats": {"rows": (1, 2, 3)}}, "car.seats.rows is (1, 2, 3); it must be a tuple of whole numbers"),
        ({"seats": {"heated": 1}}, "car.seats.heated is 1; it must be true or false"),
        ({"engine": "diesl"}, "unknown engine 'diesl'; known: electric, petrol"),
        ({"cells": 3}, "unknown field of car 'cells' (did you mean 'engine.cells'?); known: colour, doors"),
        ({"engine_cells": 3}, "unknown field of car 'engine_cells' (did you mean 'engine.cells'?)"),
        ({"engine": None}, "car.engine is None; it must be a name, or a section with a name"),
        ({"radio": "longwave"}, "unknown radio 'longwave' (did you mean 'long_wave'?)"),
        ({"engine": {"cells": 3}}, "car.engine is {'cells': 3}; it must be a name, or a section with a name"),
        ({"engine": {"name": "petrol", "cells": 3}}, "unknown field of car.engine 'cells'; known: litres, name"),
        ({"engine": {"name": "electric", "litres": 9}}, "car.engine.litres is 9.0; it must be a number from 0.5 to 8"),
        ({"trips": {"home": {"heated": 2}}}, "car.trips.home.heated is 2; it must be true or false"),
        ({"less": {"rows": (0, 1)}}, "car.less.rows is (0, 1)"),
        ({"less": {"row": (0, 1)}}, "unknown field of car.less 'row' (did you mean 'rows'?)"),
        ({"notes": 3}, "car.notes is 3; it must be a section with fields"),
    ],
)
def test_what_is_wrong_is_told_with_its_path(values, message):
    with pytest.raises(UserError) as raised:
        from_plain(Car, values, "car")
    assert message in str(raised.value)


def test_a_library_user_is_told_the_class():
    with pytest.raises(FieldError, match=r"Engine.litres is 0.1; it must be a number from 0.5 to 8"):
        Engine(litres=0.1)


def test_plain_data_and_back():
    car = from_plain(
        Car,
        {
            "engine": "electric",
            "seats": {"rows": [1, 2]},
            "trips": {"home": {"heated": True}},
            "less": {"heated": True},
            "notes": {"any": 1},
        },
    )
    assert car.engine == Electric(cells=100)
    assert (Car().radio, Car(radio="long_wave").radio) == (None, Named("long_wave"))
    assert Car(engine=Named("electric")).engine == Electric()
    assert car.seats.rows == (1, 2)
    assert car.trips == {"home": Seats(heated=True)}
    assert car.less == {"heated": True}
    assert from_plain(Car, json.loads(json.dumps(to_plain(car)))) == car


def test_differences_are_told_by_path_and_of_a_variant_against_its_own_defaults():
    assert differences(Car(), Car()) == {}
    other = Car(doors=3, engine=Electric(cells=7), seats=Seats(heated=True))
    assert differences(other, Car()) == {
        "doors": 3,
        "engine.name": "electric",
        "engine.cells": 7,
        "seats.heated": True,
    }
    assert differences(Car(engine=Electric()), Car()) == {"engine.name": "electric"}
    assert differences(Car(radio="long_wave"), Car()) == {"radio.name": "long_wave"}
    assert differences(Car(), Car(radio="long_wave")) == {"radio": None}


def test_help_has_a_line_for_every_field_with_what_it_may_be():
    told = list(help_lines(Car(engine=Electric(cells=7)), "--car"))
    assert told[0] == "--car.colour='red'  # one of blue, red"
    assert "--car.engine=electric  # one of electric, petrol" in told
    assert "--car.engine.cells=7  # a whole number from 1 on" in told
    assert "--car.seats.heated=False  # true or false" in told
    assert not [line for line in told if line.startswith("--car.engine.name")]
