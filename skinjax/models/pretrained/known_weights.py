"""The usual weights of every backbone, with the facts that timm states (tools/check_known_weights.py compares).

Commit and sha256 of a file are in `PINS` where independent public records agree on the sha256 (not all on the
commit: docs/weights.md); all others are taken on trust when they are first fetched, and held to from then on (hub.py).
"""

import dataclasses

from skinjax.models.pretrained.facts import Colour, Facts

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
APACHE, BSD = "apache-2.0", "bsd-3-clause"
RELEASES = "https://github.com/rwightman/pytorch-image-models/releases/download/v0.1-weights"


@dataclasses.dataclass(frozen=True)
class Known:
    """The side of input and last map in pixels, how images were made that size, and (mean, std); see `Facts`.

    url: where PyTorch's file is, of weights that the hub does not have as safetensors
    """

    side: int
    pool: int
    filter: str
    crop: float
    normalisation: tuple[Colour, Colour]
    licence: str
    classes: int = 1000
    url: str = ""

    def facts(self, architecture: str) -> Facts:
        """These facts, of weights of an architecture."""
        mean, std = self.normalisation
        size, pool = (self.side,) * 2, (self.pool,) * 2
        return Facts(architecture, self.classes, mean, std, size, self.filter, self.crop, pool, licence=self.licence)


def architecture_of(name: str) -> str:
    """The backbone of weights `ARCHITECTURE.TAG`."""
    return name.partition(".")[0]


RESNETS = (18, 34, 50, 101, 152)
EFFICIENTNETS = {  # of Google: side, pool and crop
    "b0": (224, 7, 0.875),
    "b1": (240, 8, 0.882),
    "b2": (260, 9, 0.89),
    "b3": (300, 10, 0.904),
    "b4": (380, 12, 0.922),
    "b5": (456, 15, 0.934),
    "b6": (528, 17, 0.942),
    "b7": (600, 19, 0.949),
}

# By timm's name, which is that of the hub's repository timm/NAME.
KNOWN: dict[str, Known] = {
    **{f"resnet{depth}.a1_in1k": Known(224, 7, "bicubic", 0.95, IMAGENET, APACHE) for depth in RESNETS},
    **{f"resnet{depth}.tv_in1k": Known(224, 7, "bilinear", 0.875, IMAGENET, BSD) for depth in RESNETS},
    **{f"resnet{depth}.tv2_in1k": Known(176, 6, "bilinear", 0.875, IMAGENET, BSD) for depth in RESNETS[2:]},
    **{f"densenet{depth}.tv_in1k": Known(224, 7, "bicubic", 0.875, IMAGENET, APACHE) for depth in (121, 161, 169, 201)},
    "densenet121.ra_in1k": Known(224, 7, "bicubic", 0.875, IMAGENET, APACHE),
    "efficientnet_b0.ra_in1k": Known(224, 7, "bicubic", 0.875, IMAGENET, APACHE),
    "efficientnet_b1.ft_in1k": Known(224, 7, "bicubic", 0.875, IMAGENET, APACHE),
    "efficientnet_b2.ra_in1k": Known(256, 8, "bicubic", 0.875, IMAGENET, APACHE),
    "efficientnet_b3.ra2_in1k": Known(288, 9, "bicubic", 0.875, IMAGENET, APACHE),
    "efficientnet_b4.ra2_in1k": Known(320, 10, "bicubic", 0.875, IMAGENET, APACHE),
    "efficientnet_b5.sw_in12k_ft_in1k": Known(448, 14, "bicubic", 1.0, IMAGENET, APACHE),
    **{
        f"tf_efficientnet_{scale}.{tag}_in1k": Known(side, pool, "bicubic", crop, normalisation, APACHE)
        for scale, (side, pool, crop) in EFFICIENTNETS.items()
        for tag, normalisation in (("ns_jft", IMAGENET), ("aa", IMAGENET), ("ap", HALF))
    },
    "vgg16.tv_in1k": Known(224, 7, "bilinear", 0.875, IMAGENET, BSD),
    "vgg16_bn.tv_in1k": Known(224, 7, "bilinear", 0.875, IMAGENET, BSD),
    "inception_v3.tv_in1k": Known(299, 8, "bicubic", 0.875, HALF, APACHE),
    "inception_v3.tf_in1k": Known(299, 8, "bicubic", 0.875, HALF, APACHE),
    "inception_v3.gluon_in1k": Known(299, 8, "bicubic", 0.875, IMAGENET, APACHE),
    "seresnext50_32x4d.racm_in1k": Known(224, 7, "bicubic", 0.875, IMAGENET, APACHE),
    "seresnext50_32x4d.gluon_in1k": Known(224, 7, "bicubic", 0.875, IMAGENET, APACHE),
    "legacy_seresnext50_32x4d.in1k": Known(
        224, 7, "bilinear", 0.875, IMAGENET, APACHE, url=f"{RELEASES}/legacy_se_resnext50_32x4d-f3651bad.pth"
    ),
    "mobilenetv1_100.ra4_e3600_r224_in1k": Known(224, 7, "bicubic", 0.875, HALF, APACHE),
    "mobilenetv2_100.ra_in1k": Known(224, 7, "bicubic", 0.875, IMAGENET, APACHE),
    "convnext_tiny.fb_in1k": Known(224, 7, "bicubic", 0.875, IMAGENET, APACHE),
    "convnext_tiny.fb_in22k_ft_in1k": Known(224, 7, "bicubic", 0.875, IMAGENET, APACHE),
    "convnext_tiny.in12k_ft_in1k": Known(224, 7, "bicubic", 0.95, IMAGENET, APACHE),
    "convnext_tiny.fb_in22k": Known(224, 7, "bicubic", 0.875, IMAGENET, APACHE, classes=21841),
}

COMMITS = {
    "resnet18.a1_in1k": "491b427b45c94c7fb0e78b5474cc919aff584bbf",
    "resnet50.a1_in1k": "767268603ca0cb0bfe326fa87277f19c419566ef",
    "resnet50.tv_in1k": "78f3ecfdb38e06d9b8397f662e7ab8fee96026fa",
    "densenet121.tv_in1k": "f0d0f2698a02cb133b09d48396db6e1e46fe9f3b",
    "efficientnet_b0.ra_in1k": "1b5383e5f79cc0f7fc067e372f8f26a5fa73f26a",
    "vgg16.tv_in1k": "b8d8aa2dd860af9233c8c67385a8097fd6c35d3f",
    "convnext_tiny.fb_in1k": "b43a6303c9fcf176d2d707478a128c2c91e93528",
}
SHA256_OF_FILES = {  # model.safetensors of that commit
    "resnet18.a1_in1k": "80c49dee3da4822c009c5a7fe591e9223c5a2cfcf95a4067ca4dfb5a7b89c612",
    "resnet50.a1_in1k": "773525d5821de224f8f30c33377b7a795d7863e08522698200d3217d3f2a41bb",
    "resnet50.tv_in1k": "5d061a3c593d795bfe682d9b152bafbcf550579873492def3515b46db1189888",
    "densenet121.tv_in1k": "c894c6d9caa317a8ca1942986dee7a16a86c77734a4d691d2abe05389cfef358",
    "efficientnet_b0.ra_in1k": "d569899762ea9b1384ee07f4af64805cf8caa1c55f9253ebb1080dc40e87a2cd",
    "vgg16.tv_in1k": "57b026918159a6bf9faf8405c3a551903768e7138989d9c6224a14227203fad8",
    "convnext_tiny.fb_in1k": "08b9dc9c3a3a29421de7996761e176501896d1ae7fc3085cf56a643772329276",
}
PINS = {name: (commit, SHA256_OF_FILES[name]) for name, commit in COMMITS.items()}
