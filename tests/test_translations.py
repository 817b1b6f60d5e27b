"""Every text that a buyer or a merchant sees exists in Chinese, and the catalogue holds nothing else."""

import pytest
from django.utils.translation import gettext, override

from cardshop.operations.catalogues import (
    catalogue_paths,
    complaints,
    extract_messages,
    read_catalogue,
    update,
    write_catalogue,
)
from cardshop.operations.translations import compile_translations

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(scope="module")
def wanted():
    return extract_messages()


def test_the_catalogue_is_whole(wanted):
    found = {path: complaints(read_catalogue(path), wanted) for path in catalogue_paths()}

    assert [path.parent.parent.name for path in found] == ["zh_Hans"]
    assert not any(found.values()), "run manage.py messages, then translate what it names"


def test_strings_are_found_in_code_and_in_templates(wanted):
    assert wanted.get("There are not enough left. Nothing was ordered.") is not None
    assert wanted.get("Place order and pay") is not None
    assert wanted.get("%(available)s in stock").pluralizable


def test_a_missing_an_obsolete_a_fuzzy_and_a_broken_translation_are_named(wanted):
    (path,) = catalogue_paths()
    catalogue = read_catalogue(path)
    catalogue["Buy"].string = ""
    catalogue["Copy"].flags.add("fuzzy")
    catalogue["Pay %(total)s with"].string = "支付 %(amount)s"
    catalogue.add("No such text", "没有")

    assert sorted(line.split(": ")[-1] for line in complaints(catalogue, wanted)) == [
        "'Buy'",
        "'Copy'",
        "'No such text'",
        "'Pay %(total)s with'",
    ]


def test_updating_adds_and_drops_and_keeps_every_translation(wanted, tmp_path):
    (path,) = catalogue_paths()
    catalogue = read_catalogue(path)
    del catalogue["Copy"]
    catalogue.add("No such text", "没有")

    update(catalogue, wanted)

    assert not catalogue["Copy"].string
    assert "No such text" not in catalogue
    assert catalogue["Buy"].string == "购买"
    copy = tmp_path / "zh_Hans" / "LC_MESSAGES" / "django.po"
    write_catalogue(copy, read_catalogue(path))
    assert copy.read_text() == path.read_text()


def test_the_compiled_catalogue_speaks_chinese():
    compile_translations()

    with override("zh-hans"):
        assert gettext("Sold out") == "已售罄"
    with override("en"):
        assert gettext("Sold out") == "Sold out"
