"""The circuits of one model: learned, judged, cut to a loss, and the controls."""

from collections.abc import Iterator
from functools import cached_property

from jaxtyping import Bool, Float, Float32
from torch import Tensor, nn

from seethrough.circuits.class_tasks import ClassTask
from seethrough.circuits.mask_sites import NodeLayout, node_layout
from seethrough.circuits.node_mask import active_nodes
from seethrough.circuits.site_means import site_means
from seethrough.circuits.target_loss import circuit_at_loss
from seethrough.models.embedded import MODELS, build
from seethrough.models.pretrained import RANDOM, load_classifier
from seethrough.store import ArtifactStore
from seethrough.studies.circuit_images import (
    SEEN,
    UNSEEN,
    Examples,
    has_unseen_hues,
    heldout_examples,
    learned_examples,
    with_shuffled_labels,
)
from seethrough.studies.circuit_masks import (
    SEEN_HUES,
    SHUFFLED,
    TRUE,
    UNTRAINED,
    MaskConfig,
    learned_masks,
)
from seethrough.studies.circuit_numbers import MaskedModel, Numbers
from seethrough.studies.circuit_parameters import DENSE_KAPPA, Parameters, loss_setting, setting
from seethrough.studies.circuit_rows import Place
from seethrough.studies.impact_models import Condition, Material
from seethrough.training.initialise import generator_for

FULL = "full"
"""The setting of a model with all its nodes."""
UNTRAINED_SEED = 1
"""Start of the control without training; the embedded model was trained from start 0."""


class ModelCircuits:
    """One model with the masks learned on it."""

    def __init__(
        self,
        model: nn.Module,
        condition: Condition,
        seed: int,
        source: Material,
        parameters: Parameters,
        store: ArtifactStore,
    ) -> None:
        self.model, self.condition, self.seed = model, condition, seed
        self.source, self.parameters, self.store = source, parameters, store
        self.seconds = 0.0
        self.active: dict[Place, Bool[Tensor, " nodes"]] = {}
        self._learned: dict[tuple[str, str], Examples] = {}

    @cached_property
    def layout(self) -> NodeLayout:
        """Where the nodes stand."""
        return node_layout(self.model, self.parameters.granularity)

    @cached_property
    def means(self) -> Float[Tensor, " channels"]:
        """What a node becomes that is masked."""
        some = self.parameters
        rows = self.source.sample(some.n_mean_images, self.seed, "means")
        return site_means(
            self.model, self.source.training.batches(rows, some.batch_size, some.device)
        )

    @cached_property
    def masked(self) -> MaskedModel:
        """The model with its means."""
        return MaskedModel(self.model, self.layout, self.means, self.parameters.batch_size)

    def of_task(self, heldout: Examples) -> Iterator[tuple[Place, Numbers]]:
        """Yield the circuits of one task: the model itself, every price, every target loss."""
        name, learned = heldout.pairs.task.name, self.learned(heldout.pairs.task)
        kappas = self.parameters.kappas
        tau = self.tau(TRUE, learned, kappas)
        full = self.masked.scores(heldout, self.masked.everything())[0]
        yield self._place(FULL, name), {"loss": full[0], "accuracy": full[1]}
        for kappa, row in zip(kappas, tau, strict=True):
            place, active = self._place(setting(kappa), name), active_nodes(row)
            self.active[place] = active
            numbers = self._judged(active, heldout, full[1], place)
            fitted = self.masked.scores(learned, active)[0][0]
            yield place, numbers | {"learned_loss": fitted}
        # Of the circuits those of the lowest price come nearest to a low loss. One price ranks the
        # nodes of all models, so that the target alone decides.
        ranking = tau[kappas.index(min(kappas))]
        for target in self.parameters.target_losses:
            place = self._place(loss_setting(target), name)
            yield place, self._at_loss(ranking, target, heldout, full[1], place)

    def shuffled(self, heldout: Examples) -> tuple[Place, Numbers]:
        """Return the circuit learned from dealt labels, judged by the true ones."""
        task = heldout.pairs.task
        dealt = with_shuffled_labels(self.learned(task), self.seed)
        return self._place(SHUFFLED, task.name), self._control(SHUFFLED, dealt, heldout)

    def untrained(self, heldout: Examples) -> tuple[Place, Numbers]:
        """Return the circuit of a model of this architecture with its first weights."""
        some = self.parameters
        if some.model in MODELS:
            model: nn.Module = build(some.model, UNTRAINED_SEED)
        else:
            n_classes = self.source.classifier.n_classes
            model = load_classifier(some.model, RANDOM, n_classes, UNTRAINED_SEED).model
        other = ModelCircuits(
            model.to(some.device), self.condition, self.seed, self.source, some, self.store
        )
        numbers = other._control(UNTRAINED, self.learned(heldout.pairs.task), heldout)
        self.seconds += other.seconds
        return Place(UNTRAINED, setting(DENSE_KAPPA), heldout.pairs.task.name), numbers

    def unseen_hues(self, task: ClassTask) -> Iterator[tuple[Place, Numbers]]:
        """Yield the model and its circuit learned on some hues, on these hues and on others.

        Nothing for a task of which hues are a part, or images whose hues are not known.
        """
        if not has_unseen_hues(self.source, task):
            return
        some = self.parameters
        learned = self.learned(task, SEEN)
        seen, unseen = (
            heldout_examples(self.source, task, some.n_heldout_pairs, self.seed, hues)
            for hues in (SEEN, UNSEEN)
        )
        active = active_nodes(self.tau(SEEN_HUES, learned, (DENSE_KAPPA,))[0])
        everything = self.masked.everything()
        numbers = []
        for mask in (everything, active):
            known, new = (self.masked.scores(examples, mask)[0] for examples in (seen, unseen))
            numbers.append(
                {
                    "loss": known[0],
                    "accuracy": known[1],
                    "unseen_loss": new[0],
                    "unseen_accuracy": new[1],
                }
            )
        yield self._place(f"{FULL}_{SEEN_HUES}", task.name), numbers[0]
        yield self._place(SEEN_HUES, task.name), self.masked.size(active) | numbers[1]

    def with_mask_of(
        self, other: "ModelCircuits", kappa: float, heldout: Examples
    ) -> tuple[Place, Numbers]:
        """Return the other model's circuit laid on this model's weights."""
        task = heldout.pairs.task.name
        active = other.active[Place(other.condition.name, setting(kappa), task)]
        loss, accuracy = self.masked.scores(heldout, active)[0]
        numbers = self.masked.size(active) | {"loss": loss, "accuracy": accuracy}
        return self._place(f"mask_of_{other.condition.name.replace('/', '_')}", task), numbers

    def learned(self, task: ClassTask, hues: str = "") -> Examples:
        """Return the images from which masks of the task are learned, kept until another task."""
        self._learned = {key: kept for key, kept in self._learned.items() if key[0] == task.name}
        key = (task.name, hues)
        if key not in self._learned:
            n_pairs = self.parameters.n_pairs
            self._learned[key] = learned_examples(self.source, task, n_pairs, self.seed, hues)
        return self._learned[key]

    def tau(
        self, kind: str, learned: Examples, kappas: tuple[float, ...]
    ) -> Float32[Tensor, "kappas nodes"]:
        """Return the masks learned on these examples, from the store if they are there."""
        some = self.parameters
        config = MaskConfig(
            model=some.config(self.condition, self.seed),
            kind=kind,
            task=learned.pairs.task.name,
            n_pairs=some.n_pairs,
            n_mean_images=some.n_mean_images,
            seed=self.seed,
            training=some.training(kappas, self.layout.n_nodes, self.seed),
        )
        found = learned_masks(config, self.model, learned, lambda: self.means, self.store)
        self.seconds += found.seconds
        return found.tau

    def _control(self, kind: str, learned: Examples, heldout: Examples) -> Numbers:
        """Return a control at the paper's price for dense models."""
        active = active_nodes(self.tau(kind, learned, (DENSE_KAPPA,))[0])
        loss, accuracy = self.masked.scores(heldout, active)[0]
        fitted = self.masked.scores(learned, active)[0][0]
        found = {"loss": loss, "accuracy": accuracy, "learned_loss": fitted}
        return self.masked.size(active) | found

    def _at_loss(
        self,
        ranking: Float32[Tensor, " nodes"],
        target: float,
        heldout: Examples,
        full_accuracy: float,
        place: Place,
    ) -> Numbers:
        """Return the circuit cut to a target loss on the held-out pairs."""

        def loss_of(active: Bool[Tensor, " nodes"]) -> float:
            return self.masked.scores(heldout, active)[0][0]

        cut = circuit_at_loss(ranking, loss_of, target)
        self.active[place] = cut.active
        numbers = self._judged(cut.active, heldout, full_accuracy, place)
        return numbers | {"reached": float(cut.reached)}

    def _judged(
        self, active: Bool[Tensor, " nodes"], heldout: Examples, full_accuracy: float, place: Place
    ) -> Numbers:
        draws = generator_for(self.seed, "random circuit", *place)
        return self.masked.judged(active, heldout, full_accuracy, draws)

    def _place(self, setting: str, task: str) -> Place:
        return Place(self.condition.name, setting, task)
