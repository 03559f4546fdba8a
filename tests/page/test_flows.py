"""What administrators do on the page, in a real browser, against a real server."""

import pytest

from postroom.testing import PASSWORD, BlockingServer
from tests.page.visitor import Visitor
from tests.support.browser import complaints

pytestmark = pytest.mark.browser
ANNA, BERT = "/domains/1/users/1", "/domains/1/users/2"


def test_first_domain_and_first_person(visitor: Visitor, server: BlockingServer) -> None:
    """From the login to the first person of a new domain."""
    visitor.press("New domain")
    visitor.fill("Domain", "first.example")
    visitor.press("New domain")
    visitor.heading("People of first.example")
    visitor.press("New person")
    visitor.fill("Name before the @", "carla")
    visitor.fill("Name shown", "Carla Dahl")
    visitor.fill("Password", "correct horse battery")
    visitor.press("New person")
    visitor.heading("Carla Dahl")

    user = server.admin.get("/domains/3/users/4")
    assert (user["username"], user["properties"]["displayname"]) == ("carla@first.example", "Carla Dahl")
    assert [entry for entry in complaints(visitor.browser) if entry["level"] != "DEBUG"] == []


def test_a_person_is_changed(visitor: Visitor, server: BlockingServer) -> None:
    """Each kind of field is stored as the API wants it, and nothing else is changed."""
    before = server.admin.get(ANNA)
    visitor.visit(ANNA)
    visitor.fill("Aliases", "a@example.org\nb@example.org")
    visitor.choose("Forward", "send a copy")
    visitor.fill("Forward to", "else@example.net")
    visitor.fill("No receiving from", "100")
    visitor.field("POP3 and IMAP").click()
    visitor.press("Save")
    visitor.sees("Saved.")

    changed = {
        "aliases": ["a@example.org", "b@example.org"],
        "forward": {"forwardType": 0, "destination": "else@example.net"},
        "pop3_imap": True,
        "properties": {**before["properties"], "prohibitreceivequota": 102400},
    }
    assert server.admin.get(ANNA) == {**before, **changed}


def test_a_refused_change_keeps_the_form(visitor: Visitor, server: BlockingServer) -> None:
    """The reason is shown, the field is marked, and what was entered is still there."""
    visitor.visit(ANNA)
    visitor.fill("Aliases", "bert@example.org")
    visitor.press("Save")
    visitor.sees("bert@example.org")
    visitor.until(lambda: visitor.find(".bad"))
    assert visitor.field("Aliases").get_attribute("value") == "bert@example.org"
    assert server.admin.get(ANNA)["aliases"] == []


@pytest.mark.parametrize(("choice", "lang"), [("Store my changes on top", "en"), ("Take what is stored", "de")])
def test_somebody_else_was_faster(visitor: Visitor, server: BlockingServer, choice: str, lang: str) -> None:
    """Both versions are shown; one is chosen, and what the other has changed elsewhere stays."""
    visitor.visit(ANNA)
    visitor.fill("Language", "en")
    server.admin.patch(ANNA, {"lang": "de", "smtp": True})
    visitor.press("Save")
    visitor.sees("Somebody else has changed this meanwhile")
    visitor.press(choice)
    visitor.until(lambda: not visitor.find("dialog"))
    visitor.until(lambda: visitor.field("Language").get_attribute("value") == lang)
    visitor.until(lambda: server.admin.get(ANNA)["lang"] == lang)
    assert server.admin.get(ANNA)["smtp"]


def test_login_ends_while_a_form_is_filled(visitor: Visitor, server: BlockingServer) -> None:
    """The page asks for the password, and then stores what was entered."""
    visitor.visit(ANNA)
    visitor.fill("Language", "en")
    server.admin.delete("/sessions")
    visitor.press("Save")
    visitor.sees("Your login has ended.")
    visitor.log_in()
    visitor.sees("Saved.")
    assert server.admin.get(ANNA)["lang"] == "en"


def test_server_is_away_while_a_form_is_filled(visitor: Visitor, server: BlockingServer) -> None:
    """The page says so and keeps the form, which is stored at the next try."""
    visitor.visit(ANNA)
    visitor.fill("Language", "en")
    server.faults.add(operation="patchUser", cut="before")
    visitor.press("Save")
    visitor.sees("The server does not answer.")
    assert visitor.field("Language").get_attribute("value") == "en"
    server.faults.clear()
    visitor.press("Save")
    visitor.sees("Saved.")
    assert server.admin.get(ANNA)["lang"] == "en"


def test_delegates_and_access(visitor: Visitor, server: BlockingServer) -> None:
    """Somebody is added to a list and removed; what somebody else has added meanwhile stays."""
    visitor.visit(f"{ANNA}/lists")
    with visitor.inside("section:first-of-type"):
        visitor.until(lambda: visitor.find("input"))
        server.admin.put(f"{ANNA}/delegates", ["hall@example.org"])
        visitor.find("input")[0].send_keys("bert@example.org")
        visitor.press("Add")
    visitor.until(lambda: len(server.admin.get(f"{ANNA}/delegates")["data"]) == 2)
    visitor.press("Remove bert@example.org")
    visitor.until(lambda: server.admin.get(f"{ANNA}/delegates")["data"] == ["hall@example.org"])


def test_out_of_office(visitor: Visitor, server: BlockingServer) -> None:
    """A window of time with texts is stored, and shown as a sender would see it."""
    visitor.visit(f"{ANNA}/oof")
    visitor.choose("Replies", "on in a window of time")
    for label, time in (("From", "2026-08-01T00:00:00"), ("Until", "2026-08-15T12:30:00")):
        visitor.browser.execute_script("arguments[0].value = arguments[1]", visitor.field(label), time)
    visitor.fill("Subject", "Away")
    visitor.fill("Text", "Back on the 15th.")
    visitor.press("Save")
    visitor.sees("Saved.")

    stored = server.admin.get(f"{ANNA}/oof")
    assert (stored["state"], stored["startTime"]) == (2, "2026-08-01 00:00:00")
    assert (stored["endTime"], stored["internalReply"]) == ("2026-08-15 12:30:00", "Back on the 15th.")
    assert "Back on the 15th." in visitor.find("pre")[0].text


def test_a_device_is_wiped(visitor: Visitor, server: BlockingServer) -> None:
    """A wipe wants the device's ID and the caller's password, and can be cancelled."""
    server.device_syncs("anna@example.org", "phone", devicetype="iPhone")
    visitor.visit(f"{ANNA}/devices")
    visitor.press("Wipe…")
    visitor.fill("Type this to confirm:", "phone")
    visitor.fill("Your own password", PASSWORD)
    visitor.press("Wipe…")
    visitor.sees("is to be wiped")
    visitor.press("Cancel wipe")
    visitor.sees("normal")
    assert server.admin.get(f"{ANNA}/sync")["data"][0]["wipeStatus"] == 1


def test_a_person_is_deleted(visitor: Visitor, server: BlockingServer) -> None:
    """Only when the name was typed; the back button does not lead to somebody who is gone."""
    visitor.visit("/domains/1")
    visitor.press("bert@example.org")
    visitor.heading("Bert Cole")
    visitor.press("Delete…")
    visitor.fill("Type this to confirm:", "bert@example")
    assert not visitor.find("dialog button.danger")[0].is_enabled()
    visitor.fill("Type this to confirm:", "bert@example.org")
    visitor.press("Delete…")
    visitor.heading("People of example.org")
    visitor.browser.back()
    visitor.heading("People of example.org")
    assert server.admin.request("GET", BERT).status == 404


def test_many_are_selected(visitor: Visitor, server: BlockingServer) -> None:
    """All that a search has found are suspended at once; the others are left alone."""
    visitor.visit("/domains/1")
    visitor.fill("Search", "b")
    visitor.sees("2 people")
    visitor.field_named("Select all that are shown").click()
    visitor.sees("2 selected")
    visitor.press("Suspend")
    visitor.sees("Done for 2 people.")
    assert [user["status"] for user in server.admin.get("/domains/1/users")["data"]] == [1, 1, 4]


def test_two_tabs(visitor: Visitor) -> None:
    """Who logs out in one tab is logged out in the other, too."""
    first = visitor.browser.current_window_handle
    visitor.browser.switch_to.new_window("tab")
    try:
        visitor.visit("/account")
        visitor.heading("My account")
        visitor.press("Log out")
        visitor.heading("Log in")
    finally:
        visitor.browser.close()
        visitor.browser.switch_to.window(first)
    visitor.heading("Log in")


def test_a_reader_is_offered_no_change(visitor: Visitor, server: BlockingServer) -> None:
    """Who may only read sees people, and no button that the server would refuse."""
    visitor.press("Log out")
    visitor.log_in("bert@example.org")
    visitor.visit("/domains/1")
    visitor.sees("anna@example.org")
    names = [button.text for button in visitor.find("button")]
    assert "New person" not in names
    assert "Log out" in names


def test_people_of_a_directory(visitor: Visitor, server: BlockingServer) -> None:
    """Somebody is found and imported; an update is shown before it is done."""
    server.directory.add("carla")
    server.directory.add("doris")
    server.admin.put("/system/mconf/ldap", server.directory.config)
    visitor.visit("/domains/1/directory")
    visitor.fill("Search", "carla")
    visitor.press("Search")
    visitor.press("Import")
    visitor.sees("carla@example.org has been imported.")
    visitor.field("Also import people who are not here yet").click()
    visitor.press("Show what would change")
    visitor.sees("doris@example.org")
    assert server.admin.get("/domains/1/users")["count"] == 4
    visitor.press("Do it")
    visitor.until(lambda: server.admin.get("/domains/1/users")["count"] == 5)


def test_tokens_and_roles(visitor: Visitor, server: BlockingServer) -> None:
    """A token is shown once and works; a role is made and deleted."""
    visitor.visit("/tokens")
    visitor.press("New token")
    visitor.fill("Token", "nightly")
    visitor.press("New token")
    visitor.until(lambda: visitor.find("dialog pre"))
    text = visitor.find("dialog pre")[0].text
    assert text.startswith("postroom_")
    visitor.press("Done")
    visitor.sees("nightly")
    visitor.visit("/roles")
    visitor.press("New role")
    visitor.fill("Role", "all domains")
    visitor.press("New role")
    visitor.sees("The role all domains has been created.")
    assert server.admin.get("/system/roles")["count"] == 3


def test_self_service(visitor: Visitor, server: BlockingServer) -> None:
    """Somebody without any role looks after what is theirs, and sees nothing else."""
    server.admin.post("/domains/1/users", {"username": "carla", "password": PASSWORD})
    server.admin.patch("/system/domains/1", {"selfService": ["oof", "devices", "forward"]})
    server.device_syncs("carla@example.org", "tablet", devicetype="iPad")
    visitor.press("Log out")
    visitor.log_in("carla@example.org")
    visitor.heading("My account")
    menu = [link.text for link in visitor.find("header.top a")]
    assert menu == ["postroom", "My account"]
    visitor.press("Out of office")
    visitor.choose("Replies", "on")
    visitor.fill("Text", "Away.")
    visitor.press("Save")
    visitor.sees("Replies are sent now.")
    visitor.press("Forward")
    visitor.choose("Forward", "send a copy")
    visitor.fill("Forward to", "carla@example.net")
    visitor.press("Save")
    visitor.sees("Saved.")
    visitor.press("Who may act for me")
    visitor.sees("Delegates")
    assert not visitor.find("main form")
    visitor.press("Devices")
    visitor.press("Wipe…")
    visitor.fill("Type this to confirm:", "tablet")
    visitor.fill("Your own password", PASSWORD)
    visitor.press("Wipe…")
    visitor.sees("is to be wiped")
    path = "/domains/1/users/4"
    assert server.admin.get(path)["forward"] == {"forwardType": 0, "destination": "carla@example.net"}
    assert server.admin.get(f"{path}/oof")["internalReply"] == "Away."
    assert server.admin.get(f"{path}/sync")["data"][0]["wipeStatus"] == 2


def test_what_people_may_change(visitor: Visitor, server: BlockingServer) -> None:
    """An administrator says for a domain what its people may change of their own."""
    visitor.visit("/domains/1/settings")
    visitor.field("Forward").click()
    visitor.press("Save")
    visitor.sees("Saved.")
    assert server.admin.get("/system/domains/1")["selfService"] == ["oof", "devices", "forward"]
