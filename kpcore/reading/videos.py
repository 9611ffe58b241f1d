"""Which video a frame is of, where its name says so clearly; a numbered picture of one flat folder is of none."""

from __future__ import annotations

import re
from pathlib import Path

LABELLED = "labeled-data"
"""The folder that DeepLabCut keeps a folder of frames a video in."""
_VIDEO = r"(?<![a-z])(?:video|vid|clip|movie|film)(?![a-z])"
_ENDING = r"(?<![a-z])(?:mp4|avi|mov|mkv|webm|m4v)(?![a-z])"
_NUMBER = r"[ _.-]*\d+"
NAMED = (
    re.compile(rf"(?P<video>.*{_ENDING})-\d+_(?:jpe?g|png)(?:\.rf\..*)?", re.IGNORECASE),  # walk_mp4-12_jpg.rf.3fa9
    re.compile(rf"(?P<video>.*?)[ _.-]*(?<![a-z])frame{_NUMBER}", re.IGNORECASE),  # walk_frame0012
    re.compile(rf"(?P<video>.*{_VIDEO}[ _.-]*\d*)[ _.-]+\d+", re.IGNORECASE),  # video_0001, clip3_12; not clip_art_001
    re.compile(rf"(?P<video>.*{_ENDING}.*?)[ _.-]+\d+", re.IGNORECASE),  # walk.mp4_0012
)
"""Names of frames, without their ending; the first that fits counts."""
FOLDER = re.compile(rf"(?:.*[ _.-])?(?:{_VIDEO}{_NUMBER}|.*\.(?:mp4|avi|mov|mkv|webm|m4v))", re.IGNORECASE)
"""Names of folders of one video: ``video3``, ``walk.mp4``."""
NAMELESS = re.compile(rf"[ _.-]*(?:{_VIDEO})?[ _.-]*", re.IGNORECASE)
"""What stands for a video without telling which."""
PARTS = re.compile(r"train(?:ing)?|val(?:id|idation)?|test(?:ing)?|images?", re.IGNORECASE)
"""Folders that divide frames, and so say nothing of their video."""
NUMBERED = re.compile(rf"(?:img|image|im)?{_NUMBER}", re.IGNORECASE)


def video_of(path: Path) -> str | None:
    """Return the video that a frame is of, None where its path does not say."""
    folder = path.parent
    if folder.parent.name == LABELLED or (FOLDER.fullmatch(folder.name) and NUMBERED.fullmatch(path.stem)):
        return str(folder)
    for pattern in NAMED:
        if found := pattern.fullmatch(path.stem):
            return str((folder if NAMELESS.fullmatch(found["video"]) else undivided(folder)) / found["video"])
    return None


def undivided(folder: Path) -> Path:
    """Return a folder without the names that only say a part: a video that has a name is one in all of them."""
    return Path(*(name for name in folder.parts if not PARTS.fullmatch(name)))
