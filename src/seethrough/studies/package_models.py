"""Put pruned and recovered models into the package: `python -m seethrough.studies.package_models`.

The models are those of the studies of neurons and attribution at the scale `quick`, with the seed
and the recovery of that scale, made on first use like any other and copied from the store. So
`quick` needs no training, and two runs on different machines compare the same weights.
"""

import shutil
from dataclasses import asdict

import torch

from seethrough.canonical import canonical_json
from seethrough.checked_json import pretty_json, write_atomically
from seethrough.checkout import PACKAGE_FOLDER
from seethrough.parameters import build, load
from seethrough.provenance import device_name, git_state
from seethrough.store import ArtifactStore
from seethrough.studies.impact_models import DENSE, PACKAGED, PRUNED, model_file, packaged_models
from seethrough.studies.impact_neurons import Parameters


def main() -> None:
    """Write every recovered model of the scale `quick`, and the list of them."""
    parameters = build(Parameters, load("quick", "impact_neurons"))
    shutil.rmtree(PRUNED, ignore_errors=True)
    packaged_models.cache_clear()
    PRUNED.mkdir(parents=True)
    commit, dirty = git_state(PACKAGE_FOLDER)
    entries, store = [], ArtifactStore()
    for condition in parameters.conditions():
        for seed in parameters.seeds if condition.method != DENSE else ():
            name = f"{condition.name.replace('/', '_')}_seed{seed}.safetensors"
            shutil.copyfile(model_file(parameters, condition, seed, store), PRUNED / name)
            config = parameters.config(condition, seed)
            entries.append(
                {"file": name, "config": canonical_json(config), "fields": asdict(config)}
            )
    provenance = {
        "command": "python -m seethrough.studies.package_models",
        "torch": torch.__version__,
        "device": device_name(parameters.device),
        "git_commit": commit,
        "git_dirty": dirty,
    }
    write_atomically(PACKAGED, pretty_json({"models": entries, "provenance": provenance}))
    size = sum(path.stat().st_size for path in PRUNED.iterdir())
    print(f"{len(entries)} models, {size / 1e6:.1f} MB, in {PRUNED.name}/")


if __name__ == "__main__":
    main()
