// Asks every second while the test runs: a phone that slept is right again at its next question.
"use strict";

(() => {
  const EVERY = 1_000; // ms between two questions
  const away = document.getElementById("away");

  async function look() {
    try {
      const answer = await fetch(location.href, { headers: { "X-Part": "1" }, cache: "no-store" });
      if (answer.status === 401) return location.reload();
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("walk");
      if (!fresh) throw new Error(String(answer.status));
      away.hidden = true;
      const now = document.getElementById("walk");
      if (fresh.dataset.runs !== now.dataset.runs) return location.reload();
      if (fresh.innerHTML !== now.innerHTML) now.replaceWith(fresh);
    } catch {
      away.hidden = false;
    }
    setTimeout(look, EVERY);
  }

  setTimeout(look, EVERY);
})();
