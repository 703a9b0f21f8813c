"""The window's pages, in the order of the sidebar."""

from __future__ import annotations

from bbj_desktop.ui.pages.base import Page
from bbj_desktop.ui.pages.chat import ChatPage
from bbj_desktop.ui.pages.home import HomePage

PAGES: tuple[type[Page], ...] = (
    HomePage,
    ChatPage,
)
