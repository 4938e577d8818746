"use strict";

// Keeps an open page up to date. Without it everything works; the page then shows what held when it was loaded.

const page = document.querySelector("main").dataset.page;
const live = (root) => new Map([...root.querySelectorAll("[data-live]")].map((each) => [each.dataset.live, each]));

async function fresh() {
  const answer = await fetch(page, { headers: { Accept: "text/html" }, signal: AbortSignal.timeout(10_000) });
  return answer.ok ? live(new DOMParser().parseFromString(await answer.text(), "text/html")) : null;
}

async function renew() {
  const parts = document.hidden ? null : await fresh().catch(() => null);
  if (parts !== null) {
    const shown = live(document);
    // A stay that begins or ends is another page.
    if (shown.has("state") !== parts.has("state")) return location.assign(page);
    for (const [name, part] of shown) {
      const now = parts.get(name);
      if (now && now.innerHTML !== part.innerHTML) part.replaceChildren(...now.childNodes);
      if (now?.dataset.every) part.dataset.every = now.dataset.every;
    }
  }
  next();
}

function next() {
  const every = Number(document.querySelector("[data-every]")?.dataset.every ?? 15);
  setTimeout(renew, 1000 * every);
}

document.addEventListener("visibilitychange", () => document.hidden || fresh().then(() => renew(), () => {}));
next();
