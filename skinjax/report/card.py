"""A model card, and a checklist after CLAIM 2024 and STARD-AI in our own words: filled in as far as the tool knows."""

from collections.abc import Mapping
from typing import Any

from skinjax.evaluation.text import interval, protocol_in_words
from skinjax.report.blocks import Block, Form, Words
from skinjax.report.subjects import Subject


def card(subject: Subject) -> list[Block]:
    """Whom and what the model is for: what is not known stays a line to write on."""
    return [Form(card_rows(subject))]


def card_rows(subject: Subject) -> list[tuple[str, str]]:
    """What a model card asks, and what is known of it."""
    found, known, config = subject.found, subject.protocol, subject.config
    small = [name for name, of in found["per_class"].items() if of["few"]]
    weights = known.get("weights")
    began = weights.get("source") if isinstance(weights, Mapping) else weights
    return [
        ("Model", _joined(config, "method.name", "model.backbone")),
        ("Version", _version(subject)),
        ("Who made it, and whom to ask", ""),
        ("Intended use and users", ""),
        ("Not for", "Diagnosis, triage or any decision about a patient: it is no medical device."),
        ("Classes", ", ".join(found["classes"])),
        ("Trained on", _training_data(subject)),
        ("Began from", str(began or ("weights drawn at random" if config else ""))),
        ("Judged on", f"{found['images']:,} images of {found['groups']:,} groups{protocol_in_words(known)}"),
        ("Macro recall", interval(found["macro_recall"])),
        ("Macro AUC", interval(found["macro_auc"])),
        ("Hardly known classes", ", ".join(small) or "none has so few groups"),
        ("People it was not judged on", ""),
        ("Skin tones", "not assessed"),
        ("Licences of data and weights", ""),
        ("Known harms, and what is done about them", ""),
    ]


def checklist(subject: Subject) -> list[Block]:
    """What readers of a study of diagnostic accuracy look for."""
    found, known = subject.found, subject.protocol
    made = known.get("split")
    split = made if isinstance(made, Mapping) else {"name": made}
    apart = {"lesion_grouped": "lesion", "image_stratified": "image: lesions are on both sides"}
    rows = [
        ("Title and summary name the method as AI, its task and its main figures with intervals", ""),
        ("Clinical background; where in the care of a patient it would stand", ""),
        ("Aims and hypotheses, and whether they were fixed before", ""),
        ("Prospective or retrospective; registration and protocol", ""),
        ("Ethics approval and consent", ""),
        ("Sources of the photographs: sites, years, devices", _of(known, "dataset")),
        ("Who and what was included and left out, and why", _left_out(split)),
        ("How the numbers of patients and lesions were chosen", ""),
        (
            "Preparation of the photographs",
            _joined(subject.config, "stored_size.height", "stored_size.width", "stored_size.fit"),
        ),
        ("Reference standard: which, why, by whom, blind to the model", _reference(subject)),
        ("How uncertain or missing references were treated", _unlabelled(found)),
        (
            "Parts: how they were drawn, and at which level they are apart",
            apart.get(_of(split, "name"), _of(split, "name")),
        ),
        ("Model: structure, input and output", _joined(subject.config, "method.name", "model.backbone", "views.size")),
        ("Software, versions, hardware", _software(subject)),
        (
            "Training: loss, optimiser, length, augmentation",
            _joined(subject.config, "loss.name", "optimizer.name", "views.train"),
        ),
        ("Which model was chosen, on what", _of(known, "checkpoint") and f"the {known['checkpoint']} checkpoint"),
        (
            "Thresholds, and whether they were fixed beforehand",
            "the likeliest class; others by skinjax evaluate --positive",
        ),
        ("Main figures and their intervals", f"macro recall {interval(found['macro_recall'])}; see Figures"),
        ("How intervals were found", found["intervals"]["headline"]),
        ("Flow of images and lesions", "see Images and people" if subject.split else ""),
        (
            "People: age, sex, site, skin tone",
            "see Images and people; skin tone is not assessed" if subject.config else "",
        ),
        ("Tested on another site's photographs", ""),
        ("Compared with people or other methods, on the same photographs", ""),
        ("Performance in subgroups; fairness", "by skinjax evaluate --by=age,sex,site"),
        ("Calibration", f"debiased calibration error {interval(found['calibration_error'])}"),
        ("Where it fails", "see Mistakes" if found["images"] else ""),
        ("Explanations, and how they were checked", "see What the answers rest on" if subject.pictures else ""),
        ("Limits: bias, what is uncertain, to whom it does not carry over", ""),
        ("What it would change in practice; how people would work with it", ""),
        ("Where data, code and weights can be had", _version(subject)),
        ("Funding and interests", ""),
    ]
    note = (
        "After CLAIM 2024 and STARD-AI, in our words; journals have their own forms. Empty lines are yours to fill in."
    )
    return [Words(note), Form(rows)]


def _of(record: Mapping[str, Any], name: str) -> str:
    return str(record.get(name) or "")


def _joined(config: Mapping[str, Any], *fields: str) -> str:
    """The values of these fields of a config, with their names."""
    found = []
    for field in fields:
        section, _, name = field.partition(".")
        value = config.get(section, {}).get(name) if isinstance(config.get(section), Mapping) else None
        if value not in (None, ""):
            found.append(f"{field.replace('_', ' ')} {'x'.join(map(str, value)) if isinstance(value, list) else value}")
    return ", ".join(found)


def _version(subject: Subject) -> str:
    packages, revision = subject.environment.get("packages", {}), subject.environment.get("git_revision")
    version = f"skinjax {packages['skinjax']}" if "skinjax" in packages else ""
    told = [version, f"revision {revision}" if revision else "", _config(subject)]
    return ", ".join(filter(None, told))


def _config(subject: Subject) -> str:
    known = subject.protocol
    return f"config {known['config']} ({_of(known, 'config_hash')})" if known.get("config") else ""


def _training_data(subject: Subject) -> str:
    if subject.split is None:
        return ""
    rows = subject.split.rows("train")
    groups = len(set(subject.split.groups[rows].tolist()))
    return f"{len(rows):,} images of {groups:,} lesions of {_of(subject.protocol, 'dataset')}"


def _left_out(split: Mapping[str, Any]) -> str:
    told = [f"{name.replace('_', ' ')}: {split[name]}" for name in ("left_out", "unlabelled") if name in split]
    return f"images {', '.join(told)}" if told else ""


def _unlabelled(found: Mapping[str, Any]) -> str:
    return f"{found['unlabelled']:,} images without a label were not judged"


def _reference(subject: Subject) -> str:
    known = "dx_type" in subject.table.metadata or (subject.dataset and "dx_type" in subject.dataset.columns)
    return "kinds (dx_type) are counted under Images and people; why and by whom:" if known else ""


def _software(subject: Subject) -> str:
    packages, devices = subject.environment.get("packages", {}), subject.environment.get("devices", [])
    named = ", ".join(f"{name} {packages[name]}" for name in ("skinjax", "jax", "flax") if name in packages)
    return f"{named}; {', '.join(map(str, devices))}" if named else ""
