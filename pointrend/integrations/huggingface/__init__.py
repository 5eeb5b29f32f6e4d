"""A call like that of transformers' ``image-segmentation`` pipeline, for code that is written for it.

Neither transformers nor another library of Hugging Face's is needed.
"""

from pointrend.integrations.huggingface.segmentation import ImageSegmentationPipeline, SegmentDict, pipeline

__all__ = ["ImageSegmentationPipeline", "SegmentDict", "pipeline"]
