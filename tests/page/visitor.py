"""Somebody who uses the page as people do: by the labels that they read."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from selenium.common.exceptions import (
    ElementClickInterceptedException,
    NoSuchElementException,
    StaleElementReferenceException,
)
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

from postroom.testing import PASSWORD

#: Seconds that anything may take; a machine under load is slow.
PATIENCE = 30
_RETRIED = (NoSuchElementException, StaleElementReferenceException, ElementClickInterceptedException)


class Visitor:
    """Uses a browser; whatever is not there yet is waited for."""

    def __init__(self, browser: Chrome, url: str) -> None:
        self.browser = browser
        self.url = url
        self._wait = WebDriverWait(browser, PATIENCE, poll_frequency=0.02, ignored_exceptions=_RETRIED)
        #: Only what is inside counts.
        self._inside = ""

    def visit(self, place: str = "/") -> None:
        """Opens the page at a place, anew if it is the first time."""
        if self.browser.current_url.startswith(self.url):
            self.browser.execute_script("location.hash = arguments[0]", place)
        else:
            self.browser.get(f"{self.url}/#{place}")
        self.until(lambda: not self.browser.find_elements(By.CSS_SELECTOR, "main[aria-busy], main:empty"))

    def log_in(self, user: str = "admin", password: str = PASSWORD) -> None:
        """Fills in the form of the login, wherever it is shown."""
        self.fill("User name", user)
        self.fill("Password", password)
        self.press("Log in")
        self.until(lambda: not self.browser.find_elements(By.NAME, "pass"))

    @contextmanager
    def inside(self, css: str) -> Iterator[None]:
        """Uses only what is inside such an element."""
        self._inside, before = f"{css} ", self._inside
        try:
            yield
        finally:
            self._inside = before

    def until(self, condition: Callable[[], Any]) -> Any:
        """Waits until something is so; what the condition returns."""
        return self._wait.until(lambda _: condition())

    def find(self, css: str) -> list[WebElement]:
        """The elements that a selector finds now."""
        return self.browser.find_elements(By.CSS_SELECTOR, self._inside + css)

    def heading(self, text: str) -> None:
        """Waits for a view with this heading."""
        self.until(lambda: text in self.browser.find_element(By.TAG_NAME, "h1").text)

    def sees(self, text: str) -> None:
        """Waits for this text anywhere."""
        self.until(lambda: text in self.browser.find_element(By.TAG_NAME, "body").text)

    def field(self, label: str) -> WebElement:
        """The field with this label, in the dialog if there is one."""
        found: WebElement = self.until(lambda: self._labelled(label))
        return found

    def field_named(self, name: str) -> WebElement:
        """The field that a screen reader calls so."""
        return self.until(lambda: self.browser.find_element(By.CSS_SELECTOR, f"[aria-label='{name}']"))  # type: ignore[no-any-return]

    def fill(self, label: str, text: str) -> None:
        """Replaces the text of a field."""
        field = self.field(label)
        field.send_keys(Keys.CONTROL, "a", Keys.NULL, Keys.DELETE, text)

    def choose(self, label: str, option: str) -> None:
        """Chooses from a list."""
        Select(self.field(label)).select_by_visible_text(option)

    def press(self, label: str) -> None:
        """Presses a button or follows a link with this text."""
        self.until(lambda: self._clicked(label))

    def _clicked(self, label: str) -> bool:
        scope = self._topmost()
        for element in scope.find_elements(By.CSS_SELECTOR, self._inside + "button, " + self._inside + "a"):
            name = element.get_attribute("aria-label") or element.text
            if name == label and element.is_displayed() and element.is_enabled():
                element.click()
                return True
        return False

    def _labelled(self, label: str) -> WebElement | None:
        for element in self._topmost().find_elements(By.CSS_SELECTOR, "label"):
            if element.text.split("\n")[0].strip() == label or element.text.startswith(f"{label} "):
                target = element.get_attribute("for")
                inner = element.find_elements(By.CSS_SELECTOR, "input, select, textarea")
                return inner[0] if inner else self.browser.find_element(By.ID, target or "")
        return None

    def _topmost(self) -> WebElement:
        dialogs = self.browser.find_elements(By.CSS_SELECTOR, "dialog[open]")
        return dialogs[-1] if dialogs else self.browser.find_element(By.TAG_NAME, "body")
