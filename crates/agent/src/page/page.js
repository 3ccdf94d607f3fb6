// Refreshes the parts of the page as the node sends them. Without it the page is whole, and the link refreshes it.
"use strict";

const live = document.getElementById("live");

function say(text, on) {
  live.textContent = text;
  live.classList.toggle("on", on);
}

// Puts a part in place of what was there, and leaves open what was open, and the focus where it was.
function replace(part) {
  const section = document.getElementById(part.id);
  if (!section) return;
  const open = new Set(
    [...section.querySelectorAll("details[open][data-keep]")].map((one) => one.dataset.keep),
  );
  const focused = section.contains(document.activeElement) ? document.activeElement : null;
  const again = focused && (focused.getAttribute("href") || focused.parentElement.dataset.keep);
  section.innerHTML = part.html;
  for (const one of section.querySelectorAll("details[data-keep]")) one.open = open.has(one.dataset.keep);
  if (!again) return;
  const links = [...section.querySelectorAll("a[href]")].filter((one) => one.getAttribute("href") === again);
  const folds = [...section.querySelectorAll("details[data-keep]")].filter((one) => one.dataset.keep === again);
  const back = links[0] || (folds[0] && folds[0].querySelector("summary"));
  if (back) back.focus({ preventScroll: true });
}

function listen() {
  const source = new EventSource("/qmoor/events");
  source.addEventListener("open", () => say("live", true));
  source.addEventListener("part", (event) => replace(JSON.parse(event.data)));
  source.addEventListener("end", () => {
    source.close();
    location.assign("/qmoor/login");
  });
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) {
      // Refused: too many pages are open, or the session is over, which a reload shows.
      say("not refreshed by itself", false);
      setTimeout(listen, 30000);
    } else {
      say("connecting again", false);
    }
  });
}

listen();
