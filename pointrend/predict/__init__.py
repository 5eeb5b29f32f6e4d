"""``pointrend predict``: many images to files, here or by a server; what was done once is not done again."""

from pointrend.predict.images import FoundImages, ImageFile, find_images
from pointrend.predict.job import Job
from pointrend.predict.run import Failure, PredictOutcome, run
from pointrend.predict.saving import SAVERS, result_folders
from pointrend.predict.sources import LocalSource, ServerSource

__all__ = [
    "SAVERS",
    "Failure",
    "FoundImages",
    "ImageFile",
    "Job",
    "LocalSource",
    "PredictOutcome",
    "ServerSource",
    "find_images",
    "result_folders",
    "run",
]
