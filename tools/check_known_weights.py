"""Compares skinjax/models/pretrained/known_weights.py with an installed timm: all facts, and what the hub has.

    python tools/check_known_weights.py        needs torch, timm and torchvision; prints what differs

Where the hub can be reached, commits and sha256 of `PINS` are compared too.
"""

import sys
from collections.abc import Iterator

from make_parity_goldens import timm

from skinjax.models import BACKBONES
from skinjax.models.pretrained.facts import Facts
from skinjax.models.pretrained.fitting import plan
from skinjax.models.pretrained.known_weights import KNOWN, PINS, architecture_of


def differences(name: str) -> Iterator[str]:
    """What timm says of its weights `name` otherwise than we do."""
    theirs = timm.models.get_pretrained_cfg(name)
    if theirs is None:
        yield "timm does not know it"
        return
    ours = KNOWN[name].facts(architecture_of(name))
    stated = Facts(
        theirs.architecture,
        theirs.num_classes,
        tuple(theirs.mean),
        tuple(theirs.std),
        tuple(theirs.input_size[1:]),
        theirs.interpolation,
        theirs.crop_pct,
        tuple(theirs.pool_size),
        licence=theirs.license,
    )
    for fact, value in stated.known().items():
        if ours.known().get(fact) != value:
            yield f"{fact} is {value}, not {ours.known().get(fact)}"
    if bool(theirs.hf_hub_id) != (not KNOWN[name].url):
        yield f"on the hub it is {theirs.hf_hub_id}, and its url {theirs.url}"


def built_differences(backbone: str) -> Iterator[str]:
    """How timm builds the architecture `backbone` otherwise than we do."""
    model = timm.create_model(backbone)
    epsilons = {module.eps for module in model.modules() if "BatchNorm" in type(module).__name__}
    padding = "same" if any(type(module).__name__ == "Conv2dSame" for module in model.modules()) else "symmetric"
    built = plan(backbone).built
    if padding != built.padding or epsilons - {built.epsilon}:
        yield f"padding {padding} and epsilons {sorted(epsilons)}, not {built}"


def pin_differences(name: str) -> Iterator[str]:
    """What the hub says of the pinned commit of weights otherwise than we do."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    commit, sha256 = PINS[name]
    found = get_hf_file_metadata(hf_hub_url(f"timm/{name}", "model.safetensors", revision=commit))
    if (found.commit_hash, found.etag) != (commit, sha256):
        yield f"the hub has commit {found.commit_hash} and sha256 {found.etag}"


def main() -> int:
    found = [f"{name}: {difference}" for name in KNOWN for difference in differences(name)]
    used = sorted({architecture_of(name) for name in KNOWN} & set(BACKBONES))
    found += [f"{name}: {difference}" for name in used for difference in built_differences(name)]
    try:
        found += [f"{name}: {difference}" for name in PINS for difference in pin_differences(name)]
    except Exception as error:
        print(f"the hub cannot be asked about the pins: {str(error).splitlines()[0]}")
    print(
        "\n".join(found)
        or f"{len(KNOWN)} weights and {len(used)} architectures are as timm {timm.__version__} has them"
    )
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
