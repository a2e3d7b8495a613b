"""Paper 002's schedules on CIFAR-10 (`skinjax prepare cifar10`), a narrow ResNet for 7 epochs; docs/schedules.md.

    skinjax reproduce tables/cifar10.py --table="Rate 0.11" --seeds=5      # 35 minutes on 2 idle cores
    python tools/time_to_accuracy.py constant=RUN,... cosine=RUN,... --target=0.6

The two full rates are what three range tests of the config suggest (the median): where the loss falls fastest, and a
tenth of where it is lowest.
"""

from skinjax.papers.printed import claims, comparison

SCHEDULES = {
    "constant": ("schedule=constant",),
    "three rates": ("schedule=step", "schedule.milestones=(3,5)"),  # 1, 0.1 and 0.01 of the rate
    "one cosine": ("schedule=cosine",),
    "restarts": ("schedule.multiplier=1.0",),
    "restarts, doubling cycles": (),
}
ROWS = {
    name: ("configs/cifar10.py:narrow", *(f"phases.train.{change}" for change in changes))
    for name, changes in SCHEDULES.items()
}
ORDERS = (
    *(f"restarts, doubling cycles > {name}" for name in list(SCHEDULES)[:4]),
    "one cosine > constant",
)
TABLES = {
    f"Rate {rate}": comparison(
        {"Accuracy": "accuracy", "Accuracy on validation": "validation:accuracy", "Seconds": "seconds"},
        ROWS,
        (f"optimizer.learning_rate={rate}",),
        claims=claims("Accuracy", *ORDERS),
    )
    for rate in ("0.01", "0.11")
}
