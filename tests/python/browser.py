"""A headless Chromium, Debian's, that keeps count of what a page must not do."""

import shutil

from playwright.sync_api import sync_playwright

# Chrome says so of every answer that is no success, which a test may want.
NO_NEWS = "Failed to load resource"
DEADLINE = 30_000


def chromium():
    """The program; `./test` installs it."""
    found = shutil.which("chromium")
    assert found, "there is no `chromium` (hint: `apt-get install chromium`)"
    return found


class Browser:
    """One browser; each `page` is somebody else's."""

    def __init__(self):
        self.playwright = sync_playwright().start()
        arguments = ["--no-sandbox", "--disable-dev-shm-usage"]
        self.browser = self.playwright.chromium.launch(executable_path=chromium(), args=arguments)
        self.misdeeds = []
        self.contexts = []

    def page(self, node, **settings):
        """A window of its own, without cookies, at no address yet."""
        settings = {"viewport": {"width": 1280, "height": 900}, **settings}
        context = self.browser.new_context(base_url=node.url, **settings)
        context.set_default_timeout(DEADLINE)
        self.contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: self._asked(node, request.url))
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.misdeeds.append(f"error: {error}"))
        return page

    def _asked(self, node, url):
        if not url.startswith((f"{node.url}/", "data:,")):
            self.misdeeds.append(f"asked elsewhere: {url}")

    def _said(self, message):
        if message.type in ("error", "warning") and not message.text.startswith(NO_NEWS):
            self.misdeeds.append(f"{message.type}: {message.text}")

    def behaved(self):
        """What the pages did since the last time that they must not; closes them."""
        for context in self.contexts:
            context.close()
        misdeeds, self.contexts, self.misdeeds = self.misdeeds, [], []
        return misdeeds

    def close(self):
        self.browser.close()
        self.playwright.stop()
