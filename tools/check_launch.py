"""Validate the files of launch/ by the programs that read them, and say for each file what validated it.

`make launch-check` installs those that come from PyPI and runs this with `--self_test`, which also plants faults: each
key of each manifest misspelt in turn, each option of each command, an unquoted variable in each script. A manifest is
valid if its round trip through its reader's own types gives it back: some readers drop what they do not know.
"""

import argparse
import copy
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial, reduce
from itertools import chain, takewhile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
LAUNCH = ROOT / "launch"
BIN = Path(sys.executable).parent
SKYPILOT = ROOT / ".venv-launch-sky" / "bin" / "python"

# What each script is called with so that a dry run prints all of its commands.
DRY_RUNS = {
    "tpu_vm/tpu.sh": ["start --config=configs/cdc.py:skin7", "watch", "collect", "stop", "delete"],
    "tpu_vm/worker.sh": ["install", "run gs://mine/skinjax/run gs://mine/data --config=configs/cdc.py:skin7", "stop"],
    "slurm/skinjax.sbatch": ["--config=configs/cdc.py:skin7"],
    "kubernetes/jobset.sh": [
        *("image", "storage", "upload data", "start", "watch", "collect", "stop", "delete", "delete_storage"),
    ],
    "ray/cluster.sh": ["start", "run reproduce 003 --table=V", "watch", "collect", "stop", "delete"],
    "gpu_box/keep_running.sh": [".venv/bin/python -m skinjax.main --config=configs/cdc.py"],
}
ENVIRONMENT = {"DRY_RUN": "1", "BUCKET": "gs://mine/skinjax"}

# Names that the writer of a manifest chooses, which no reader can check.
CHOSEN = (
    r"labels\.|requests\.|limits\.|envs\.|^file_mounts\.|accelerators\.|resources\.[CG]PU$|^available_node_types\.\w+$"
)

NOT_VALIDATED = """\
not validated: that the images, machine types, accelerators, zones, buckets and storage classes that are named exist,
  and that one may use them; that the image builds; what a cluster says when it gets the files (nothing is sent to any);
  commands of aws, docker, git, tmux and pkill"""

Fault = str
Documents = list[dict[str, Any]]
# Of many versions of a manifest, or many commands, the faults of each: to start a reader takes seconds.
Check = Callable[[list[Any]], list[list[Fault]]]


@dataclass(frozen=True)
class Subject:
    """A file, or the commands of a program: what validates it, and how well."""

    name: str
    validator: str
    faults: Callable[[], list[Fault]]
    unnoticed: Callable[[], list[Fault]]  # planted faults that are not found
    program: str | None = None  # which must be installed and does not come from PyPI


def main() -> int:
    """Print a line for each file; the status is 1 where there are faults."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--self_test", action="store_true", help="also plant faults, and fail where one is not found")
    planting = parser.parse_args().self_test
    faults = []
    for subject in subjects():
        if subject.program and not shutil.which(subject.program):
            print(f"{subject.name}: NOT VALIDATED, there is no {subject.program} here")
            continue
        found = subject.faults() + (subject.unnoticed() if planting else [])
        answer = "FAULTS" if found else "valid, planted faults are found" if planting else "valid"
        print(f"{subject.name}: {answer} ({subject.validator})", flush=True)
        faults += found
    for fault in faults:
        print(f"  {fault}", file=sys.stderr)
    print(NOT_VALIDATED)
    return 1 if faults else 0


def subjects() -> Iterator[Subject]:
    """All that is validated."""
    for path in scripts():
        yield Subject(name(path), "shellcheck", partial(faults_of_text, shellcheck, path), partial(unquoted, path))
    path = LAUNCH / "slurm" / "skinjax.sbatch"
    checks = partial(faults_of_text, slurm_script, path), partial(options, path)
    yield Subject(f"options of {name(path)}", "Debian's sbatch", *checks, program="sbatch")
    path = LAUNCH / "kubernetes" / "Dockerfile"
    yield Subject(name(path), "hadolint", partial(faults_of_text, hadolint, path), partial(instructions, path))
    for file, (validator, check) in MANIFESTS.items():
        path = LAUNCH / file
        yield Subject(file, validator, partial(faults_of_manifest, check, path), partial(misspelt, check, path))
    for program, (validator, check, outside) in PROGRAMS.items():
        lines = commands(program)
        checks = partial(faults_of_commands, check, lines), partial(misspelt_options, check, lines)
        yield Subject(f"{len(lines)} commands of {program}", validator, *checks, program=program if outside else None)


def faults_of_text(check: Callable[[str], list[Fault]], path: Path) -> list[Fault]:
    return check(path.read_text())


def faults_of_manifest(check: Check, path: Path) -> list[Fault]:
    return check([read(path)])[0]


def faults_of_commands(check: Check, lines: list[str]) -> list[Fault]:
    return list(chain.from_iterable(check(lines)))


# Scripts


def scripts() -> list[Path]:
    """All shell scripts."""
    return sorted(path for path in LAUNCH.rglob("*") if path.suffix in (".sh", ".sbatch"))


def shellcheck(text: str) -> list[Fault]:
    """What shellcheck says about a script."""
    return failure([BIN / "shellcheck", "--external-sources", "--format=gcc", "-"], text)


def slurm_script(text: str) -> list[Fault]:
    """What sbatch says about the options of a script."""
    with tempfile.NamedTemporaryFile("w", suffix=".sbatch") as script:
        script.write(text)
        script.flush()
        return slurm([f"sbatch {script.name}"])[0]


def slurm(lines: list[str]) -> list[list[Fault]]:
    """What sbatch says about command lines before it finds that there is no cluster."""
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as conf:
        conf.write("ClusterName=none\nSlurmctldHost=localhost\nSlurmctldPort=1\nMessageTimeout=1\nGresTypes=gpu\n")
        conf.write("AuthType=auth/none\nCredType=cred/none\nNodeName=none\nPartitionName=none Nodes=none\n")
        conf.flush()
        environment = {**os.environ, "SLURM_CONF": conf.name}
        found = []
        for line in lines:
            words = ["sbatch", "--test-only", *shlex.split(line)[1:]]
            said = subprocess.run(words, env=environment, cwd=ROOT, capture_output=True, text=True).stderr
            found.append([] if "nable to contact slurm controller" in said else [f"{line}: {said.strip()}"])
    return found


def hadolint(text: str) -> list[Fault]:
    """What hadolint says about a Dockerfile."""
    return failure([BIN / "hadolint", "--no-color", "-"], text)


def unquoted(path: Path) -> list[Fault]:
    """Whether an unquoted variable is found."""
    return [] if shellcheck(path.read_text() + "\nrm $1\n") else [f"{name(path)}: an unquoted variable is not found"]


def options(path: Path) -> list[Fault]:
    """The options of `#SBATCH` lines that may be misspelt unnoticed."""
    text = path.read_text()
    found = re.findall(r"^#SBATCH (--[a-z-]+)", text, re.MULTILINE)
    return [
        f"{name(path)}: {option}x is not found"
        for option in found
        if not slurm_script(text.replace(option, f"{option}x", 1))
    ]


def instructions(path: Path) -> list[Fault]:
    """The instructions of a Dockerfile that may be misspelt unnoticed."""
    text = path.read_text()
    found = set(re.findall(r"^[A-Z]+(?= )", text, re.MULTILINE))
    return [f"{name(path)}: {word}X is not found" for word in found if not hadolint(text.replace(word, f"{word}X", 1))]


def failure(command: list[Any], text: str) -> list[Fault]:
    done = subprocess.run(command, input=text, cwd=ROOT, capture_output=True, text=True)
    return [] if done.returncode == 0 else [done.stdout + done.stderr]


# Manifests: a check takes many versions of a file, as its documents, and gives the faults of each.


def kubernetes(versions: list[Documents]) -> list[list[Fault]]:
    """Round trips through the types that the JobSet and Kubernetes themselves are described with."""
    from kubeflow_trainer_api import models

    types = {
        "jobset.x-k8s.io/v1alpha2 JobSet": models.JobsetV1alpha2JobSet,
        "v1 PersistentVolumeClaim": models.IoK8sApiCoreV1PersistentVolumeClaim,
        "v1 Pod": models.IoK8sApiCoreV1Pod,
    }

    def check(document: dict[str, Any]) -> list[Fault]:
        kind = f"{document.get('apiVersion')} {document.get('kind')}"
        if kind not in types:
            return [f"no kind is called {kind}"]
        try:
            return different(document, types[kind].from_dict(document).to_dict())
        except ValueError as error:
            return [str(error)]

    return [list(chain.from_iterable(map(check, documents))) for documents in versions]


def ray(versions: list[Documents]) -> list[list[Fault]]:
    """Ray's schema, where nothing but what it names may be, and that of Google's compute API for the machines."""
    import googleapiclient
    import jsonschema
    import ray.autoscaler
    from ray.autoscaler._private.util import validate_config

    schema = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text())
    compute = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents" / "compute.v1.json"
    types = {key: closed(value) for key, value in json.loads(compute.read_text())["schemas"].items()}
    node = schema["properties"]["available_node_types"]["patternProperties"][".*"]["properties"]["node_config"]
    node["$ref"] = "#/definitions/compute/Instance"
    validator = jsonschema.Draft7Validator(closed(schema) | {"definitions": schema["definitions"] | {"compute": types}})

    def check(document: dict[str, Any]) -> list[Fault]:
        faults = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]
        try:
            validate_config({"cluster_synced_files": [], **document})
        except (ValueError, jsonschema.ValidationError) as error:
            faults.append(str(error))
        return faults

    return [list(chain.from_iterable(map(check, documents))) for documents in versions]


def closed(schema: Any) -> Any:
    """A schema in which an object has no other properties than it lists, as JSON Schema has it.

    Google's differs in `required`, which is a word beside a property there, and in references, which are bare names.
    """
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: closed(value) for key, value in schema.items() if not (key == "required" and value is True)}
    if isinstance(schema.get("$ref"), str) and not schema["$ref"].startswith("#"):
        found["$ref"] = f"#/definitions/compute/{schema['$ref']}"
    if isinstance(schema.get("properties"), dict) and schema.get("additionalProperties", True) is True:
        found["additionalProperties"] = False
    return found


RECOVERY = {"strategy", "max_restarts_on_errors", "recover_on_exit_codes"}

# Runs in SkyPilot's own environment: versions of a task come in, what it makes of each goes out.
SKYPILOT_PROGRAM = """
import json, sys
import sky
answers = []
for (task,) in json.load(sys.stdin):
    try:
        answers.append(sky.Task.from_yaml_config(task).to_yaml_config())
    except Exception as error:
        answers.append(str(error) or type(error).__name__)
json.dump(answers, sys.stdout)
"""


def skypilot(versions: list[Documents]) -> list[list[Fault]]:
    """SkyPilot's own parser; what it adds to a task does not count."""
    answers = in_skypilot(SKYPILOT_PROGRAM, versions)
    found = []
    for (task,), answer in zip(versions, answers, strict=True):
        faults = [answer] if isinstance(answer, str) else different(task, answer, additions=True)
        # Here any key passes and comes back; the strategies use these.
        unknown = set(task.get("resources", {}).get("job_recovery", {})) - RECOVERY
        found.append(faults + [f"resources.job_recovery has no {key}" for key in unknown])
    return found


def in_skypilot(program: str, question: Any) -> Any:
    """The answer of a program to a question, both JSON, in SkyPilot's environment and with a home of its own."""
    home = SKYPILOT.parent.parent / "home"
    home.mkdir(exist_ok=True)
    environment = {**os.environ, "HOME": str(home), "SKYPILOT_DISABLE_USAGE_COLLECTION": "1"}
    words = [SKYPILOT, "-c", program]
    done = subprocess.run(
        words, input=json.dumps(question), env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


MANIFESTS = {
    "kubernetes/jobset.yaml": ("round trip through kubeflow_trainer_api's types of JobSet", kubernetes),
    "kubernetes/storage.yaml": ("round trip through kubeflow_trainer_api's types of Kubernetes", kubernetes),
    "skypilot/skinjax.yaml": ("round trip through sky.Task", skypilot),
    "ray/cluster.yaml": ("Ray's validate_config and schema, machines by Google's compute.v1.json, both closed", ray),
}


def read(path: Path) -> Documents:
    """The documents of a YAML file."""
    import yaml

    return list(yaml.safe_load_all(path.read_text()))


def different(given: Any, back: Any, path: str = "", additions: bool = False) -> list[Fault]:
    """Where what came back is not what was given."""
    if isinstance(given, dict) and isinstance(back, dict):
        keys = given if additions else {**given, **back}
        parts = [(f"{path}.{key}", given.get(key), back.get(key)) for key in keys]
    elif isinstance(given, list) and isinstance(back, list) and len(given) == len(back):
        parts = [(f"{path}[{i}]", *pair) for i, pair in enumerate(zip(given, back, strict=True))]
    else:
        return [] if given == back else [f"{path[1:]}: {given!r} comes back as {back!r}"]
    return [fault for key, one, other in parts for fault in different(one, other, key, additions)]


def misspelt(check: Check, path: Path) -> list[Fault]:
    """The keys of a manifest that may be misspelt unnoticed, other than names that its writer chooses."""
    documents = read(path)
    keys = [(i, *key) for i, document in enumerate(documents) for key in keys_of(document)]
    found = check([with_misspelt(documents, key) for key in keys])
    missed = [".".join(map(str, key[1:])) for key, faults in zip(keys, found, strict=True) if not faults]
    print(f"{name(path)}: of {len(keys)} keys these may be misspelt: {' '.join(missed) or 'none'}")
    return [f"{name(path)}: {key} may be misspelt" for key in missed if not re.search(CHOSEN, key)]


def keys_of(document: Any, path: tuple = ()) -> Iterator[tuple]:
    """The paths of all keys of a document."""
    if isinstance(document, dict | list):
        for key, value in document.items() if isinstance(document, dict) else enumerate(document):
            if isinstance(document, dict):
                yield (*path, key)
            yield from keys_of(value, (*path, key))


def with_misspelt(documents: Documents, path: tuple) -> Documents:
    """The documents with an x after one key."""
    changed = copy.deepcopy(documents)
    parent = reduce(lambda part, key: part[key], path[:-1], changed)
    parent[f"{path[-1]}x"] = parent.pop(path[-1])
    return changed


# Commands: a check takes many command lines and gives the faults of each.


def dry_run(script: str, arguments: str, path: str | None = None) -> list[str]:
    """The commands that a script prints; `path` is where programs are looked for."""
    environment = {**os.environ, **ENVIRONMENT, "PATH": path or os.environ["PATH"]}
    done = subprocess.run(
        [LAUNCH / script, *arguments.split()], env=environment, cwd=ROOT, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True,
    )  # fmt: skip
    return done.stdout.splitlines()


def commands(program: str) -> list[str]:
    """The command lines of a program: those of the dry runs, and those in the pages."""
    printed = [line for script, calls in DRY_RUNS.items() for call in calls for line in dry_run(script, call)]
    pages = "\n".join(path.read_text() for path in sorted(LAUNCH.rglob("README.md")))
    blocks = "\n".join(re.findall(r"^```\n(.*?)^```", pages, re.MULTILINE | re.DOTALL))
    written = [part.strip() for line in blocks.splitlines() for part in re.split(" # | && ", f"{line} ")]
    return sorted({line for line in printed + written if line.startswith(f"{program} ")})


def gcloud(lines: list[str]) -> list[list[Fault]]:
    """What gcloud's own linter says."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file, tempfile.TemporaryDirectory() as home:
        json.dump([{"command_string": line} for line in lines], file)
        file.flush()
        environment = {**os.environ, "CLOUDSDK_CONFIG": home, "CLOUDSDK_CORE_DISABLE_PROMPTS": "1"}
        done = subprocess.run(
            ["gcloud", "meta", "lint-gcloud-commands", f"--commands-file={file.name}"],
            env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
    answers = json.loads(done.stdout)
    assert len(answers) == len(lines), done.stderr
    return [
        [] if answer["success"] else [f"{answer['command_string']}: {answer['error_message']}"] for answer in answers
    ]


def kubectl(lines: list[str]) -> list[list[Fault]]:
    """What kubectl says about options, which it reads before it finds that there is no server."""
    found = []
    for line in lines:
        words = [*shlex.split(line), "--kubeconfig=/dev/null", "--server=http://127.0.0.1:1", "--request-timeout=1s"]
        said = subprocess.run(words, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True).stderr
        found.append([f"{line}: {said}"] if re.search("unknown (flag|command|shorthand)|invalid arg", said) else [])
    return found


# Click parses a command line without running it; the program is the same for both that use it.
CLICK_PROGRAM = """
import json, sys
import click
answers = []
for words in json.load(sys.stdin):
    context, command, name = None, cli, words[0]
    words = words[1:]
    try:
        while True:
            context = command.make_context(name, words, parent=context)
            if not isinstance(command, click.Group):
                break
            rest = getattr(context, "_protected_args", None) or getattr(context, "protected_args", [])
            name, command, words = command.resolve_command(context, [*rest, *context.args])
        answers.append("")
    except click.ClickException as error:
        answers.append(error.format_message())
print(json.dumps(answers))
"""


def ray_click(lines: list[str]) -> list[list[Fault]]:
    """What the command line of Ray says."""
    program = f"from ray.scripts.scripts import cli\n{CLICK_PROGRAM}"
    words = json.dumps([shlex.split(line) for line in lines])
    done = subprocess.run(
        [sys.executable, "-c", program], input=words, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    return by_line(lines, json.loads(done.stdout.splitlines()[-1]))


def sky_click(lines: list[str]) -> list[list[Fault]]:
    """What the command line of SkyPilot says."""
    program = f"from sky.client.cli.command import cli\n{CLICK_PROGRAM}"
    return by_line(lines, in_skypilot(program, [shlex.split(line) for line in lines]))


def by_line(lines: list[str], answers: list[str]) -> list[list[Fault]]:
    return [[f"{line}: {answer}"] if answer else [] for line, answer in zip(lines, answers, strict=True)]


# Validator, check, and whether the program comes from elsewhere than PyPI.
PROGRAMS = {
    "gcloud": ("its linter", gcloud, True),
    "kubectl": ("its own reading of options", kubectl, True),
    "sbatch": ("its own reading of options", slurm, True),
    "ray": ("its own reading of options", ray_click, False),
    "sky": ("its own reading of options", sky_click, False),
}


def misspelt_options(check: Check, lines: list[str]) -> list[Fault]:
    """The options of commands that may be misspelt unnoticed; what follows a batch script is not sbatch's."""
    planted = [
        shlex.join([*words[:i], re.sub("^(--[a-z-]+)", r"\1x", word), *words[i + 1 :]])
        for words in map(shlex.split, lines)
        for i, word in enumerate(takewhile(lambda word: not word.endswith(".sbatch"), words))
        if word.startswith("--")
    ]
    return [f"{line}: is not found" for line, faults in zip(planted, check(planted), strict=True) if not faults]


def name(path: Path) -> str:
    return str(path.relative_to(LAUNCH))


if __name__ == "__main__":
    sys.exit(main())
