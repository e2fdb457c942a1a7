"""Parameters: coercion, refusals in one sentence, and the files in params/."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from seethrough import studies
from seethrough.parameters import (
    PROFILES,
    ParameterError,
    assignments,
    build,
    from_namespace,
    load,
    load_profile,
    params_folder,
    plain,
    profile_of,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Toy:
    width: int = 500
    beta: float = 1.0
    source: str = "rendered"
    shuffle: bool = False
    position: Literal["beside", "latent"] = "beside"
    seeds: tuple[int, ...] = (0,)
    rates: tuple[float, ...] = ()
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"width is {self.width},\nallowed is at least 1")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("width", 7, 7),
        ("beta", 2, 2.0),
        ("beta", 0.5, 0.5),
        ("beta", "1e-3", 0.001),  # YAML takes 1e-3 for text
        ("source", "x", "x"),
        ("shuffle", True, True),
        ("position", "latent", "latent"),
        ("seeds", [1, 2], (1, 2)),
        ("seeds", [], ()),
        ("rates", [1, "1e-4"], (1.0, 0.0001)),
        ("limit", None, None),
        ("limit", 3, 3),
    ],
)
def test_values_take_the_type_of_their_field(name: str, value: object, expected: object) -> None:
    made = getattr(build(Toy, {name: value}), name)
    assert made == expected
    assert type(made) is type(expected)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("width", "7", "a whole number"),
        ("width", 7.0, "a whole number"),
        ("width", True, "a whole number"),
        ("width", None, "a whole number"),
        ("beta", "high", "a finite number"),
        ("beta", "nan", "a finite number"),
        ("beta", float("inf"), "a finite number"),
        ("beta", 10**400, "a finite number"),
        ("beta", False, "a finite number"),
        ("source", 3, "text"),
        ("shuffle", 1, "true or false"),
        ("shuffle", "true", "true or false"),
        ("position", "above", "beside, latent"),
        ("position", ["beside"], "beside, latent"),
        ("seeds", 1, "a list such as"),
        ("seeds", "0,1", "a list such as"),
        ("limit", "x", "a whole number"),
    ],
)
def test_wrong_values_are_refused(name: str, value: object, allowed: str) -> None:
    with pytest.raises(
        ParameterError, match=f"^parameter {name} is .*, allowed (is|are) {allowed}"
    ):
        build(Toy, {name: value})


def test_a_wrong_entry_of_a_list_is_named() -> None:
    with pytest.raises(ParameterError, match=r"^parameter seeds\[1\] is 0.5, allowed is a whole"):
        build(Toy, {"seeds": [0, 0.5]})


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(
        ParameterError, match=r"'widht' is unknown \(did you mean width\?\), allowed are beta, "
    ):
        build(Toy, {"widht": 3})


def test_what_the_class_refuses_comes_as_one_line() -> None:
    with pytest.raises(ParameterError, match="^width is 0, allowed is at least 1$"):
        build(Toy, {"width": 0})


def test_unsupported_annotations_are_the_programmers_fault() -> None:
    @dataclass(frozen=True)
    class Odd:
        folder: Path = Path()

    with pytest.raises(TypeError, match="declared as"):
        build(Odd, {"folder": "x"})


def test_assignments() -> None:
    texts = ["width=7", "beta=1e-3", "source=123", "shuffle=true", "seeds=[0, 1]", "rates=[.5]"]
    values = assignments(Toy, texts)
    assert values["source"] == "123"  # a text field takes the value as it stands
    assert build(Toy, values) == Toy(
        width=7, beta=0.001, source="123", shuffle=True, seeds=(0, 1), rates=(0.5,)
    )
    assert assignments(Toy, ["source=a=b"]) == {"source": "a=b"}


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        (["width"], "'width' has no value, allowed is NAME=VALUE"),
        (["=3"], "'=3' has no value"),
        (["width=1", "width=2"], "'width' is given twice"),
        (["seeds=[0, 1"], r"seeds is '\[0, 1', which is not YAML"),
    ],
)
def test_wrong_assignments_are_refused(texts: list[str], sentence: str) -> None:
    with pytest.raises(ParameterError, match=f"^parameter {sentence}"):
        assignments(Toy, texts)


def write(folder: Path, **profiles: str) -> Path:
    for name, text in profiles.items():
        (folder / f"{name}.yml").write_text(text)
    return folder


def test_load_and_profile_of(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        smoke="toy: {width: 5}\n",
        quick="toy: {width: 50, seeds: [0, 1]}\nother: {}\n",
        paper="other: {}\n",
    )
    assert load("quick", "toy", folder) == {"width": 50, "seeds": [0, 1]}
    assert profile_of("toy", Toy(width=5), folder) == "smoke"
    assert profile_of("toy", Toy(width=50, seeds=(0, 1)), folder) == "quick"
    assert profile_of("toy", Toy(width=50), folder) == "custom"
    assert profile_of("toy", Toy(), tmp_path / "nowhere") == "custom"


@pytest.mark.parametrize(
    ("profile", "study", "sentence"),
    [
        ("huge", "toy", "profile is 'huge', allowed are smoke, quick, reference, paper, natural$"),
        ("quick", "toi", "profile 'quick' has no parameters for study 'toi'; it has toy$"),
        ("smoke", "toy", "params/smoke.yml is not YAML: "),
        ("paper", "toy", "params/paper.yml holds something else than names of studies"),
    ],
)
def test_wrong_profiles_are_refused(
    tmp_path: Path, profile: str, study: str, sentence: str
) -> None:
    folder = write(tmp_path, quick="toy: {}", smoke="toy: [", paper="toy: 3")
    with pytest.raises(ParameterError, match=f"^{sentence}") as caught:
        load(profile, study, folder)
    assert "\n" not in str(caught.value)


def test_profiles_need_a_checkout(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="no file params/quick.yml here"):
        load("quick", "toy", tmp_path)


def test_plain_reads_back() -> None:
    toy = Toy(seeds=(1, 2), rates=(0.5,))
    assert build(Toy, plain(toy)) == toy


def committed_parameters() -> list[tuple[str, str, dict[str, Any]]]:
    folder = params_folder()
    present = [p for p in PROFILES if folder and (folder / f"{p}.yml").is_file()]
    return [(p, study, values) for p in present for study, values in load_profile(p).items()]


@pytest.mark.parametrize(("profile", "study", "values"), committed_parameters())
def test_committed_profiles_are_valid(profile: str, study: str, values: dict[str, Any]) -> None:
    cls = studies.get(study).load().Parameters
    known = {name: value for name, value in values.items() if name != "device"}
    assert build(cls, known) is not None  # a GPU may be asked for that is not here
    if "device" in values:
        assert values["device"].split(":")[0] in ("cpu", "cuda")


def test_a_notebooks_variables_become_parameters() -> None:
    variables = {**plain(Toy(width=7, seeds=(3, 4))), "np": object(), "result": 1}
    assert from_namespace(Toy, variables) == Toy(width=7, seeds=(3, 4))
    del variables["beta"]
    with pytest.raises(ParameterError, match="variable beta"):
        from_namespace(Toy, variables)


def test_what_studies_share_is_no_study(tmp_path: Path) -> None:
    text = ".shared: &shared {seeds: [1, 2]}\ntoy:\n  <<: *shared\n  width: 3\n"
    folder = write(tmp_path, quick=text)
    assert load_profile("quick", folder) == {"toy": {"seeds": [1, 2], "width": 3}}
