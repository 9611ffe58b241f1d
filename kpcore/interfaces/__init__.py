"""The interfaces that a plugin can supply. One short abstract class a file; concrete classes are final."""

from kpcore.findings import Finding
from kpcore.interfaces.backbone import Backbone
from kpcore.interfaces.codec import Codec, Targets
from kpcore.interfaces.component import Component, ComponentConfig
from kpcore.interfaces.dataset import Dataset, Facts, Near
from kpcore.interfaces.download import Download, Licence
from kpcore.interfaces.generator import Generator
from kpcore.interfaces.metric import Metric, Scores
from kpcore.interfaces.split import Split
from kpcore.interfaces.strategy import Need, TransferStrategy
from kpcore.interfaces.tracker import Ending, Track, Tracker
from kpcore.interfaces.writer import About, Category, Identity, Predicted, Sink, Writer
from kpcore.terms import Terms

__all__ = [
    "About",
    "Backbone",
    "Category",
    "Codec",
    "Component",
    "ComponentConfig",
    "Dataset",
    "Download",
    "Ending",
    "Facts",
    "Finding",
    "Generator",
    "Identity",
    "Licence",
    "Metric",
    "Near",
    "Need",
    "Predicted",
    "Scores",
    "Sink",
    "Split",
    "Targets",
    "Terms",
    "Track",
    "Tracker",
    "TransferStrategy",
    "Writer",
]
