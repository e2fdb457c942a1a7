"""Circuits: which nodes of a vision transformer a task needs, and how they are joined."""

from seethrough.circuits.circuit_edges import CircuitEdges, circuit_edges
from seethrough.circuits.circuit_quality import (
    CircuitQuality,
    Performance,
    circuit_quality,
    node_fractions,
    size_quality,
)
from seethrough.circuits.circuit_scores import CircuitScores, circuit_scores
from seethrough.circuits.class_tasks import (
    ClassTask,
    TaskExamples,
    balanced_examples,
    shuffled_examples,
    task_losses,
    task_scores,
)
from seethrough.circuits.mask_sites import MaskSite, NodeLayout, node_layout
from seethrough.circuits.mask_training import MaskTraining
from seethrough.circuits.masked_forward import masked_logits
from seethrough.circuits.node_mask import active_nodes, initial_tau, node_gates
from seethrough.circuits.random_circuit import random_circuit
from seethrough.circuits.site_means import site_means
from seethrough.circuits.target_loss import TargetCircuit, circuit_at_loss
from seethrough.circuits.train_masks import LearnedMasks, train_masks

__all__ = [
    "CircuitEdges",
    "CircuitQuality",
    "CircuitScores",
    "ClassTask",
    "LearnedMasks",
    "MaskSite",
    "MaskTraining",
    "NodeLayout",
    "Performance",
    "TargetCircuit",
    "TaskExamples",
    "active_nodes",
    "balanced_examples",
    "circuit_at_loss",
    "circuit_edges",
    "circuit_quality",
    "circuit_scores",
    "initial_tau",
    "masked_logits",
    "node_fractions",
    "node_gates",
    "node_layout",
    "random_circuit",
    "shuffled_examples",
    "site_means",
    "size_quality",
    "task_losses",
    "task_scores",
    "train_masks",
]
