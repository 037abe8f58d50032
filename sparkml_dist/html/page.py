"""A page as a string that shows itself in one line."""

from __future__ import annotations

__all__ = ["Page"]


class Page(str):
    """The HTML of a page: a string, which notebooks and consoles show in one line.

    Without it, a cell that ends with a call of ``to_html`` would print the whole page.

    Attributes
    ----------
    path : str
        Where the page was written; empty where it was not.
    """

    __slots__ = ("path",)
    path: str

    def __new__(cls, content: str, path: str | None = None) -> Page:
        """Return the page."""
        page = super().__new__(cls, content)
        page.path = path or ""
        return page

    def __repr__(self) -> str:
        where = f" in {self.path!r}" if self.path else ""
        return f"<page of {len(self):,} characters{where}>"

    def _repr_html_(self) -> str:
        """Return what notebooks show: where the page is, and its size."""
        from sparkml_dist.html.summary import Row, summary_html

        rows = [Row("size", f"{len(self):,} characters")]
        if self.path:
            rows.insert(0, Row("written to", code=[self.path]))
        return summary_html("Page", rows)
