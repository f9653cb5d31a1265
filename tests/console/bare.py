"""An app of nothing but the widgets under test."""

from textual.app import App, ComposeResult
from textual.containers import VerticalScroll
from textual.widget import Widget

from hooktui.console.glyphs import UNICODE


class BareApp(App[None]):
    """Shows widgets below one another in a part that scrolls."""

    glyphs = UNICODE

    def __init__(self, *widgets: Widget) -> None:
        super().__init__()
        self.widgets = widgets

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return {"quiet": "#888888"}

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=False):
            yield from self.widgets
