"""The writer ``slp``: a SLEAP file of predicted instances, written by sleap-io (sleap.ai; Pereira et al., 2022)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import numpy as np

from kpcore.errors import KpError
from kpcore.interfaces import About, Predicted, Sink, Writer
from kpcore.keypoints import KeypointSet
from kpcore.placing import placed
from kpcore.trained.individuals import individuals
from kpcore.trained.spool import Spool

Group: TypeAlias = Path | tuple[int, int]
"""What the pictures of one of SLEAP's videos share: the video file, or their size."""


class Slp(Writer):
    """SLEAP's own file, which its GUI opens for correction: predicted instances with scores, skeleton, and videos.

    SLEAP counts pixels as we do: 0-based, pixel centres at integers. Images become a video a size, since all frames of
    one have the same; the pictures themselves stay where they are, named by their whole paths. Instances are tracks
    where their ids last from picture to picture, as following gives them. Scores are confidences in the codec's units,
    an instance's the mean of its keypoints'. Needs sleap-io: ``pip install "kptransfer[sleap]"``.
    """

    file: ClassVar[str] = "predictions.slp"

    def open(self, path: Path, about: About) -> Sink:
        """Begin the file.

        Raises:
            KpError: sleap-io is not installed, or keypoints are 3D.
        """
        about.require_flat("slp")
        return _Sink(path, about.keypoints, library())


def library() -> Any:
    """Return sleap-io; raises KpError where it is not installed."""
    try:
        import sleap_io
    except ImportError as error:
        raise KpError(f"--format slp: needs sleap-io ({error}); pip install 'kptransfer[sleap]'") from None
    return sleap_io


class _Sink(Sink):
    def __init__(self, path: Path, keypoints: KeypointSet, sleap: Any) -> None:
        self._path = path
        self._sleap = sleap
        self._skeleton = skeleton_of(keypoints, sleap)
        self._spool = Spool(path.with_name(f"{path.name}.spool.partial"))

    def add(self, found: Predicted) -> None:
        """Put it aside: SLEAP's file is written as a whole."""
        if not found.problem:
            self._spool.add(found)

    def finish(self) -> Sequence[Path]:
        """Write the file."""
        videos = Videos(self._spool, self._sleap)
        named = individuals(one.ids for one in self._spool)
        tracks = {name: self._sleap.Track(name) for name in named or ()}
        frames = (self._frame(one, videos, tracks) for one in self._spool)
        labels = self._sleap.Labels(
            labeled_frames=[frame for frame in frames if len(frame)],
            videos=videos.all,
            skeletons=[self._skeleton],
            tracks=list(tracks.values()),
        )
        with placed(self._path) as partial:
            self._sleap.save_slp(labels, str(partial), embed=False, verbose=False)
        self._spool.remove()
        return [self._path]

    def abandon(self) -> None:
        """Remove what was put aside."""
        self._spool.remove()

    def _frame(self, found: Predicted, videos: Videos, tracks: dict[str, Any]) -> Any:
        video, number = videos.place(found)
        kept = [place for place, points in enumerate(found.points) if np.isfinite(points).any()]
        instances = [self._instance(found, place, tracks) for place in kept]
        return self._sleap.LabeledFrame(video=video, frame_idx=number, instances=instances)

    def _instance(self, found: Predicted, place: int, tracks: dict[str, Any]) -> Any:
        surer = np.nan_to_num(found.confidence[place], posinf=0, neginf=0)
        there = np.isfinite(found.points[place]).all(1)
        return self._sleap.PredictedInstance.from_numpy(
            found.points[place],
            skeleton=self._skeleton,
            point_scores=surer,
            score=float(surer[there].mean()),
            track=tracks.get(found.ids[place]),
        )


class Videos:
    """SLEAP's videos: one a video file, and one a size of images; and where each picture is.

    Args:
        found: all predictions, in order.
        sleap: the library.
    """

    def __init__(self, found: Iterable[Predicted], sleap: Any) -> None:
        groups: dict[Group, _Pictures] = {}
        for one in found:
            groups.setdefault(_group(one), _Pictures(one.size)).add(one)
        self._videos = {group: pictures.video(sleap) for group, pictures in groups.items()}
        self._taken: Counter[Group] = Counter()

    @property
    def all(self) -> list[Any]:
        """All of them."""
        return list(self._videos.values())

    def place(self, found: Predicted) -> tuple[Any, int]:
        """Return the video of a picture and its number in it; images are to be asked for in order, each once."""
        group = _group(found)
        self._taken[group] += 1
        return self._videos[group], self._taken[group] - 1 if found.frame is None else found.frame


def _group(found: Predicted) -> Group:
    return found.size if found.frame is None else found.path


class _Pictures:
    """The pictures of one of SLEAP's videos: the images, or the frames of a video."""

    def __init__(self, size: tuple[int, int]) -> None:
        self._size = size
        self._images: list[str] = []
        self._video = ""
        self._frames = 0

    def add(self, found: Predicted) -> None:
        if found.frame is None:
            self._images.append(str(found.path.absolute()))
        else:
            self._video = self._video or str(found.path.absolute())
            self._frames = max(self._frames, found.frame + 1)

    def video(self, sleap: Any) -> Any:
        """Return a video that is described as sleap-io describes one that it has open, so that no file is opened."""
        width, height = self._size
        told: dict[str, Any] = {"filename": self._video or self._images[0], "grayscale": False, "fps": None}
        if self._video:
            told |= {"type": "MediaVideo", "shape": (self._frames, height, width, 3), "bgr": True}
            told |= {"dataset": "", "input_format": ""}
            return sleap.Video(self._video, backend_metadata=told, open_backend=False)
        told |= {"type": "ImageVideo", "filenames": self._images, "shape": (len(self._images), height, width, 3)}
        told |= {"height_": height, "width_": width, "channels_": 3}
        return sleap.Video(self._images, backend_metadata=told, open_backend=False)


def skeleton_of(keypoints: KeypointSet, sleap: Any) -> Any:
    """Return SLEAP's skeleton of these keypoints: their names, the edges between them, and mirror pairs."""
    names, skeleton = keypoints.names, keypoints.skeleton
    pairs = {frozenset((name, skeleton[name].mirror)) for name in names if skeleton[name].mirror in names}
    return sleap.Skeleton(
        nodes=list(names),
        edges=[edge for edge in skeleton.edges if set(edge) <= set(names)],
        symmetries=sorted(tuple(sorted(str(name) for name in pair)) for pair in pairs),
        name=skeleton.name,
    )
