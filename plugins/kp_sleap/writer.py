"""The writer ``slp``: a SLEAP file of predicted instances, written by sleap-io (sleap.ai; Pereira et al., 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from kpcore.errors import KpError
from kpcore.interfaces import About, Predicted, Sink, Writer
from kpcore.keypoints import KeypointSet
from kpcore.placing import beside
from kpcore.trained.individuals import individuals


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
        self._found: list[Predicted] = []

    def add(self, found: Predicted) -> None:
        """Keep points and names; SLEAP's file is written as a whole."""
        if not found.problem:
            self._found.append(found)

    def finish(self) -> Sequence[Path]:
        """Write the file."""
        videos = Videos(self._found, self._sleap)
        named = individuals([one.ids for one in self._found])
        tracks = {name: self._sleap.Track(name) for name in named or ()}
        frames = [self._frame(one, videos, tracks) for one in self._found]
        labels = self._sleap.Labels(
            labeled_frames=[frame for frame in frames if len(frame)],
            videos=videos.all,
            skeletons=[self._skeleton],
            tracks=list(tracks.values()),
        )
        partial = beside(self._path)
        self._sleap.save_slp(labels, str(partial), embed=False, verbose=False)
        return [partial.replace(self._path)]

    def _frame(self, found: Predicted, videos: Videos, tracks: dict[str, Any]) -> Any:
        video, number = videos.of(found)
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
        found: all predictions.
        sleap: the library.
    """

    def __init__(self, found: Sequence[Predicted], sleap: Any) -> None:
        self._places: dict[int, tuple[Any, int]] = {}
        of: dict[Path | tuple[int, int], list[Predicted]] = {}
        for one in found:
            of.setdefault(one.size if one.frame is None else one.path, []).append(one)
        self.all = [_video(group, sleap) for group in of.values()]
        for group, video in zip(of.values(), self.all, strict=True):
            for place, one in enumerate(group):
                self._places[id(one)] = (video, place if one.frame is None else one.frame)

    def of(self, found: Predicted) -> tuple[Any, int]:
        """Return the video and the number in it of one of the predictions that this was made of."""
        return self._places[id(found)]


def _video(group: Sequence[Predicted], sleap: Any) -> Any:
    """Return a video that is described as sleap-io describes one that it has open, so that no file is opened."""
    width, height = group[0].size
    paths = [str(one.path.absolute()) for one in group]
    told: dict[str, Any] = {"filename": paths[0], "grayscale": False, "fps": None}
    if group[0].frame is None:
        told |= {"type": "ImageVideo", "filenames": paths, "shape": (len(paths), height, width, 3)}
        told |= {"height_": height, "width_": width, "channels_": 3}
        return sleap.Video(paths, backend_metadata=told, open_backend=False)
    count = 1 + max(one.frame for one in group if one.frame is not None)
    told |= {"type": "MediaVideo", "shape": (count, height, width, 3), "bgr": True, "dataset": "", "input_format": ""}
    return sleap.Video(paths[0], backend_metadata=told, open_backend=False)


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
