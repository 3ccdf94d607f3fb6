"""The status page, in a real browser in front of a real node, and what somebody could try at its door."""

import contextlib
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect
from qdrant_client import models as m

import freeze
import lanes
import server
from browser import DEADLINE, Browser
from past import volume_history
from server import ROOT

pytestmark = [pytest.mark.remote, pytest.mark.timeout(300)]

PICTURE = ROOT / "docs/status-page.png"
KEEP = "[retention]\nlast = 50\n"
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
expect.set_options(timeout=DEADLINE)


@pytest.fixture(scope="module")
def one_browser():
    running = Browser()
    yield running
    running.close()


@pytest.fixture
def browser(one_browser):
    """No page may ask elsewhere, break a rule of its own policy, or complain."""
    yield one_browser
    assert one_browser.behaved() == []


def load(node, count=100):
    with lanes.Connected(lanes.stock(node, grpc=False, role="admin")) as client:
        client.create_collection("c", m.VectorParams(size=lanes.DIM, distance=m.Distance.COSINE))
        client.upsert("c", [lanes.point(number) for number in range(count)], wait=True)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A node with a collection and a backup, for tests that leave it as it is."""
    running = server.start_node(tmp_path_factory.mktemp("shared"), KEEP)
    load(running)
    server.verb(running, "backup", "--batch-id", "first")
    yield running
    assert running.stop() == 0, running.tail()


@pytest.fixture
def node(tmp_path):
    running = server.start_node(tmp_path, KEEP)
    load(running)
    yield running
    running.stop()


def key(node, role="admin"):
    return node.ready["keys"][role]


def log_in(page, node, given=None):
    page.goto("/qmoor/")
    expect(page).to_have_url(re.compile(r"/qmoor/login$"))
    page.get_by_label("Admin key").fill(given or key(node))
    page.get_by_role("button", name="Log in").click()


def logged_in(browser, node, **settings):
    page = browser.page(node, **settings)
    log_in(page, node)
    expect(page.locator("#verdict strong")).to_be_visible()
    return page


def outside(node, **settings):
    """Somebody without a browser, who follows no redirects."""
    return httpx.Client(base_url=node.url, timeout=30, **settings)


@contextlib.contextmanager
def visitor(node, **settings):
    """The same, logged in; with the CSRF token of the session."""
    with outside(node, **settings) as client:
        answer = client.post("/qmoor/login", data={"key": key(node)})
        assert (answer.status_code, answer.headers["location"]) == (303, "/qmoor/"), answer.text
        page = client.get("/qmoor/confirm?what=backup").text
        yield client, re.search(r'name="csrf" value="(\w+)"', page)[1]


def backups(node):
    return server.verb(node, "backups")


# ---- the door -------------------------------------------------------------------------------


def test_the_admin_key_opens_the_page_and_no_other_key_does(shared, browser):
    page = browser.page(shared)
    log_in(page, shared, "not a key at all")
    expect(page.get_by_role("alert")).to_have_text("This is no key of this node.")
    log_in(page, shared, key(shared, "search"))
    expect(page.get_by_role("alert")).to_have_text("This is the search key. The page needs the admin key.")
    page.goto("/qmoor/")
    expect(page).to_have_url(re.compile(r"/qmoor/login$"))
    log_in(page, shared)
    expect(page.locator("#verdict strong")).to_have_text(re.compile("Well|Look at this|Not well"))
    expect(page.locator("#node")).to_contain_text("embedded")
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Admin key")).to_be_focused()
    page.goto("/qmoor/")
    expect(page).to_have_url(re.compile(r"/qmoor/login$"))


def test_cookie_and_headers_are_strict(shared):
    with outside(shared) as client:
        answer = client.post("/qmoor/login", data={"key": key(shared)})
        cookie = answer.headers["set-cookie"]
        assert {"HttpOnly", "SameSite=Strict", "Path=/qmoor/"} <= set(cookie.split("; "))
        assert "Secure" not in cookie and "Domain" not in cookie and "Max-Age" not in cookie, "TLS is off"
        assert key(shared) not in cookie
        for path in ["/qmoor", "/qmoor/", "/qmoor/login", "/qmoor/page.css", "/qmoor/page.js", "/qmoor/confirm"]:
            headers = client.get(path).headers
            assert headers["content-security-policy"] == POLICY, path
            assert headers["cache-control"] == "no-store" and headers["referrer-policy"] == "same-origin"
            assert headers["x-content-type-options"] == "nosniff"


def test_the_page_has_nothing_inline_and_nothing_from_elsewhere(shared):
    with visitor(shared) as (client, _):
        for path in ["/qmoor/", "/qmoor/login", "/qmoor/confirm?what=drill"]:
            text = client.get(path).text
            assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?! src=)", text), path
            assert not re.search(r"""(src|href|action)=["']?(https?:)?//""", text), path


def test_without_a_session_there_is_nothing_behind_the_door(shared):
    with outside(shared, headers={"api-key": key(shared)}) as client:
        for path in ["/qmoor/", "/qmoor/confirm?what=backup"]:
            assert client.get(path).headers["location"] == "/qmoor/login"
        assert client.get("/qmoor/events").status_code == 401
        before = backups(shared)
        for cookie in [{}, {"cookie": "qmoor_session=1"}, {"cookie": "qmoor_session_0=" + "0" * 64}]:
            assert client.post("/qmoor/do", data={"what": "backup"}, headers=cookie).status_code == 401
        assert backups(shared) == before


def test_a_session_opens_the_page_and_nothing_else(shared):
    with visitor(shared) as (client, _):
        jar = "; ".join(f"{cookie.name}={cookie.value}" for cookie in client.cookies.jar)
        assert client.get("/qmoor/").status_code == 200
        for path in ["/collections", "/collections/c", "/metrics", "/telemetry", "/qmoor/metrics"]:
            assert httpx.get(shared.url + path, headers={"cookie": jar}).status_code == 401, path
        for path in ["/qmoor/v1/status", "/qmoor/v1/backups", "/qmoor/v1/agent/status"]:
            assert httpx.get(shared.url + path, headers={"cookie": jar}).status_code == 401, path
        token = jar.split("=")[1]
        assert httpx.get(f"{shared.url}/collections", headers={"api-key": token}).status_code == 401


def test_a_form_from_elsewhere_changes_nothing(shared):
    before = backups(shared)
    with visitor(shared) as (client, csrf):
        form = {"what": "pin", "backup": before[0]["id"]}
        host = shared.url.removeprefix("http://")
        forged = [
            (form, {}),
            ({**form, "csrf": ""}, {}),
            ({**form, "csrf": csrf[:-1] + ("0" if csrf[-1] != "0" else "1")}, {}),
            ({**form, "csrf": csrf}, {"origin": "http://evil.example"}),
            ({**form, "csrf": csrf}, {"origin": "null"}),
            ({**form, "csrf": csrf}, {"origin": f"http://{host}0"}),
            ({**form, "csrf": csrf}, {"sec-fetch-site": "cross-site"}),
            ({**form, "csrf": csrf}, {"sec-fetch-site": "same-site", "origin": f"http://{host}"}),
        ]
        for data, headers in forged:
            answer = client.post("/qmoor/do", data=data, headers=headers)
            assert answer.status_code == 403 and "Nothing was done" in answer.text, (data, headers)
            assert client.post("/qmoor/logout", data=data, headers=headers).status_code == 403
        with visitor(shared) as (_, other):
            assert client.post("/qmoor/do", data={**form, "csrf": other}).status_code == 403, "of another session"
        assert client.get(f"/qmoor/do?what=pin&backup={form['backup']}&csrf={csrf}").status_code != 200
        assert backups(shared) == before
        own = {"origin": f"http://{host}", "sec-fetch-site": "same-origin"}
        assert client.post("/qmoor/do", data={**form, "csrf": csrf}, headers=own).status_code == 303
        assert backups(shared)[0]["pinned"] is True
        assert client.post("/qmoor/do", data={**form, "what": "unpin", "csrf": csrf}).status_code == 303
        assert backups(shared)[0]["pinned"] is False
    evil = {"origin": "http://evil.example", "sec-fetch-site": "cross-site"}
    assert outside(shared).post("/qmoor/login", data={"key": key(shared)}, headers=evil).status_code == 403


def test_nonsense_is_answered_and_changes_nothing(shared):
    with visitor(shared) as (client, csrf):
        for data in [{}, {"what": "restore"}, {"what": "pin"}, {"what": "<script>"}]:
            assert client.post("/qmoor/do", data={**data, "csrf": csrf}).status_code == 404
        gone = client.post("/qmoor/do", data={"what": "pin", "backup": "b-<script>", "csrf": csrf})
        assert gone.status_code == 404 and "<script>" not in gone.text and "qmoor backups" in gone.text
        assert client.get("/qmoor/confirm?what=%3Cscript%3E").status_code == 404
        assert client.post("/qmoor/do", content=b"x" * 100_000).status_code == 400
        released = client.post("/qmoor/do", data={"what": "release", "csrf": csrf})
        assert released.status_code == 404 and "no hold by hand" in released.text


def test_wrong_keys_at_the_form_count_as_everywhere(shared):
    from_there = httpx.HTTPTransport(local_address="127.0.0.77")
    with httpx.Client(base_url=shared.url, transport=from_there, timeout=30) as client:
        statuses = [client.post("/qmoor/login", data={"key": f"wrong {n}"}).status_code for n in range(30)]
        assert statuses[:20] == [401] * 20 and 429 in statuses[20:]
        # The same count as that of the API.
        assert 429 in [client.get("/collections", headers={"api-key": "wrong"}).status_code for _ in range(3)]
        assert client.post("/qmoor/login", data={"key": key(shared)}).status_code == 303


def test_a_session_ends_with_its_key_and_an_open_page_says_so(node, browser):
    page = logged_in(browser, node)
    expect(page.locator("#live")).to_have_text("live")
    rotated = server.verb(node, "keys", "rotate", "admin")
    (first,) = [
        one["id"] for one in server.verb(node, "keys", "list") if one["role"] == "admin" and one["id"] != rotated["id"]
    ]
    page.reload()
    expect(page.locator("#live")).to_have_text("live")
    server.verb(node, "keys", "revoke", first)
    expect(page).to_have_url(re.compile(r"/qmoor/login$"))


def test_over_tls_the_cookie_is_secure_and_the_page_is_live(tmp_path, browser):
    cert, private = tmp_path / "cert.pem", tmp_path / "key.pem"
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "100"]
    name = ["-subj", "/CN=node", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*make, *name, "-keyout", private, "-out", cert], check=True, capture_output=True)
    private.chmod(0o600)

    class Encrypted(server.Server):
        url = property(lambda self: f"https://{self.ready['http']}")

    config = tmp_path / "qmoor.toml"
    config.write_text(f'[gateway]\nhttp_port = 0\ngrpc_port = 0\ntls_cert = "{cert}"\ntls_key = "{private}"\n')
    node = Encrypted(["serve", "--config", config, "--json"], tmp_path / "node.log").wait_until_ready()
    answer = httpx.post(f"{node.url}/qmoor/login", data={"key": key(node)}, verify=False)
    assert "; Secure" in answer.headers["set-cookie"]
    # HTTP/2, where the host has another name.
    page = logged_in(browser, node, ignore_https_errors=True)
    expect(page.locator("#live")).to_have_text("live")
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Admin key")).to_be_visible()
    assert node.stop() == 0, node.tail()


# ---- what is seen and done ------------------------------------------------------------------


def test_a_backup_goes_by_without_a_reload(node, browser):
    page = logged_in(browser, node)
    expect(page.locator("#live")).to_have_text("live")
    expect(page.locator("#backups")).to_contain_text("There is none yet")
    page.evaluate("window.untouched = true")
    journal = node.log.parent / "qmoor-data/state/journal.jsonl"
    pid = str(server.verb(node, "status")["node"]["engine"]["pid"])
    # An engine that is slow to stop: the backup is there for long enough to be seen.
    command = [sys.executable, freeze.__file__, journal, pid, "stop", "3"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as slow:
        assert slow.stdout.readline() == "watching\n"
        backing = threading.Thread(target=server.verb, args=(node, "backup", "--batch-id", "live"))
        backing.start()
        expect(page.locator("#now .steps .now")).to_have_text("stop")
        expect(page.locator("#now .held")).to_contain_text("Reads and writes are held")
        backing.join()
    expect(page.locator("#backups tbody tr")).to_have_count(1)
    expect(page.locator("#backups tbody")).to_contain_text("live")
    expect(page.locator("#backups svg .grade.clean")).to_have_count(1)
    expect(page.locator("#backups svg .batch")).to_have_count(1)
    expect(page.locator("#now")).to_contain_text("Nothing is going on")
    # What was held is shaded once the next sample is taken.
    expect(page.locator("#traffic rect.hold").first).to_be_attached()
    assert page.evaluate("window.untouched"), "it was reloaded"


def test_backup_drill_and_pin_by_button(node, browser):
    page = logged_in(browser, node)
    page.get_by_role("link", name="Back up now").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Back up now?")
    page.get_by_role("link", name="Cancel").click()
    assert backups(node) == []
    page.get_by_role("link", name="Back up now").click()
    page.get_by_role("button", name="Back up now").click()
    expect(page.get_by_text("The backup has begun.")).to_be_visible()
    expect(page.locator("#backups .tag.good")).to_have_text("clean")
    page.get_by_role("link", name="Drill now").click()
    page.get_by_role("button", name="Drill now").click()
    expect(page.locator("#backups tbody")).to_contain_text("drilled")
    expect(page.locator("#backups svg .drill.good")).to_have_count(1)
    page.get_by_role("link", name="Pin").click()
    page.get_by_role("button", name="Pin").click()
    expect(page.locator("#backups tbody")).to_contain_text("pinned")
    (backup,) = backups(node)
    assert backup["pinned"] and backup["drilled"]["ok"]
    page.get_by_role("link", name="Unpin").click()
    page.get_by_role("button", name="Unpin").click()
    expect(page.get_by_role("link", name="Unpin")).to_have_count(0)
    assert backups(node)[0]["pinned"] is False
    written = json.loads(server.run(node, "audit").stdout)
    by_key = {entry["action"] for entry in written if entry["who"].startswith("key ") and entry["result"] == "done"}
    assert by_key >= {"page.log_in", "backup", "drill", "pin"}, written


def test_a_hold_is_seen_and_released_and_the_page_does_not_wait_at_the_gate(node, browser):
    page = logged_in(browser, node)
    server.verb(node, "hold", "--lease", "120s", "--reads", "--why", "a look at the disk")
    expect(page.locator("#now .held")).to_contain_text("Reads and writes are held")
    expect(page.locator("#verdict")).to_contain_text("an operator holds requests")
    with visitor(node) as (client, csrf):
        began = time.monotonic()
        assert "a look at the disk" in client.get("/qmoor/").text
        assert time.monotonic() - began < 1.0, "it waited"
        # A second thing at a time is refused, and said why.
        busy = client.post("/qmoor/do", data={"what": "backup", "csrf": csrf})
        assert busy.status_code == 409 and "a look at the disk" in busy.text
    page.get_by_role("link", name="Release the hold").click()
    page.get_by_role("button", name="Release").click()
    expect(page.get_by_text("The hold is released.")).to_be_visible()
    expect(page.locator("#now .held")).to_have_count(0)
    assert server.verb(node, "status")["node"]["gate"]["phase"] == "open"


def test_an_engine_that_cannot_come_back_is_said_to_be_down(node, browser, tmp_path):
    server.verb(node, "backup")
    page = logged_in(browser, node)
    data = node.log.parent / "qmoor-data/data"
    data.rename(tmp_path / "aside")
    expect(page.locator("#verdict strong")).to_have_text("Not well")
    expect(page.locator("#verdict")).to_contain_text("the engine is down")
    expect(page.locator("#node .tag.bad")).to_have_text("down")
    page.reload()
    expect(page.locator("#verdict strong")).to_have_text("Not well")
    (tmp_path / "aside").rename(data)
    expect(page.locator("#node .tag.good")).to_have_text("up")
    # The checks are looked at anew, and find nothing that is broken.
    expect(page.locator("#verdict strong")).to_have_text(re.compile("Well|Look at this"))


def test_what_the_schedule_will_do_is_told(tmp_path, browser):
    node = server.start_node(tmp_path, '[schedule]\nbackup = "0 3 1 1 *"\n')
    page = logged_in(browser, node)
    expect(page.locator("#backups .schedule")).to_contain_text(re.compile(r"Next backup in \d+ (days|h|min)"))
    expect(page.locator("#backups .schedule code")).to_have_text("0 3 1 1 *")
    assert node.stop() == 0, node.tail()


def test_the_checks_of_doctor_are_there(shared, browser):
    page = logged_in(browser, shared)
    checks = page.locator("#checks")
    expect(checks).to_contain_text("Looked at")
    checks.locator("summary").click()
    expect(checks.locator("li", has_text="refuses-without-key").locator(".tag")).to_have_text("pass")
    # The next second's parts leave open what is open.
    page.wait_for_timeout(2500)
    expect(checks.locator("li", has_text="refuses-without-key")).to_be_visible()


def test_without_javascript_the_page_is_whole(node, browser):
    page = logged_in(browser, node, java_script_enabled=False)
    for part in ["Now", "Node", "Backups", "Capacity", "Traffic", "Checks"]:
        expect(page.get_by_role("heading", name=part, exact=True)).to_be_visible()
    expect(page.locator("#live")).to_be_hidden()
    page.get_by_role("link", name="Back up now").click()
    page.get_by_role("button", name="Back up now").click()
    expect(page.get_by_text("The backup has begun.")).to_be_visible()
    deadline = time.monotonic() + 60
    while page.locator("#backups .tag.good").count() == 0:
        assert time.monotonic() < deadline, page.content()
        page.get_by_role("link", name="Refresh").click()
    expect(page.locator("#backups tbody tr")).to_have_count(1)


def test_keyboard_alone_will_do(node, browser):
    page = browser.page(node)
    page.goto("/qmoor/")
    page.keyboard.type(key(node))
    page.keyboard.press("Enter")
    expect(page.locator("#verdict strong")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="To the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    for _ in range(20):
        if page.evaluate("document.activeElement.textContent") == "Back up now":
            break
        page.keyboard.press("Tab")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid", "the focus is not seen"
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Back up now")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#backups .tag.good")).to_have_text("clean")


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_nothing_is_wider_than_the_window(shared, browser, width):
    page = logged_in(browser, shared, viewport={"width": width, "height": 740})
    expect(page.locator("#checks")).to_contain_text("Looked at")
    for place in ["/qmoor/", "/qmoor/confirm?what=backup", "/qmoor/login"]:
        page.goto(place)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"{place} is {wide} wide"


def test_dark_where_the_reader_likes_it_dark(shared, browser):
    def brightness(scheme):
        page = logged_in(browser, shared, color_scheme=scheme)
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        ink = page.evaluate("getComputedStyle(document.body).color")
        return [sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in (ground, ink)]

    ground, ink = brightness("light")
    assert ground > 600 and ink < 200
    ground, ink = brightness("dark")
    assert ground < 200 and ink > 600


def test_charts_have_words_for_those_who_do_not_see_them(shared, browser):
    page = logged_in(browser, shared)
    charts = page.locator("main svg[role=img]")
    assert charts.count() >= 2
    for chart in charts.all():
        assert len(chart.get_attribute("aria-label")) > 20
    for text in page.locator("svg title").all():
        assert text.text_content()


def test_a_thousand_open_pages_disturb_nothing(shared):
    with visitor(shared) as (client, _), contextlib.ExitStack() as open_ones:
        streams = [open_ones.enter_context(client.stream("GET", "/qmoor/events")) for _ in range(64)]
        assert {stream.status_code for stream in streams} == {200}
        # Each is read on, or it would be closed.
        readers = [stream.iter_bytes() for stream in streams]
        for reader in readers:
            assert next(reader).startswith(b"event: part\n")
        with client.stream("GET", "/qmoor/events") as one_more:
            assert one_more.status_code == 503
        began = time.monotonic()
        for _ in range(1000):
            assert client.get("/qmoor/").status_code == 200
        took = time.monotonic() - began
        assert took < 60, f"a thousand pages took {took:.0f} s"
        with lanes.Connected(lanes.stock(shared, grpc=False, role="search")) as search:
            assert search.count("c").count == 100
    with visitor(shared) as (client, _), client.stream("GET", "/qmoor/events") as again:
        assert again.status_code == 200, "the places come back"


def test_a_node_with_open_pages_ends_at_once(tmp_path):
    node = server.start_node(tmp_path)
    with visitor(node) as (client, _), client.stream("GET", "/qmoor/events") as stream:
        reader = stream.iter_bytes()
        assert next(reader)
        began = time.monotonic()
        assert node.stop() == 0, node.tail()
        assert time.monotonic() - began < 10, "the page held it up"


# ---- the history ----------------------------------------------------------------------------


def test_the_history_outlives_a_torn_end_and_tells_when_the_volume_is_full(tmp_path, browser):
    state = tmp_path / "qmoor-data/state"
    state.mkdir(parents=True)
    found = os.statvfs(tmp_path)
    used = (found.f_blocks - found.f_bfree) * found.f_frsize
    file = state / "volume-history.jsonl"
    lines = volume_history(tmp_path, used, days=29)
    file.write_text("".join(lines) + '{"at":"2026-')
    node = server.start_node(tmp_path)
    page = logged_in(browser, node)
    expect(page.locator("#capacity")).to_contain_text(re.compile(r"full in \d+ days"))
    expect(page.locator("#capacity path.forecast")).to_be_attached()
    answer = httpx.get(f"{node.url}/qmoor/metrics", headers={"api-key": key(node)}, timeout=30).text
    growth = float(re.search(r"^qmoor_volume_growth_bytes_per_day (\S+)$", answer, re.MULTILINE)[1])
    days = float(re.search(r"^qmoor_volume_days_to_full (\S+)$", answer, re.MULTILINE)[1])
    assert growth == pytest.approx(used * 0.9 / 29, rel=0.2)
    assert days == pytest.approx(found.f_bavail * found.f_frsize / growth, rel=0.2)
    written = file.read_text().splitlines()
    assert written[:-1] == [line.strip() for line in map(normal, lines)] and json.loads(written[-1])["used"] > 0
    assert node.stop() == 0, node.tail()


def normal(line):
    """As the node writes it."""
    return json.dumps(json.loads(line), separators=(",", ":"))


# ---- the picture ----------------------------------------------------------------------------


def busy(node, seconds):
    """Some traffic: searches all the time, writes now and then."""
    chance = random.Random(5)
    ends = time.monotonic() + seconds
    with lanes.Connected(lanes.stock(node, grpc=True, role="index")) as client:
        step = 0
        while time.monotonic() < ends:
            vector = [chance.random() for _ in range(lanes.DIM)]
            for _ in range(chance.randrange(4, 14)):
                client.query_points("c", query=vector, limit=5)
            if step % 4 == 0:
                client.upsert("c", [lanes.point(number) for number in range(step, step + 50)], wait=True)
            step += 1
            time.sleep(0.15)


def test_the_readme_shows_a_picture_of_the_page(tmp_path, browser):
    if not os.environ.get("UPDATE_DOCS"):
        assert "docs/status-page.png" in (ROOT / "README.md").read_text()
        assert PICTURE.read_bytes().startswith(b"\x89PNG") and PICTURE.stat().st_size < 200_000
        return
    with tempfile.TemporaryDirectory(prefix="rag-") as folder:
        try:
            take_picture(browser, Path(folder))
        finally:
            # The volume stays mounted when its agent ends.
            subprocess.run(["umount", "-d", Path(folder) / "qmoor-data/volume"], check=True)
    assert PICTURE.stat().st_size < 200_000


def fill(node):
    """Enough for a volume that is not empty."""
    load(node, 2000)
    with httpx.Client(base_url=node.url, headers={"api-key": key(node)}, timeout=60) as client:
        vectors = {"size": 256, "distance": "Cosine"}
        assert client.put("/collections/documents", json={"vectors": vectors}).status_code == 200
        chance = random.Random(3)
        for first in range(0, 24_000, 500):
            points = [
                {"id": number, "vector": [round(chance.random(), 4) for _ in range(256)]}
                for number in range(first, first + 500)
            ]
            answer = client.put("/collections/documents/points?wait=true", json={"points": points})
            assert answer.status_code == 200, answer.text


def take_picture(browser, folder):
    """Of a node with a volume of its own, which takes root, as in production."""
    settings = f'{KEEP}[node]\nname = "rag-prod"\n[volume]\nkind = "image"\nsize = "512MiB"\n'
    node = server.start_node(folder, settings)
    fill(node)
    ready, mount = node.ready, folder / "qmoor-data/volume"
    found = os.statvfs(mount)
    past = volume_history(mount, (found.f_blocks - found.f_bfree) * found.f_frsize)
    assert node.stop() == 0, node.tail()
    (folder / "qmoor-data/state/volume-history.jsonl").write_text("".join(past))
    node = server.start_node(folder, settings)
    # They are shown once.
    node.ready["keys"] = ready["keys"]
    working = threading.Thread(target=busy, args=(node, 112))
    working.start()
    for number in range(8):
        mode = "freeze" if number % 3 == 1 else "stop"
        server.verb(node, "backup", "--batch-id", f"docs-{number + 1:02}", "--mode", mode)
        if number in (1, 4, 7):
            server.verb(node, "drill")
        if number == 6:
            server.verb(node, "pin", "latest")
        time.sleep(11)
    working.join()
    page = logged_in(browser, node, viewport={"width": 1180, "height": 900})
    expect(page.locator("#checks")).to_contain_text("Looked at")
    expect(page.locator("#live")).to_have_text("live")
    foot = page.locator("#traffic").bounding_box()
    height = foot["y"] + foot["height"] + 16
    page.screenshot(path=PICTURE, clip={"x": 0, "y": 0, "width": 1180, "height": height}, full_page=True)
    assert node.stop() == 0, node.tail()
