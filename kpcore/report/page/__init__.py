"""The page of a study: ``report/index.html``."""

from kpcore.report.page.page import write_page

__all__ = ["write_page"]
