"""Where every artefact of a run lives. Nothing else builds a path."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


def project_root() -> Path:
    """The project's root: `PATTERNBOOK_ROOT`, else the checkout that holds this package."""
    override = os.environ.get("PATTERNBOOK_ROOT")
    return Path(override).resolve() if override else Path(__file__).resolve().parents[2]


def output_root() -> Path:
    """Where runs keep what they compute: `PATTERNBOOK_OUTPUT` (while a run is verified), else the project's root."""
    override = os.environ.get("PATTERNBOOK_OUTPUT")
    return Path(override).resolve() if override else project_root()


def from_root(path: Path) -> str:
    """The path from the project's root, or whole where it lies elsewhere."""
    root = project_root()
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


@dataclass(frozen=True)
class RunPaths:
    """The places of one run. `root` is the project's root (a scratch folder when a run is verified)."""

    run: str
    root: Path

    @classmethod
    def of(cls, run: str) -> RunPaths:
        """Places of the run called `run` in this project."""
        return cls(run, output_root())

    @property
    def raw(self) -> Path:
        """Folder of the simulated market's raw CSV and its truth."""
        return self.root / "data" / "raw" / self.run

    @property
    def home(self) -> Path:
        """Folder of everything that the run computes."""
        return self.root / "data" / "runs" / self.run

    @property
    def events(self) -> Path:
        """Folder of the compacted events, one Parquet file a source file."""
        return self.home / "events"

    @property
    def products(self) -> Path:
        """What the source knows of each product."""
        return self.home / "products.parquet"

    @property
    def customers(self) -> Path:
        """What the source knows of each customer."""
        return self.home / "customers.parquet"

    @property
    def sessions_source(self) -> Path:
        """The source's own id of each session; only with `compaction.keep_session_ids`."""
        return self.home / "sessions_source.parquet"

    @property
    def rejects(self) -> Path:
        """Rows that could not be read: file, line, reason, masked text."""
        return self.home / "rejects.parquet"

    @property
    def compaction(self) -> Path:
        """What compaction counted, by source file; written last, so it marks a complete event log."""
        return self.home / "compaction.json"

    @property
    def groups(self) -> Path:
        """Folder of what is kept of each group of source files, so that later files can be added."""
        return self.home / "groups"

    @property
    def marts(self) -> Path:
        """Folder of the marts."""
        return self.home / "marts"

    def mart(self, name: str) -> Path:
        """Parquet file of one mart."""
        return self.marts / f"{name}.parquet"

    @property
    def scratch(self) -> Path:
        """Folder for half-written files and for spilling; emptied when a step ends."""
        return self.home / "scratch"

    @property
    def pipeline(self) -> Path:
        """Folder of what the pipeline remembers: states, digests, times. Deleting it makes everything run again."""
        return self.home / "pipeline"

    @property
    def run_lock(self) -> Path:
        """Lock of the process that computes the run, and of its kernels."""
        return self.pipeline / "lock"

    @property
    def warehouse_lock(self) -> Path:
        """Lock of the process that simulates, compacts or builds marts; a notebook may do so outside of a run."""
        return self.pipeline / "warehouse.lock"

    @property
    def notebooks(self) -> Path:
        """Folder of the executed notebooks."""
        return self.home / "notebooks"

    def notebook(self, name: str) -> Path:
        """One executed notebook."""
        return self.notebooks / f"{name}.ipynb"

    @property
    def findings_parts(self) -> Path:
        """Folder of the findings, one JSON file a notebook."""
        return self.home / "findings"

    @property
    def findings(self) -> Path:
        """All findings of the run, merged."""
        return self.home / "findings.json"

    @property
    def tables(self) -> Path:
        """Folder of the result tables `<topic>.<name>.parquet`."""
        return self.home / "tables"

    @property
    def figures(self) -> Path:
        """Folder of the figures `<topic>.<name>.json` (Plotly)."""
        return self.home / "figures"

    def artefacts(self, notebook: str) -> Path:
        """Names of the tables and figures that a notebook has written."""
        return self.home / "artefacts" / f"{notebook}.json"

    @property
    def exports(self) -> Path:
        """Folder of findings and tables for spreadsheets."""
        return self.home / "exports"

    @property
    def by_customer(self) -> Path:
        """Folder of the results by customer; never published."""
        return self.home / "customer"

    def per_customer(self, name: str) -> Path:
        """Parquet file of one result by customer."""
        return self.by_customer / f"{name}.parquet"

    @property
    def model(self) -> Path:
        """Folder of the trained forecast of purchases."""
        return self.home / "model"

    @property
    def manifest(self) -> Path:
        """The run's manifest; written last."""
        return self.home / "manifest.json"

    @property
    def concluded(self) -> Path:
        """The manifest that `findings.json` belongs to, while the run is being computed again."""
        return self.pipeline / "concluded.json"

    @property
    def previous(self) -> Path:
        """Manifest and findings of the last finished run of this name that found something else."""
        return self.home / "previous.json"

    @property
    def report(self) -> Path:
        """Folder of the rendered report."""
        return self.root / "reports" / self.run

    @property
    def latest(self) -> Path:
        """Folder of the report rendered last."""
        return self.root / "reports" / "latest"

    @property
    def latest_lock(self) -> Path:
        """Lock of that folder, which all runs replace."""
        return self.root / "data" / "latest.lock"
