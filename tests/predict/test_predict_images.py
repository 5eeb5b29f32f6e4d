from pathlib import Path

import pytest
from PIL import Image

from pointrend.predict import find_images
from pointrend.predict.images import ImagesError
from pointrend.predict.names import ResultNames


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("b.jpg", "a.JPG", "sub/c.png", "sub/deep/d.webp", "notes.txt", "odd[1].jpg", "no-suffix"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".txt":
            path.write_text("no photo")
        else:
            Image.new("RGB", (2, 2)).save(path, "PNG")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "photos"


def names(*arguments, **options):
    found = find_images(arguments, **options).images
    return [(photo.file_name, photo.key) for photo in ResultNames(Path("none")).assign(found)]


def test_a_folder_is_all_photos_in_and_below_it(folder):
    assert names("photos") == [
        ("a.JPG", "a"),
        ("b.jpg", "b"),
        ("odd[1].jpg", "odd[1]"),
        ("sub/c.png", "sub/c"),
        ("sub/deep/d.webp", "sub/deep/d"),
    ]


def test_globs_are_named_from_their_fixed_part(folder):
    assert names("photos/*.jpg") == [("b.jpg", "b"), ("odd[1].jpg", "odd[1]")]
    assert names("photos/**/*.png") == [("sub/c.png", "sub/c")]
    assert names("photos/s?b/*") == [("sub/c.png", "sub/c")]


def test_a_file_is_itself_whatever_it_is_called(folder):
    assert names(folder / "no-suffix") == [("no-suffix", "no-suffix")]
    assert names("photos/odd[1].jpg") == [("odd[1].jpg", "odd[1]")]
    assert find_images(["photos/b.jpg"]).images[0].path == folder / "b.jpg"


def test_each_path_counts_once_and_each_name_of_a_file_too(folder):
    (folder / "z.jpg").symlink_to(folder / "b.jpg")
    (folder / "hard.jpg").hardlink_to(folder / "b.jpg")
    found = [name for name, _ in names("photos/b.jpg", "./photos", "photos/../photos", "photos/*.jpg")]
    assert [found.count(name) for name in ("b.jpg", "z.jpg", "hard.jpg")] == [1, 1, 1]


def test_results_are_no_photos(folder):
    assert names("photos", outside=[folder / "sub"]) == [("a.JPG", "a"), ("b.jpg", "b"), ("odd[1].jpg", "odd[1]")]


@pytest.mark.parametrize("argument", ["nothing.jpg", "photos/*.gif", "empty"])
def test_what_names_nothing_is_refused(folder, argument):
    (folder.parent / "empty").mkdir()
    with pytest.raises(ImagesError, match="names no image"):
        find_images([argument])


def test_names_that_differ_by_their_suffix_keep_it(folder):
    Image.new("RGB", (2, 2)).save(folder / "sub" / "c.jpg")
    assert names("photos/sub") == [("c.jpg", "c_jpg"), ("c.png", "c_png"), ("deep/d.webp", "deep/d")]


def test_the_same_name_in_two_folders_is_told_apart_by_a_hash(folder):
    Image.new("RGB", (2, 2)).save(folder / "sub" / "b.jpg")
    first, second = names("photos/b.jpg", "photos/sub/b.jpg")
    assert first[0] == second[0] == "b.jpg"
    assert first[1] != second[1]
    assert all(key.startswith("b-") and len(key) == 10 for _, key in (first, second))
