from kpcore.api.results import read_results as read_results
from kpcore.api.studies import load_study as load_study
from kpcore.hooks import hookimpl as hookimpl
from kpcore.trained.api import load_model as load_model

__all__ = ["__version__", "hookimpl", "load_model", "load_study", "read_results"]
__version__: str
LAZY: dict[str, str]
