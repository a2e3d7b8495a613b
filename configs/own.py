"""Your own photographs, or any prepared data set: a plain classifier whose only setting is the data set's name.

| --config=configs/own.py | what | cost |
|---|---|---|
| `:NAME` | the data set NAME (`skinjax datasets` lists them), narrow ResNet, 96 px | 2 minutes on 2 cores |
| `:demo` | the same on the synthetic set | 2 minutes on 2 cores |

It aims at no printed number: a first look at what a data set holds. On an accelerator go on with, for instance,
`--config.model.backbone=resnet50 --config.views.size="(224,224)" --config.stored_size.height=256
--config.stored_size.width=256 --config.batch=32 --config.phases.train.duration=500000`; networks
compute in bfloat16 there (`--config.model.dtype=float32` turns that off).
"""

from cdc import demo, small


def get_config(variant="demo"):
    if variant == "demo":
        config = demo("own", variant)
    else:
        config = small("own", variant)
        config.dataset.name = variant
    config.batch = 8  # a clinic's first folder may hold thirty photographs
    config.phases.train = {"duration": 20000.0, "unit": "examples", "schedule": "cosine", "warmup": 1000.0}
    for section in (config.evaluations, config.checkpoints):
        section.update(every=4000.0, unit="examples")
    config.logging.every = 250
    return config
