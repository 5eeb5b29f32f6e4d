"""``pointrend predict``: many photos to files, here or by a server; what was done once is not done again."""

from pointrend.predict.photos import PhotoFile, find_photos
from pointrend.predict.run import Failure, Job, Outcome, run
from pointrend.predict.saving import SAVERS, result_folders
from pointrend.predict.sources import LocalSource, ServerSource

__all__ = [
    "SAVERS",
    "Failure",
    "Job",
    "LocalSource",
    "Outcome",
    "PhotoFile",
    "ServerSource",
    "find_photos",
    "result_folders",
    "run",
]
