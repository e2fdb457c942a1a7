"""Models of the pruning studies: configurations, what is made once, what masks leave, pictures."""

import json
import math
import pickle
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from seethrough.canonical import canonical_json
from seethrough.data.image_csv import ImageCsv
from seethrough.data.image_folder import ImageFolder
from seethrough.data.shapes3d_classes import split
from seethrough.models import train_classifier
from seethrough.models.embedded import load_embedded, weights_file
from seethrough.models.pretrained import load_classifier
from seethrough.models.train_embedded import N_HELDOUT, N_TRAIN
from seethrough.parameters import build, load
from seethrough.pruning.prunable_layers import n_removed, prunable_layers
from seethrough.pruning.sparse_checkpoint import read_sparse_checkpoint
from seethrough.store import ArtifactStore
from seethrough.studies import impact_models as module
from seethrough.studies.impact_models import (
    DENSE,
    TUNED,
    Condition,
    ImpactParameters,
    data_digest,
    masks_of,
    material,
    model_file,
    models,
    packaged_models,
    prepare,
    seconds_of,
    weights_digest,
)
from seethrough.studies.impact_neurons import Parameters
from seethrough.training.timing import stored_seconds

TINY = ImpactParameters(
    n_calibration=4, n_recovery=6, recovery_epochs=1, batch_size=4, n_evaluation=8,
    precision="float32",
)  # fmt: skip
"""A recovery of two steps."""
DENSE_MODEL, TUNED_MODEL = Condition(method=DENSE), Condition(method=TUNED, recovered=True)
WANDA = Condition(method="wanda", sparsity=0.7)
RECOVERED = replace(WANDA, recovered=True)
MAGNITUDE, RANDOM = (Condition(method=name, sparsity=0.5) for name in ("magnitude", "random"))
PATTERN = Condition(method="wanda", sparsity=0.5, structure="2:4")


@pytest.fixture(autouse=True)
def nothing_packaged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setattr(module, "PRUNED", tmp_path / "pruned")
    monkeypatch.setattr(module, "PACKAGED", tmp_path / "pruned" / "models.json")
    packaged_models.cache_clear()
    yield
    packaged_models.cache_clear()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ArtifactStore:
    """One store for the tests that need models and do not count them."""
    return ArtifactStore(tmp_path_factory.mktemp("store"))


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Labels of what is trained from here on, in order."""
    labels: list[str] = []
    function = module.train_classifier

    def counting(*arguments: Any, label: str) -> Tensor:
        labels.append(label)
        return function(*arguments, label=label)

    monkeypatch.setattr(module, "train_classifier", counting)
    return labels


def tensors(file: Path) -> dict[str, bytes]:
    """Return the tensors' bytes alone: the writer puts a header's entries in any order."""
    return {name: tensor.numpy().tobytes() for name, tensor in load_file(file).items()}


@pytest.mark.parametrize(
    ("condition", "name"),
    [
        (DENSE_MODEL, "dense"),
        (TUNED_MODEL, "dense_tuned"),
        (RECOVERED, "wanda/0.7"),
        (replace(MAGNITUDE, sparsity=0.30), "magnitude/0.3"),
        (PATTERN, "wanda/2:4"),
        (replace(PATTERN, method="random", structure="4:8"), "random/4:8"),
    ],
)
def test_names_of_conditions(condition: Condition, name: str) -> None:
    assert condition.name == name
    assert condition.is_dense == name.startswith("dense")


def test_cells_of_conditions() -> None:
    assert RECOVERED.cell() == {"model": "wanda", "sparsity": 0.7, "structure": "unstructured"}
    assert PATTERN.cell() == {"model": "wanda", "sparsity": 0.5, "structure": "2:4"}
    assert DENSE_MODEL.cell() == {"model": "dense", "sparsity": 0.0, "structure": "unstructured"}


def test_conditions_of_the_parameters() -> None:
    found = replace(TINY, sparsities=(0.3, 0.7)).conditions()
    assert [c.name for c in found] == ["dense", "dense_tuned", "wanda/0.3", "wanda/0.7"]
    assert [c.recovered for c in found] == [False, True, True, True]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sparsities": ()}, r"^sparsities is \(\), allowed is one or more, each once$"),
        ({"sparsities": (0.7, 0.7)}, r"^sparsities is \(0.7, 0.7\), allowed is one or more"),
        ({"sparsities": (0.5, 1.0)}, "^sparsities has 1.0, allowed is above 0 and below 1$"),
        ({"sparsities": (math.nan,)}, "^sparsities has nan, allowed is above 0 and below 1$"),
        ({"seeds": ()}, r"^seeds is \(\), allowed is one or more"),
        ({"seeds": (1, 0, 1)}, r"^seeds is \(1, 0, 1\), allowed is one or more, each once$"),
        ({"seeds": (0, -1)}, "^seed is -1, allowed is at least 0$"),
        ({"n_calibration": 0}, "^n_calibration is 0, allowed is at least 1$"),
        ({"n_recovery": -2}, "^n_recovery is -2, allowed is at least 1$"),
        ({"n_evaluation": 0}, "^n_evaluation is 0, allowed is at least 1$"),
        ({"workers": 0}, "^workers is 0, allowed is at least 1$"),
        ({"recovery_epochs": 0}, "^recovery_epochs is 0, allowed is at least 1$"),
        ({"recovery_rate": 0.0}, "^recovery_rate is 0.0, allowed is a finite number above 0$"),
        ({"batch_size": 0}, "^batch_size is 0, allowed is at least 1$"),
        ({"precision": "half"}, "^precision is 'half', allowed: float32, bfloat16$"),
        ({"group": "column"}, "^group is 'column', allowed"),
        ({"statistics": "none"}, "^statistics is 'none', allowed are dense, sequential$"),
        ({"device": "tpu"}, "^device is 'tpu', allowed"),
        ({"data": "x"}, "^data is 'x', allowed is nothing for shapes3d_vit, which has its own$"),
        ({"weights": "random"}, "^weights is 'random', allowed is nothing for shapes3d_vit"),
        ({"model": "test_vit"}, "^model 'test_vit' needs weights and data; .* shapes3d_vit$"),
        ({"model": "shapes_vit", "weights": "random"}, "^model 'shapes_vit' needs weights and da"),
    ],
)
def test_bad_parameters_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        replace(TINY, **changes)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("weights", "nowhere"),
        ("data", "nowhere"),
        ("data", "random"),
        ("pictures", "nowhere"),
        ("train_data", "pretrained"),
    ],
)
def test_missing_files_are_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setattr(module, "load_classifier", lambda *_: pytest.fail("weights were loaded"))
    sources = {"weights": "random", "data": str(tmp_path)} | {name: value}
    parameters = replace(TINY, model="test_vit", **sources)
    with pytest.raises(ValueError, match=f"^{name} is '{value}', allowed is a path that exists$"):
        material(parameters)


def test_configurations_differ_as_the_models_do() -> None:
    some = (DENSE_MODEL, TUNED_MODEL, WANDA, RECOVERED, MAGNITUDE, RANDOM, PATTERN)
    configs = [TINY.config(condition, seed) for condition in some for seed in (0, 1)]
    assert len({canonical_json(config) for config in configs}) == 14
    dense, tuned, pruned, recovered = (TINY.config(c, 1) for c in some[:4])
    assert (dense.pruning, tuned.pruning, dense.recovery) == (None, None, None)
    assert tuned.recovery == recovered.recovery == TINY.recovery(1)
    assert (tuned.n_recovery, tuned.n_calibration) == (6, 0)
    assert (pruned.recovery, pruned.n_recovery, pruned.n_calibration) == (None, 0, 4)
    assert recovered.pruning == pruned.pruning
    assert recovered.pruning is not None
    assert (recovered.pruning.method, recovered.pruning.sparsity) == ("wanda", 0.7)
    assert {config.data for config in configs} == {""}
    assert {config.weights for config in configs} == {weights_digest(TINY.model, "")}


@pytest.mark.parametrize(
    ("condition", "free"),
    [
        (MAGNITUDE, {"n_calibration": 9, "n_recovery": 9, "statistics": "sequential"}),
        (MAGNITUDE, {"recovery_epochs": 9, "recovery_rate": 0.1, "batch_size": 9, "threads": 2}),
        (WANDA, {"n_recovery": 9, "recovery_rate": 0.1, "precision": "bfloat16"}),
        (TUNED_MODEL, {"n_calibration": 9, "group": "layer", "sparsities": (0.1, 0.2)}),
        (PATTERN, {"group": "layer", "n_recovery": 9}),
        (RECOVERED, {"n_evaluation": 9, "workers": 2, "seeds": (0, 5), "sparsities": (0.1,)}),
    ],
)
def test_what_a_model_does_not_hang_on_is_not_in_its_configuration(
    condition: Condition, free: dict[str, Any]
) -> None:
    assert replace(TINY, **free).config(condition, 0) == TINY.config(condition, 0)


@pytest.mark.parametrize(
    ("condition", "bound"),
    [
        (WANDA, {"n_calibration": 9}),
        (WANDA, {"statistics": "sequential"}),
        (MAGNITUDE, {"group": "layer"}),
        (RECOVERED, {"n_recovery": 9}),
        (RECOVERED, {"batch_size": 9}),
        (TUNED_MODEL, {"recovery_epochs": 9}),
        (TUNED_MODEL, {"precision": "bfloat16"}),
    ],
)
def test_what_a_model_hangs_on_is(condition: Condition, bound: dict[str, Any]) -> None:
    assert replace(TINY, **bound).config(condition, 0) != TINY.config(condition, 0)


def test_models_come_in_order_and_share_the_dense_one(store: ArtifactStore) -> None:
    parameters = replace(TINY, seeds=(0, 3))
    found = list(models(parameters, [DENSE_MODEL, RECOVERED, MAGNITUDE], store))
    names = ("dense", "wanda/0.7", "magnitude/0.5")
    assert [(c.name, seed) for c, seed, _ in found] == [(n, seed) for n in names for seed in (0, 3)]
    dense = material(parameters).classifier.model
    assert found[0][2] is found[1][2] is dense
    assert len({id(model) for *_, model in found}) == 5
    assert not any(model.training for *_, model in found)
    expected = load_embedded("shapes3d_vit").model.state_dict()
    assert all(torch.equal(t, expected[n]) for n, t in dense.state_dict().items())


@pytest.mark.parametrize("condition", [WANDA, RECOVERED, MAGNITUDE, PATTERN])
def test_pruned_weights_are_zero_at_exactly_the_mask(
    store: ArtifactStore, condition: Condition
) -> None:
    ((_, _, model),) = models(TINY, [condition], store)
    masks = masks_of(TINY.config(condition, 0), material(TINY), TINY)
    dense = prunable_layers(material(TINY).classifier.model)
    layers = prunable_layers(model)
    assert layers.keys() == masks.keys()
    for name, layer in layers.items():
        assert torch.equal(layer.weight != 0, masks[name])
        width = layer.in_features
        assert (masks[name].sum(1) == width - n_removed(width, condition.sparsity)).all()
        kept, before = layer.weight[masks[name]], dense[name].weight[masks[name]]
        assert torch.equal(kept.half(), kept)  # stored in half precision
        assert torch.equal(before.half().float(), kept) != condition.recovered
    _, stored = read_sparse_checkpoint(model_file(TINY, condition, 0, store))
    assert all(torch.equal(stored[name], mask) for name, mask in masks.items())


def test_a_dense_model_with_the_recoverys_steps_is_whole(store: ArtifactStore) -> None:
    ((_, _, model),) = models(TINY, [TUNED_MODEL], store)
    before = material(TINY).classifier.model.state_dict()
    assert all(layer.weight.count_nonzero() > 0.999 * layer.weight.numel()
               for layer in prunable_layers(model).values())  # fmt: skip
    moved = {n for n, t in model.state_dict().items() if not torch.equal(t, before[n])}
    assert moved == before.keys()


def test_dense_weights_stay_as_they_were(store: ArtifactStore) -> None:
    before = {n: t.clone() for n, t in material(TINY).classifier.model.state_dict().items()}
    for _, _, model in models(TINY, [RECOVERED, TUNED_MODEL], store):
        with torch.no_grad():
            model.head.weight.zero_()  # type: ignore[operator, union-attr]
    after = material(TINY).classifier.model.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


def test_seeds_draw_other_images(store: ArtifactStore) -> None:
    source = material(TINY)
    masks = [masks_of(TINY.config(WANDA, seed), source, TINY) for seed in (0, 0, 1)]
    first, again, other = (m["blocks.3.mlp.fc2"] for m in masks)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_model_is_made_once(
    tmp_path: Path,
    store: ArtifactStore,
    trained: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    conditions = [DENSE_MODEL, TUNED_MODEL, RECOVERED]
    before = [tensors(model_file(TINY, c, 0, store)) for c in conditions[1:]]
    trained.clear()
    fresh = ArtifactStore(tmp_path / "store")
    prepare(TINY, conditions, fresh)
    labels = ["recovery, dense, seed 0", "recovery, wanda 0.7, seed 0"]
    assert trained == labels
    assert "making 2 model(s), 4 steps of 4 images" in capsys.readouterr().err
    assert [tensors(model_file(TINY, c, 0, fresh)) for c in conditions[1:]] == before
    assert len(list(models(replace(TINY, n_evaluation=3), conditions, fresh))) == 3
    assert trained == labels
    assert "making" not in capsys.readouterr().err
    list(models(replace(TINY, n_calibration=5), conditions, fresh))
    assert trained == [*labels, labels[1]]  # what was not calibrated is the same


def test_an_interrupted_recovery_goes_on(
    tmp_path: Path, store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of two steps is kept, the second taken after the interruption."""
    whole = tensors(model_file(TINY, RECOVERED, 0, store))
    taken, step = [], train_classifier.train_step

    def stopping(*arguments: Any) -> Tensor:
        taken.append(len(taken))
        if len(taken) == 2:
            raise KeyboardInterrupt
        return step(*arguments)

    monkeypatch.setattr(train_classifier, "train_step", stopping)
    monkeypatch.setattr(train_classifier, "STEPS_BETWEEN_CHECKPOINTS", 1)
    pieces = ArtifactStore(tmp_path / "pieces")
    with pytest.raises(KeyboardInterrupt):
        model_file(TINY, RECOVERED, 0, pieces)
    assert tensors(model_file(TINY, RECOVERED, 0, pieces)) == whole
    assert taken == [0, 1, 2]


def test_workers_get_what_is_missing(store: ArtifactStore, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(module, "parallel_map", lambda *arguments: asked.extend(arguments))
    model_file(TINY, MAGNITUDE, 0, store)
    missing = replace(MAGNITUDE, sparsity=0.15)
    prepare(replace(TINY, workers=2), [DENSE_MODEL, MAGNITUDE, missing], store)
    function, items, workers = asked
    assert (items, workers) == ([(missing, 0)], 2)
    assert pickle.loads(pickle.dumps(function)).keywords == function.keywords


def test_seconds_are_those_of_the_stored_models(store: ArtifactStore) -> None:
    files = [model_file(TINY, condition, 0, store) for condition in (RECOVERED, MAGNITUDE)]
    expected = sum(stored_seconds(file.parent) for file in files)
    conditions = [DENSE_MODEL, RECOVERED, MAGNITUDE, RECOVERED]
    assert seconds_of(TINY, conditions, store) == pytest.approx(expected)
    assert expected > 0


def test_packaged_models_are_found_by_their_configuration(
    tmp_path: Path, store: ArtifactStore, trained: list[str]
) -> None:
    assert packaged_models() == {}
    folder, config = tmp_path / "pruned", canonical_json(TINY.config(RECOVERED, 0))
    folder.mkdir()
    shutil.copyfile(model_file(TINY, RECOVERED, 0, store), folder / "some.safetensors")
    entries = [{"file": "some.safetensors", "config": config}]
    (folder / "models.json").write_text(json.dumps({"models": entries}))
    packaged_models.cache_clear()
    trained.clear()
    empty = ArtifactStore(tmp_path / "empty")
    assert model_file(TINY, RECOVERED, 0, empty) == folder / "some.safetensors"
    ((_, _, model),) = models(TINY, [RECOVERED], empty)
    assert int(prunable_layers(model)["blocks.0.mlp.fc1"].weight.count_nonzero()) == 512 * 39
    assert seconds_of(TINY, [DENSE_MODEL, RECOVERED], empty) == 0.0
    assert (trained, empty.entries()) == ([], [])
    model_file(replace(TINY, n_calibration=3), RECOVERED, 0, empty)
    assert trained == ["recovery, wanda 0.7, seed 0"]


def test_the_scale_quick_needs_no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    packaged_models.cache_clear()
    quick = build(Parameters, load("quick", "impact_neurons"))
    wanted = [(c, s) for c in quick.conditions() if c.method != DENSE for s in quick.seeds]
    files = [packaged_models()[canonical_json(quick.config(c, seed))] for c, seed in wanted]
    assert sorted(files) == sorted(packaged_models().values())
    for (condition, _), file in zip(wanted, files, strict=True):
        _, masks = read_sparse_checkpoint(file)
        for mask in masks.values():
            width = mask.shape[1]
            assert (mask.sum(1) == width - n_removed(width, condition.sparsity)).all()


def test_held_out_images_are_what_training_did_not_see() -> None:
    source = material(TINY)
    train, heldout = split(N_HELDOUT)
    assert torch.equal(source.train_index, train[:N_TRAIN])
    assert torch.equal(source.heldout, torch.cat([heldout, train[N_TRAIN:]]))
    assert source.training is source.evaluation
    assert material(replace(TINY)) is source


def test_images_of_classes() -> None:
    """The first two held-out images of each class, in the classes' order, found one by one."""
    source = material(TINY)
    labels = source.evaluation.labels
    expected = []
    for number in (300, 7):
        own = [i for i in source.heldout[:20_000].tolist() if int(labels[i]) == number]
        expected += own[:2]
    assert source.of_classes(torch.tensor([300, 7]), 2).tolist() == expected
    everyone = source.of_classes(torch.tensor([7]), 10**6)
    assert len(everyone) == int((labels[source.heldout] == 7).sum())
    few = replace(source, heldout=torch.tensor(expected[:3]))
    assert few.of_classes(torch.tensor([7, 8, 300]), 2).tolist() == [expected[2], *expected[:2]]


def test_samples_are_drawn_without_replacement() -> None:
    source = material(TINY)
    sample = source.sample(50, 0, "recovery")
    assert len(set(sample.tolist())) == 50
    assert torch.isin(sample, source.train_index).all()
    assert torch.equal(source.sample(20, 0, "recovery"), sample[:20])
    assert not torch.equal(source.sample(50, 1, "recovery"), sample)
    assert not torch.equal(source.sample(50, 0, "calibration"), sample)
    few = replace(source, train_index=torch.tensor([5, 9, 7]))
    assert sorted(few.sample(10, 0, "means").tolist()) == [5, 7, 9]


def test_too_few_held_out_images_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^n_evaluation is 999999, allowed is at most 288000: th"):
        material(replace(TINY, n_evaluation=999_999))


def draw(root: Path, classes: str = "abc", n: int = 4, size: tuple[int, int] = (200, 180)) -> str:
    for number, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for i in range(n):
            shade = (60 * number, 20 * i, 100)
            Image.new("RGB", size, shade).save(root / name / f"{i}.png")
    return str(root)


@pytest.fixture
def weights(tmp_path: Path) -> str:
    """Weights of timm's small model for tests with three classes."""
    state = load_classifier("test_vit", "random", n_classes=3).model.state_dict()
    save_file(state, tmp_path / "vit.safetensors")
    return str(tmp_path / "vit.safetensors")


@pytest.fixture
def pictures(tmp_path: Path, weights: str) -> ImpactParameters:
    """Twelve pictures of three classes: six to train on, six held out."""
    data = draw(tmp_path / "zoo")
    return replace(TINY, model="test_vit", weights=weights, data=data, n_evaluation=6)


def test_pictures_in_class_folders(pictures: ImpactParameters, tmp_path: Path) -> None:
    source = material(pictures)
    assert source.classifier.n_classes == len(source.evaluation.class_names) == 3
    both = torch.cat([source.train_index, source.heldout])
    assert (len(source.heldout), sorted(both.tolist())) == (6, list(range(12)))
    assert source.evaluation.image_shape == (3, 160, 160)
    store = ArtifactStore(tmp_path / "store")
    *_, (_, _, model) = models(pictures, pictures.conditions(), store)
    config = pictures.config(RECOVERED, 0)
    assert config.weights == weights_digest("test_vit", pictures.weights)
    masks = masks_of(config, source, pictures)
    for name, layer in prunable_layers(model).items():
        assert not layer.weight[~masks[name]].any()
    with pytest.raises(ValueError, match="n_evaluation is 7, allowed is at most 6: the held-out"):
        material(replace(pictures, n_evaluation=7))


def test_training_pictures_of_their_own(pictures: ImpactParameters, tmp_path: Path) -> None:
    own = replace(pictures, train_data=draw(tmp_path / "more", n=2), n_evaluation=12)
    source = material(own)
    assert (len(source.training), len(source.evaluation)) == (6, 12)
    assert source.train_index.tolist() == list(range(6))
    assert sorted(source.heldout.tolist()) == list(range(12))
    assert own.config(MAGNITUDE, 0) != pictures.config(MAGNITUDE, 0)
    other = replace(own, train_data=draw(tmp_path / "other", "bc"))
    with pytest.raises(ValueError, match="train_data has 2 class folders and data 3, allowed are"):
        material(other)


def test_more_classes_than_logits_are_refused(pictures: ImpactParameters, tmp_path: Path) -> None:
    wide = draw(tmp_path / "wide", "abcd", 2)
    with pytest.raises(
        ValueError, match="wide has 4 class folders, allowed is at most 3: the classes of test_vit"
    ):
        material(replace(pictures, data=wide))


def test_pictures_listed_in_a_csv(pictures: ImpactParameters, tmp_path: Path) -> None:
    rows = [f"{name}/{i}.png,{number}" for number, name in enumerate("abc") for i in range(4)]
    table = tmp_path / "zoo" / "labels.csv"
    table.write_text("\n".join(["file,class_index", *rows]))
    beside = replace(pictures, data=str(table))
    source = material(beside)
    assert isinstance(source.evaluation, ImageCsv)
    assert source.evaluation.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    elsewhere = shutil.copyfile(table, tmp_path / "labels.csv")
    named = replace(beside, data=str(elsewhere), pictures=str(tmp_path / "zoo"))
    assert torch.equal(material(named).heldout, source.heldout)
    assert named.config(WANDA, 0) == beside.config(WANDA, 0)


def test_pictures_may_be_cut_out_as_they_are(pictures: ImpactParameters) -> None:
    cut, resized = material(replace(pictures, resize=False)), material(pictures)
    found = [source.evaluation.preprocessing for source in (cut, resized)]  # type: ignore[attr-defined]
    assert isinstance(cut.evaluation, ImageFolder)
    assert found[0] == replace(found[1], crop_fraction=None) != found[1]
    digests = [p.config(WANDA, 0).data for p in (replace(pictures, resize=False), pictures)]
    assert digests[0] != digests[1]


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "b" / "0.png").rename(root / "a" / "9.png"),
        lambda root: (root / "b").rename(root / "d"),
        lambda root: (root / "c" / "3.png").unlink(),
        lambda root: (root / "c" / "3.png").write_bytes(b"longer than the picture was" * 99),
    ],
)
def test_changed_folders_have_another_digest(
    tmp_path: Path, change: Callable[[Path], object]
) -> None:
    before = data_digest(draw(tmp_path / "zoo"), "", "", True)
    moved = tmp_path / "elsewhere"
    shutil.copytree(tmp_path / "zoo", moved)
    assert data_digest(str(moved), "", "", True) == before
    changed = tmp_path / "changed"
    shutil.copytree(moved, changed)
    change(changed)
    assert data_digest(str(changed), "", "", True) != before


def test_a_picture_in_another_class_has_another_digest(tmp_path: Path) -> None:
    """Same names, sizes and order of files; only the folder of one is another."""
    for place, folder in (("one", "a"), ("other", "b")):
        for path in (f"{place}/a/0.png", f"{place}/{folder}/1.png", f"{place}/b/2.png"):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_bytes(b"picture")
    digests = [data_digest(str(tmp_path / name), "", "", True) for name in ("one", "other")]
    assert digests[0] != digests[1]


def test_class_folders_may_be_links(tmp_path: Path) -> None:
    """Links to class folders count as the pictures behind them, which are what is shown."""
    draw(tmp_path / "zoo")
    for name, classes in (("linked", "abc"), ("swapped", "bac")):
        (tmp_path / name).mkdir()
        for link, folder in zip("abc", classes, strict=True):
            (tmp_path / name / link).symlink_to(tmp_path / "zoo" / folder)
    plain, linked = (data_digest(str(tmp_path / n), "", "", True) for n in ("zoo", "linked"))
    assert linked == plain
    (tmp_path / "zoo" / "a" / "more.png").write_bytes(b"picture")
    assert data_digest(str(tmp_path / "swapped"), "", "", True) != plain


def test_labels_count_with_their_content(tmp_path: Path) -> None:
    data = Path(draw(tmp_path / "zoo"))
    found = []
    for number, text in enumerate(("file,class_index\na,0\nb,1", "file,class_index\na,1\nb,0")):
        table = tmp_path / f"{number}.csv"
        table.write_text(text)
        found.append(data_digest(str(table), str(data), "", True))
    assert found[0] != found[1]
    assert data_digest(str(data), "", "", True) not in found


def test_the_purpose_of_a_folder_counts(tmp_path: Path) -> None:
    one, other = draw(tmp_path / "one"), draw(tmp_path / "other", "ab")
    digests = {data_digest(*some, True) for some in ((one, "", other), (other, "", one))}
    assert len(digests) == 2
    assert data_digest("", "", "", True) == ""


def test_digest_of_weights(tmp_path: Path) -> None:
    """The SHA-256 of three bytes, `printf abc | sha256sum`."""
    (tmp_path / "w.pth").write_bytes(b"abc")
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert weights_digest("test_vit", str(tmp_path / "w.pth")) == digest
    assert weights_digest("test_vit", "pretrained") == "pretrained"
    own = weights_digest("shapes3d_vit", "")
    assert own == weights_digest("test_vit", str(weights_file("shapes3d_vit")))
