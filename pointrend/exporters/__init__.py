"""Predictions in other tools' formats, one format a module. They import no torch.

==========================================  ==============================================================
:func:`to_coco`, :func:`coco_dataset`       COCO results and data sets, for pycocotools and annotation tools
:func:`to_labelme`                          LabelMe's JSON, one file an image
:func:`to_yolo`, :func:`yolo_data`          YOLO segmentation labels, one text file an image, and ``data.yaml``
:func:`to_mask_pngs`                        one black and white PNG an instance
:func:`to_supervision`                      ``supervision.Detections``
:func:`from_supervision`                    a prediction of ``supervision.Detections``, the way back
:func:`with_masks`                          masks added to ``supervision.Detections`` of another detector
==========================================  ==============================================================

All instances in one numbered picture are :func:`pointrend.visualize.label_map.label_map`, objects cut out of the image
:func:`pointrend.visualize.cutouts.cutouts`, and the image with masks drawn on it
:func:`pointrend.visualize.overlay.overlay`.
"""

from pointrend.exporters.coco import coco_dataset, to_coco
from pointrend.exporters.labelme import to_labelme
from pointrend.exporters.mask_pngs import to_mask_pngs
from pointrend.exporters.supervision import from_supervision, to_supervision, with_masks
from pointrend.exporters.yolo import to_yolo, yolo_data

__all__ = [
    "coco_dataset",
    "from_supervision",
    "to_coco",
    "to_labelme",
    "to_mask_pngs",
    "to_supervision",
    "to_yolo",
    "with_masks",
    "yolo_data",
]
