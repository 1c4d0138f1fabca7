"""What the README shows works."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from typer.main import get_command

from patternbook.cli import app
from patternbook.params import params_from

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def test_its_parameter_file_is_valid_and_shows_every_section() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    params = params_from(yaml.safe_load(block), "README.md")
    assert set(params.model_fields_set) == set(type(params).model_fields)


def test_it_lists_every_command_and_no_other() -> None:
    shown = set(re.findall(r"^\| `patternbook (\w+)", README, re.MULTILINE))
    assert shown == set(get_command(app).commands)  # type: ignore[attr-defined]


def test_its_links_and_pictures_are_there() -> None:
    targets = re.findall(r"\]\(((?!https?:)[^)#]+)\)", README)
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []
