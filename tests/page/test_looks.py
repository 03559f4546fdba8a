"""Every view, looked at by a browser: for everybody, in every size, with whatever is stored."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from selenium.webdriver import Chrome

from postroom.testing import PASSWORD, BlockingServer, running_in_thread
from tests.page.visitor import Visitor
from tests.support.browser import complaints, network

pytestmark = pytest.mark.browser
AXE = Path(__file__).parents[1] / "conformance/clients/node_modules/axe-core/axe.min.js"
PERSON = "/domains/1/users/1"
VIEWS = [
    "/", "/domains/1", "/domains/1/settings", "/domains/1/directory", "/domains/1/dns", PERSON,
    *(f"{PERSON}/{section}" for section in ("lists", "oof", "devices", "details", "logins", "changes")),
    "/roles", "/tokens", "/tasks", "/changes", "/health", "/account", "/account/logins", "/nowhere",
]  # fmt: skip
#: What everybody with a mailbox sees of their own.
OWN = ["/account", *(f"/account/{section}" for section in ("oof", "forward", "lists", "devices", "logins"))]
#: Runs as a script if anything takes it for markup.
HOSTILE = "<img src=x onerror='window.struck=1'><script>window.struck=1</script>\u202egnp.exe \U0001f600"
#: The same for what has to be short and unique.
SHORT = "<img src=x onerror='struck=1'>"
EVERYWHERE = {
    "domains": [{"domainname": "example.org", "title": HOSTILE, "adminName": SHORT, "address": HOSTILE}],
    "roles": [{"name": SHORT, "description": HOSTILE, "permissions": ["SystemAdmin"]}],
    "users": [
        {
            "username": "anna@example.org",
            "roles": [SHORT],
            "properties": dict.fromkeys(("displayname", "givenname", "title", "comment", "locality"), HOSTILE),
            "oof": {"state": 1, "internalSubject": HOSTILE, "internalReply": HOSTILE, "externalReply": HOSTILE},

            "delegates": ["hall@example.org"],
            "sendas": ["hall@example.org"],
            "storeAccess": ["hall@example.org"],
        },
        {"username": "hall@example.org", "status": 4, "properties": {"displayname": HOSTILE}},
    ],
    "tokens": [{"name": SHORT, "token": "postroom_hostile"}],
}  # fmt: skip


def violations(browser: Chrome) -> list[Any]:
    """What axe-core finds against WCAG 2.2 AA in the page as it is shown now."""
    browser.execute_script(AXE.read_text())
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    script = "const done = arguments[1]; axe.run({runOnly: arguments[0]}).then(({violations}) => done(violations))"
    found = browser.execute_async_script(script, tags)
    return [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found]


def wide(browser: Chrome) -> int:
    """By how many pixels the page is wider than its window."""
    return int(browser.execute_script("return document.documentElement.scrollWidth - innerWidth"))


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1280, "light")])
def test_every_view_for_everybody(visitor: Visitor, server: BlockingServer, width: int, scheme: str) -> None:
    """No view breaks a rule of WCAG 2.2 AA or is wider than its window, dark or light, narrow or wide."""
    server.device_syncs("anna@example.org", "phone", devicetype="iPhone")
    server.admin.put(f"{PERSON}/delegates", ["bert@example.org"])
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    visitor.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    visitor.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        for place in VIEWS:
            visitor.visit(place)
            assert (place, violations(visitor.browser), max(wide(visitor.browser), 0)) == (place, [], 0)
        visitor.visit("/domains/1")
        visitor.press("New person")
        visitor.field("Name before the @")
        assert violations(visitor.browser) == []
        visitor.press("Cancel")
        visitor.press("Log out")
        visitor.log_in("anna@example.org")
        for place in OWN:
            visitor.visit(place)
            assert (place, violations(visitor.browser), max(wide(visitor.browser), 0)) == (place, [], 0)
    finally:
        visitor.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        visitor.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_stored_text_is_never_markup(browser: Chrome) -> None:
    """Whatever is stored, in every field: it is shown as text, nothing runs, and no rule of the browser is broken."""
    with running_in_thread(EVERYWHERE) as server:
        server.device_syncs("anna@example.org", "phone", devicetype=SHORT, useragent=HOSTILE)
        visitor = Visitor(browser, server.url)
        visitor.visit()
        visitor.log_in()
        complaints(browser)
        for place in VIEWS:
            visitor.visit(place)
            assert browser.execute_script("return [window.struck, document.images.length]") == [None, 0], place
        visitor.visit(PERSON)
        visitor.sees("<img src=x")
        assert [entry for entry in complaints(browser) if "Security Policy" in entry["message"]] == []


def test_everything_comes_from_the_service(browser: Chrome, server: BlockingServer) -> None:
    """Less than 150 KiB are transferred until people are shown, all from the service itself, without a complaint."""
    visitor = Visitor(browser, server.url)
    browser.execute_cdp_cmd("Network.clearBrowserCache", {})
    list(network(browser)), complaints(browser)
    visitor.visit()
    visitor.log_in()
    visitor.press("example.org")
    visitor.heading("People of example.org")
    events = list(network(browser))
    asked = {
        urlsplit(event["request"]["url"]).netloc for method, event in events if method == "Network.requestWillBeSent"
    }
    received = sum(event["encodedDataLength"] for method, event in events if method == "Network.loadingFinished")
    assert asked == {urlsplit(server.url).netloc}
    assert 20_000 < received < 150 * 1024
    assert [entry for entry in complaints(browser) if entry["level"] in ("WARNING", "SEVERE")] == []


def test_keyboard_alone(browser: Chrome, server: BlockingServer) -> None:
    """Log in, find a person and open them, with the keyboard alone."""
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    def press(*keys: str) -> None:
        ActionChains(browser).send_keys(*keys).perform()

    def reach(text: str) -> None:
        for _ in range(40):
            press(Keys.TAB)
            focused = browser.switch_to.active_element
            if text in (focused.text, focused.get_attribute("id"), focused.get_attribute("name")):
                return
        raise AssertionError(f"{text} cannot be reached")

    visitor = Visitor(browser, server.url)
    visitor.visit()
    reach("user")
    press("admin", Keys.TAB, PASSWORD, Keys.ENTER)
    visitor.heading("Domains")
    reach("example.org")
    press(Keys.ENTER)
    visitor.heading("People of example.org")
    reach("search")
    press("cole")
    visitor.sees("1 person")
    reach("bert@example.org")
    press(Keys.ENTER)
    visitor.heading("Bert Cole")
