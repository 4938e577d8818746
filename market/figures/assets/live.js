// Shows a page anew when the market tells that something happened in its auction. Without it, the page is as it was read.
"use strict";

(() => {
  const SETTLE_MS = 1000; // several requests often come together

  document.addEventListener("DOMContentLoaded", () => {
    const place = document.querySelector("[data-live]");
    if (!place || !window.EventSource) {
      return;
    }
    // Only where somebody looks: a page in the background waits until it is looked at again.
    function show() {
      if (document.visibilityState === "visible") {
        window.location.reload();
      } else {
        document.addEventListener("visibilitychange", show, { once: true });
      }
    }

    const types = ["request.submitted", "request.withdrawn", "auction.closed", "auction.published", "auction.failed", "auction.settled"];
    const stream = new EventSource(place.dataset.live);
    stream.addEventListener("open", () => {
      place.dataset.listening = "true";
    });
    for (const type of types) {
      stream.addEventListener(type, () => {
        stream.close();
        window.setTimeout(show, SETTLE_MS);
      });
    }
    window.addEventListener("pagehide", () => stream.close());
  });
})();
