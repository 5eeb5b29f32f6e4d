"""A model of SAHI's (https://github.com/obss/sahi), which cuts large images into slices: this project's, behind it.

Shapes: H, W of a slice, h, w of a mask's window in it, in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from numpy.typing import NDArray

from pointrend.client import Client
from pointrend.errors import InvalidOption, RequestError
from pointrend.exporters.instances import require_instances
from pointrend.masks.decode import window
from pointrend.structures.options import OptionKeywords, Options
from pointrend.structures.prediction import Instance, Prediction
from pointrend.system.extras import sentence

try:
    from sahi.models.base import DetectionModel
    from sahi.prediction import ObjectPrediction
    from sahi.utils.compatibility import fix_full_shape_list, fix_shift_amount_list
    from sahi.utils.cv import get_coco_segmentation_from_bool_mask
except ModuleNotFoundError as error:
    raise ImportError(f"pointrend.integrations.sahi needs {sentence('sahi')}") from error

if TYPE_CHECKING:
    from pointrend.inference.base import Segmenter  # with it comes PyTorch, which a client does without

NOT_HERE = {
    "score_threshold": "give confidence_threshold, as for every model of SAHI's",
    "boxes": "SAHI has no boxes to give",
    "tiles": "SAHI cuts the slices",
}


class PointRendDetectionModel(DetectionModel):
    """Runs this model, in this process or on a server, wherever SAHI takes a ``detection_model``.

    Args:
        model: what :func:`pointrend.load` returns, or a :class:`~pointrend.client.Client`.
        model_path: instead of ``model``, the name or folder of a model to load.
        confidence_threshold: the lowest score, from 0 to 1; SAHI's functions may override it for one call.
        category_mapping: other names for categories, by their ids as text: ``{"1": "pedestrian"}``.
        category_remapping: other ids of all categories, by their ids as text, as SAHI applies them.
        options: of every prediction; see :class:`~pointrend.structures.options.Options`.

    Raises:
        InvalidOption: an option that is out of range, that SAHI sets, or that the model does not know.
        ValueError: the model predicts a category for each pixel, not objects.
        RequestError: the server cannot say which categories its model has.

    Example::

        from sahi.predict import get_sliced_prediction

        model = PointRendDetectionModel(pointrend.load("demo"), categories="person")
        result = get_sliced_prediction("photo.jpg", model, slice_height=512, slice_width=512)
    """

    category_mapping: dict[str, str] | None

    def __init__(
        self,
        model: Segmenter[Any] | Client | None = None,
        model_path: str = "demo",
        *,
        confidence_threshold: float = 0.5,
        category_mapping: dict[str, str] | None = None,
        category_remapping: dict[str, int] | None = None,
        **options: Unpack[OptionKeywords],
    ) -> None:
        for name, instead in NOT_HERE.items():
            if name in options:
                raise InvalidOption(
                    f"{name} cannot be set here: {instead}.", field=name, code="unsupported_combination"
                )
        self._options = options
        self._parsed(confidence_threshold)
        super().__init__(
            model_path=model_path,
            model=model,
            confidence_threshold=confidence_threshold,
            category_mapping=category_mapping,
            category_remapping=category_remapping,
        )

    def load_model(self) -> None:
        """Load ``model_path``."""
        import pointrend  # and PyTorch with the model

        self.set_model(pointrend.load(self.model_path))

    def set_model(self, model: Segmenter[Any] | Client, **_kwargs: Any) -> None:
        """Take a loaded model or a client, and its categories' names.

        Raises:
            ValueError: the model predicts a category for each pixel, not objects.
            RequestError: the server does not describe its model.
        """
        if isinstance(model, Client):
            described = model.describe()
            tasks, names = described["tasks"], {str(each["id"]): each["name"] for each in described["categories"]}
        else:
            tasks, names = model.tasks, {str(each.id): each.name for each in model.info.categories}
        if "instances" not in tasks:
            raise ValueError("SAHI needs a model that finds objects; this one predicts a category for each pixel.")
        self.model = model
        self.category_mapping = names | (self.category_mapping or {})

    def perform_inference(self, image: NDArray[np.uint8]) -> None:
        """Segment an image (H, W, 3), uint8 RGB.

        Raises:
            InvalidOption: as for the model itself.
            RequestError: as for the client.
        """
        self.perform_batch_inference([image])

    def perform_batch_inference(self, images: Sequence[NDArray[np.uint8]]) -> None:
        """Segment images (H, W, 3), uint8 RGB: in this process one after the other, on a server all at once.

        Raises:
            InvalidOption: as for the model itself.
            RequestError: as for the client; the first that failed.
        """
        options = self._parsed(self.confidence_threshold)
        if isinstance(self.model, Client):
            asked: OptionKeywords = {**self._options, "score_threshold": self.confidence_threshold}
            answers = self.model.segment_many(images, concurrency=len(images), progress=False, **asked)
            self._original_predictions = [_sound(each) for each in answers]
        elif self.model is None:
            raise ValueError("The model was unloaded: load_model() loads it again.")
        else:
            self._original_predictions = [self.model(image, options) for image in images]

    @property
    def num_categories(self) -> int:
        """How many categories the model knows."""
        return len(self.category_names)

    @property
    def category_names(self) -> list[str]:
        """In the order of the model's categories."""
        return list((self.category_mapping or {}).values())

    @property
    def has_mask(self) -> bool:
        """Whether masks are asked for."""
        options = self._parsed(self.confidence_threshold)
        return options.task == "instances" and options.masks != "none"

    def _parsed(self, threshold: float) -> Options:
        """The options of a prediction.

        Raises:
            InvalidOption: one of them is out of range, or not for objects.
        """
        options = Options.parse({**self._options, "score_threshold": threshold})
        if options.task == "semantic":
            raise InvalidOption("SAHI needs objects: task can be instances or detection.", field="task")
        return options

    def _create_object_prediction_list_from_original_predictions(
        self,
        shift_amount_list: list[list[int | float]] | None = None,
        full_shape_list: list[list[int | float]] | None = None,
    ) -> None:
        """Hand over what was found, an image each.

        Args:
            shift_amount_list: ``[x, y]`` of each slice in its image, or of the only one.
            full_shape_list: ``[height, width]`` of each slice's image, or of the only one; else the slice is the image.
        """
        predictions: Sequence[Prediction] = self._original_predictions
        shifts = fix_shift_amount_list(shift_amount_list)
        shapes = fix_full_shape_list(full_shape_list) or [[each.height, each.width] for each in predictions]
        self._object_prediction_list_per_image = [
            [
                found
                for instance in require_instances(prediction, "SAHI")
                if (found := self._object(instance, prediction, shift, shape)) is not None
            ]
            for prediction, shift, shape in zip(predictions, shifts, shapes, strict=True)
        ]

    def _object(
        self, instance: Instance, prediction: Prediction, shift: Sequence[float], shape: Sequence[float]
    ) -> ObjectPrediction | None:
        """An object as SAHI has it; None of one whose mask is no wider than a line, which SAHI's polygons cannot be."""
        outlines = None
        if instance.segmentation is not None:
            x, y, mask = window(instance.segmentation, (prediction.height, prediction.width))
            # SAHI's outlines connect the middles of pixels, as it draws them; COCO's polygons run along pixels' edges.
            outlines = [
                (np.reshape(outline, (-1, 2)) + np.array((x, y))).ravel().tolist()
                for outline in (get_coco_segmentation_from_bool_mask(mask) if mask.size else [])
            ]
            if not outlines:
                return None
        left, top, width, height = instance.bbox
        # Without masks SAHI itself compares boxes and writes them in COCO's form: they stay as the model has them.
        return ObjectPrediction(
            bbox=[left, top, left + width, top + height],
            category_id=instance.category_id,
            category_name=(self.category_mapping or {}).get(str(instance.category_id), instance.name),
            segmentation=outlines,
            score=instance.score,
            shift_amount=list(shift),
            full_shape=list(shape),
        )


def _sound(answer: Prediction | RequestError) -> Prediction:
    """A prediction; a failed request is raised."""
    if isinstance(answer, RequestError):
        raise answer
    return answer
