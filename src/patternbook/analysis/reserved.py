"""Names that tables and charts of segments give to groups of their own, and that no segment may therefore have."""

from __future__ import annotations

SMALL = "Small segments"
AWAY = "No purchase"
NOT_YET = "New in the window"
THIN = "Other moves"

SEGMENT_NAMES = (SMALL, AWAY, NOT_YET, THIN)
