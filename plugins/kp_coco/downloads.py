"""COCO's files as its publisher serves them (cocodataset.org, "Download"): the keypoints of 2017 and their images.

The publisher states no checksums; these are the ones that independent projects state alike. They matter, because the
publisher's addresses are of plain HTTP.
"""

from __future__ import annotations

from kpcore.interfaces import Download, Licence

BASE = "http://images.cocodataset.org"
PAGE = "https://cocodataset.org/#termsofuse"
IMAGES = Licence(
    name="COCO, terms of use of the images",
    summary="The COCO Consortium does not own the images: their use must abide by Flickr's terms, each has its"
    " photographer's licence, many of them not for commercial use, and the user is responsible for that.",
    page=PAGE,
)
ANNOTATIONS = Licence(
    name="Creative Commons Attribution 4.0",
    summary="The annotations belong to the COCO Consortium; they may be used, changed and passed on with its name.",
    page=PAGE,
)
KEYPOINTS = ("annotations/person_keypoints_train2017.json", "annotations/person_keypoints_val2017.json")

DOWNLOADS = (
    Download(
        name="train2017",
        address=f"{BASE}/zips/train2017.zip",
        licence=IMAGES,
        places={"train2017": "train2017"},
        size=19_336_861_798,
        unpacked=25_000_000_000,
        entries=130_000,
        sha256="69a8bb58ea5f8f99d24875f21416de2e9ded3178e903f1f7603e283b9e06d929",
    ),
    Download(
        name="val2017",
        address=f"{BASE}/zips/val2017.zip",
        licence=IMAGES,
        places={"val2017": "val2017"},
        size=815_585_330,
        unpacked=2_000_000_000,
        entries=10_000,
        sha256="4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05",
    ),
    Download(
        name="annotations",
        address=f"{BASE}/annotations/annotations_trainval2017.zip",
        licence=ANNOTATIONS,
        places={path: path for path in KEYPOINTS},
        size=252_907_541,
        unpacked=2_000_000_000,
        entries=100,
        sha256="113a836d90195ee1f884e704da6304dfaaecff1f023f49b6ca93c4aaae470268",
    ),
)
"""The annotations come last: with them the folder is one that the data set reads."""
