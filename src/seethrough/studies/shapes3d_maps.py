"""The rays of the re-rendered 3D Shapes, cast once and kept in the store for every process."""

from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import load_file, save_file

from seethrough.data.shapes3d import N_GEOMETRIES, all_maps, keep_maps, maps_are_drawn
from seethrough.data.shapes3d_scene import Scene
from seethrough.store import ArtifactStore

MAPS_FILE = "maps.safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class GeometryMaps:
    """The maps that every image is summed from, of all scales, shapes and orientations."""

    scene: Scene = Scene()
    """Camera, room, solids and light."""


def use_stored_maps(store: ArtifactStore, n_images: int) -> None:
    """Let this process draw with the stored maps, cast now if the store lacks them.

    Casting all takes several seconds in every process that does it. For fewer images than there
    are geometries nothing happens: they are drawn from the few geometries that they show. Images
    are the same with and without.
    """
    if n_images >= N_GEOMETRIES and not maps_are_drawn():
        folder = store.get(GeometryMaps(), _cast)
        keep_maps(load_file(folder / MAPS_FILE)["maps"])


def _cast(_: GeometryMaps, workspace: Path) -> None:
    save_file({"maps": all_maps()}, workspace / MAPS_FILE)
