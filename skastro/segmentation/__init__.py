"""Sources in images: where they are, and how sure that is."""

from skastro.segmentation.matched_filter import MatchedFilter

__all__ = ["MatchedFilter"]
