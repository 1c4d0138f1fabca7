"""What decides a run's findings, and what of it is not the same in two manifests: why they may differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, NamedTuple

ABSENT = "—"
VERSIONS = ("patternbook", "python", "platform", "processor")
NOT_DECISIVE = {"run", "report.compare_with"}  # a run's name does not say what it computes
FILES_NAMED = 5


class Change(NamedTuple):
    """Something that was `before` and is `after`; `—` where it was or is not there."""

    what: str
    before: str
    after: str


class Circumstances(NamedTuple):
    """What differs between two runs, apart from their findings."""

    parameters: list[Change]
    inputs: list[Change]
    code: list[Change]
    versions: list[Change]
    shared: str

    @property
    def changes(self) -> dict[str, list[Change]]:
        """Changes by kind; kinds without any are left out."""
        kinds = {"parameters": self.parameters, "input": self.inputs, "code": self.code, "versions": self.versions}
        return {kind: changes for kind, changes in kinds.items() if changes}


def compare_circumstances(before: Mapping[str, Any], after: Mapping[str, Any]) -> Circumstances:
    """What differs between two manifests (or between a manifest and `runs.description`)."""
    parameters = _changes(_dotted(before["parameters"]), _dotted(after["parameters"]))
    versions = _changes({name: before.get(name) for name in VERSIONS}, {name: after.get(name) for name in VERSIONS})
    return Circumstances(
        parameters=[change for change in parameters if change.what not in NOT_DECISIVE],
        inputs=_changed_files(before["inputs"], after["inputs"]),
        code=_changed_code(before, after),
        versions=versions + _changes(before["packages"], after["packages"]),
        shared=_shared(before, after),
    )


def named(changes: list[Change], write: Callable[[str], str] = str) -> str:
    """The first few of what has changed, those marked that are new or gone, and that there are more.

    `write` writes each name.
    """
    names = [f"{write(change.what)}{_fate(change)}" for change in changes[:FILES_NAMED]]
    return ", ".join(names) + (" and others" if len(changes) > len(names) else "")


def _fate(change: Change) -> str:
    return " (new)" if change.before == ABSENT else " (gone)" if change.after == ABSENT else ""


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    return [
        Change(key, _text(before.get(key)), _text(after.get(key)))
        for key in dict.fromkeys((*before, *after))
        if before.get(key) != after.get(key)
    ]


def _changed_files(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Input files by what has become of them; one that merely moved to another folder is the same."""
    digests = [_digests(files) for files in (before, after)]
    moved = set(digests[0].values()) & set(digests[1].values())
    changed = _changes(*({name: digest for name, digest in files.items() if digest not in moved} for files in digests))
    return [_shortened(change) for change in changed]


def _changed_code(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Source files and notebooks that differ; commits where the manifest is too old to tell."""
    if before.get("code") and after.get("code"):
        return [_shortened(change) for change in _changes(before["code"], after["code"])]
    return _changes({"commit": before["git"]["commit"]}, {"commit": after["git"]["commit"]})


def _shared(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Whether chance can be between the two: one sentence."""
    first, second = (set(_digests(manifest["inputs"]).values()) for manifest in (before, after))
    if first == second:
        return (
            "Both read the same data, so no chance is between them: what moved, moved because of parameters, code or "
            "versions. The verdict then only says whether it moved by more than the intervals are wide."
        )
    if first & second or _real_files(before) & _real_files(after):
        return (
            "They share files, or names of files, so they are not independent: the verdict is then cautious (it says "
            "beyond too seldom)."
        )
    return (
        "They read different files and are taken as independent; where the same customers are in both, the verdict "
        "is cautious (it says beyond too seldom)."
    )


def _real_files(manifest: Mapping[str, Any]) -> set[str]:
    """Names of input files, which may have grown; a simulated market's are those of its months, whatever is in them."""
    simulated = manifest["parameters"]["source"]["kind"] == "simulated"
    return set() if simulated else {PurePosixPath(name).name for name in manifest["inputs"]}


def _digests(files: Mapping[str, Any]) -> dict[str, str]:
    return {name: file["sha256"] for name, file in files.items()}


def _dotted(values: Mapping[str, Any]) -> dict[str, Any]:
    return dict(_flat(values, ""))


def _flat(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _text(value: Any) -> str:
    if value is None or value == {}:
        return ABSENT
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(_text, value)) if isinstance(value, list) else str(value)


def _shortened(change: Change) -> Change:
    """Digests cut to what one can tell apart."""
    return Change(change.what, change.before[:12], change.after[:12])
