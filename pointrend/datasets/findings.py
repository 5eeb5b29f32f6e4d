"""What is wrong with a file of labels: the rules, and a bounded list of where each was met.

A finding is harmless where leaving out or repairing the one item changes nothing else: the file's other labels mean
what they say. It is fatal where labels would be attached to the wrong pixels, or an object taught as background:
the file is refused, with everything that is wrong with it at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pointrend.errors import DataError

EXAMPLES = 5  # places named for each rule; more are counted
LONGEST = 160  # characters of a place


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of fault.

    Attributes:
        fatal: whether the file is refused.
        text: what was met, as a clause without its end.
        action: what is done about a harmless one; what to do about a fatal one.
    """

    fatal: bool
    text: str
    action: str


def _fatal(text: str, action: str) -> Rule:
    return Rule(True, text, action)


def _harmless(text: str, action: str) -> Rule:
    return Rule(False, text, action)


UNSEEN = (
    "neither learnt nor judged: what is found in its bbox is no mistake; without one, its category counts as not "
    "wholly labelled in the image"
)

RULES: Mapping[str, Rule] = {
    "list": _fatal("a list of the file is missing, or an item is not an object", "export the labels again"),
    "no-images": _fatal("images is empty", "export the labels again, with their images"),
    "category": _fatal("a category without a usable id and name", "give it a whole number and a name"),
    "category-twice": _fatal("two categories with one id", "give each its own"),
    "image": _fatal("an image without a usable id, file_name, width or height", "fix the entry"),
    "image-twice": _fatal("two different images with one id", "give each its own, in the annotations too"),
    "labelled": _fatal("labelled_category_ids is not a list of ids", 'list the ids, or write "all"'),
    "outside-folder": _fatal("file_name leaves the folder of images", "write it relative to images/"),
    "no-file": _fatal("the image file is missing", "copy it to images/, or remove the entry"),
    "unreadable": _fatal("the image file is damaged or not an image", "replace it, or remove the entry"),
    "size": _fatal("the image has another size than labelled", "use the images that were labelled"),
    "turned": _fatal(
        "EXIF rotates the image, but the labels are for the unrotated pixels",
        "apply the rotation to the file and its labels, or remove the EXIF tag",
    ),
    "no-image": _fatal("no image has this image_id", "add the image, or remove the annotation"),
    "crowd": _fatal("iscrowd is neither 0 nor 1", "write 0 or 1"),
    "category-id": _fatal("category_id is not a whole number", "write the id of a category"),
    "segmentation": _fatal("segmentation is neither polygons nor run lengths of the image's size", "export it again"),
    "encoding": _harmless("the file is not plain UTF-8", "read all the same"),
    "file-name": _harmless(
        "file_name has back-slashes, a prefix such as images/, or Label Studio's own folder of uploads",
        "read without them",
    ),
    "id": _harmless("a number written as text or with a decimal point", "read as a whole number"),
    "image-repeated": _harmless("an image is listed twice with the same values", "one is left out"),
    "file-shared": _harmless("several images name one file", "each is used with its own labels"),
    "mirrored": _harmless(
        "EXIF mirrors or turns the image by 180 degrees, which its size cannot tell", "used upright; check the labels"
    ),
    "crowd-null": _harmless("iscrowd is null, true, false, or a number as text", "read as 0 or 1"),
    "unknown-category": _harmless("category_id is not among categories", "the annotation is left out"),
    "no-mask": _harmless("segmentation is missing or empty", UNSEEN),
    "part": _harmless(
        "a polygon of fewer than 3 points, an odd count of numbers, or numbers that are not finite or far outside",
        "the part is left out",
    ),
    "empty-mask": _harmless("the mask has no pixel in the image", "left out; its bbox, if in the image, is neutral"),
    "beyond": _harmless("a polygon reaches beyond the image", "it is cut off at the edge"),
    "repeated": _harmless("an annotation is an exact duplicate, including its mask", "one is left out"),
    "annotation-id": _harmless("annotations share an id, or have none", "used; the ids are not needed"),
    "bbox": _harmless("bbox is malformed or far from the mask", "the mask's own is used"),
    "area": _harmless("area is not a number of pixels", "the mask's own is used"),
    "crowd-only": _harmless("an image has crowd regions only", "used; crowds are neither trained nor evaluated"),
    "bare": _harmless("an image has no annotation", "used as an image without objects"),
}
"""Every rule by its name; ``docs/training.md`` has them as a table, which a test compares with these."""


class Findings:
    """Counts of what was met, with the first places of each rule.

    Example:
        >>> findings = Findings()
        >>> findings.add("no-mask", "annotation 7")
        >>> findings.counts
        {'no-mask': 1}
    """

    def __init__(self) -> None:
        self._places: dict[str, list[str]] = {}
        self.counts: dict[str, int] = {}

    def add(self, rule: str, place: str) -> None:
        """Note that a rule was met.

        Args:
            rule: one of :data:`RULES`.
            place: where: the annotation's or image's id.

        Raises:
            KeyError: there is no such rule.
        """
        RULES[rule]
        self.counts[rule] = self.counts.get(rule, 0) + 1
        places = self._places.setdefault(rule, [])
        if len(places) < EXAMPLES:
            # Names come from the file: a line break in one must not look like another finding.
            plain = "".join(letter if letter.isprintable() else "?" for letter in place)
            places.append(plain if len(plain) <= LONGEST else plain[:LONGEST] + "...")

    def lines(self, *, fatal: bool) -> list[str]:
        """A line for each rule met, in the order of :data:`RULES`."""
        return [self._line(name, rule) for name, rule in RULES.items() if name in self.counts and rule.fatal == fatal]

    def _line(self, name: str, rule: Rule) -> str:
        count, places = self.counts[name], self._places[name]
        more = f"; and {count - len(places)} more" if count > len(places) else ""
        return f"{name} ({count}): {rule.text}: {rule.action}. {'; '.join(places)}{more}"

    def note(self) -> str:
        """What was harmless, a line for each rule, for a command to print; empty if there was nothing."""
        lines = self.lines(fatal=False)
        return "\n".join(["Labels, harmless:", *(f"  {line}" for line in lines)]) if lines else ""

    def refuse_fatal(self, path: Path) -> None:
        """Refuse the file if something fatal was met.

        Raises:
            DataError: it lists all findings, the fatal ones first.
        """
        fatal, harmless = self.lines(fatal=True), self.lines(fatal=False)
        if not fatal:
            return
        count = sum(self.counts[name] for name, rule in RULES.items() if rule.fatal and name in self.counts)
        lines = [f"{path}: {count} fault{'s' if count > 1 else ''} to fix:", *(f"  {line}" for line in fatal)]
        if harmless:
            lines += ["Harmless, and no hindrance:", *(f"  {line}" for line in harmless)]
        raise DataError("\n".join(lines))


def rules_table() -> str:
    """All rules as a table in Markdown."""
    rows = [
        f"| `{name}` | {'refused' if rule.fatal else 'accepted'} | {rule.text} | {rule.action} |"
        for name, rule in RULES.items()
    ]
    return "\n".join(["| rule | file | found | what is done, or what to do |", "|---|---|---|---|", *rows])
