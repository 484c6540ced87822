// Keeps the board live. A board that stops must say so: silence is never taken for quiet.
"use strict";

(() => {
  const SILENT = 30_000; // ms without a word from the gateway before the board says so
  const POLL = 60_000; // ms between two looks, whatever the stream says
  const AGAIN = [3_000, 6_000, 15_000]; // ms before a closed stream is opened again

  const $ = (id) => document.getElementById(id);
  const clock = new Intl.DateTimeFormat("da-DK", {
    timeZone: "Europe/Copenhagen", hour: "2-digit", minute: "2-digit", hour12: false,
  });

  let skew = Number($("alerts").dataset.now) - Date.now(); // the gateway's clock minus ours
  let heard = Date.now();
  let source = null;
  let opened = false;
  let failures = 0;
  let wanted = 0; // the newest refresh asked for: an older answer never overwrites a newer
  let known = new Set(alerts().map((card) => card.dataset.alert));

  function alerts() {
    return [...document.querySelectorAll(".group .card")];
  }

  // ---------------------------------------------------------------- what the connection is like

  function hear() {
    heard = Date.now();
    show();
  }

  function show() {
    const dead = Date.now() - heard > SILENT;
    const at = clock.format(new Date(heard + skew)).replace(".", ":");
    const state = dead ? "dead" : opened ? "live" : "waiting";
    if ($("connection").dataset.state !== state) $("connection").dataset.state = state;
    const text = opened && !dead ? "forbundet" : dead ? `ingen forbindelse siden kl. ${at}` : "forbinder …";
    if ($("connection-text").textContent !== text) $("connection-text").textContent = text;
    if (dead) {
      banner(`Ingen forbindelse siden kl. ${at}. Nye alarmer vises ikke her. Følg nødproceduren, hvis det varer ved.`);
    } else if (!$("banner").dataset.out) {
      banner("");
    }
  }

  function banner(text, link) {
    const box = $("banner");
    if (box.textContent === text) return;
    box.textContent = text;
    if (link) {
      const way = document.createElement("a");
      way.href = link;
      way.textContent = "Log ind igen";
      box.append(" ", way);
    }
    box.hidden = !text;
  }

  function signedOut() {
    if ($("banner").dataset.out) return;
    $("banner").dataset.out = "1";
    banner("Du er logget ud. Nye alarmer vises ikke her.", "/login");
    if (source) source.close();
  }

  function say(text) {
    $("said").textContent = text;
    $("said").hidden = !text;
  }

  // ---------------------------------------------------------------- the list

  async function refresh() {
    const mine = ++wanted;
    try {
      const answer = await fetch("/board/alerts", { headers: { "X-Part": "1" }, cache: "no-store" });
      if (answer.status === 401) return signedOut();
      if (answer.ok && mine === wanted) put(await answer.text());
    } catch {
      show(); // the network is away: the beat's silence will say so
    }
  }

  function put(html) {
    const fresh = new DOMParser().parseFromString(html, "text/html").getElementById("alerts");
    if (!fresh) return false;
    const open = [...$("alerts").querySelectorAll("details[open]")].map((one) => one.id);
    const focus = document.activeElement && document.activeElement.closest("#alerts") ? document.activeElement : null;
    const place = focus && { id: focus.id, card: focus.closest(".card") && focus.closest(".card").id };
    $("alerts").replaceWith(fresh);
    for (const id of open) if (id && $(id)) $(id).open = true;
    if (place) ($(place.id) || $(place.card) || $("indhold")).focus?.({ preventScroll: true });
    skew = Number(fresh.dataset.now) - Date.now();
    document.title = `${fresh.dataset.count > 0 ? `(${fresh.dataset.count}) ` : ""}Alarmer – Trygport`;
    announce();
    return true;
  }

  function announce() {
    const cards = alerts();
    const news = cards.filter((card) => !known.has(card.dataset.alert));
    for (const card of news) card.classList.add("fresh");
    if (news.length) $("news").textContent = news.map((card) => card.dataset.news).join(". ");
    known = new Set(cards.map((card) => card.dataset.alert));
  }

  let soon = 0;
  function refreshSoon() {
    clearTimeout(soon);
    soon = setTimeout(refresh, 150); // a burst of changes is one look
  }

  // ---------------------------------------------------------------- the stream

  function listen() {
    if (source) source.close();
    source = new EventSource("/stream");
    source.onopen = () => { opened = true; failures = 0; show(); };
    source.onerror = () => {
      opened = false;
      show();
      if (source.readyState === EventSource.CLOSED) {
        setTimeout(listen, AGAIN[Math.min(failures++, AGAIN.length - 1)]);
        refresh(); // tells whether we are signed out
      }
    };
    source.addEventListener("beat", hear);
    for (const name of ["alert", "reload"]) {
      source.addEventListener(name, () => { hear(); refreshSoon(); });
    }
  }

  // ---------------------------------------------------------------- what a thumb does

  async function send(form) {
    const button = form.querySelector("button[type=submit]");
    if (button.getAttribute("aria-disabled") === "true") return;
    button.setAttribute("aria-disabled", "true");
    wanted++;
    try {
      const answer = await fetch(form.action, {
        method: "POST", body: new URLSearchParams(new FormData(form)), headers: { "X-Part": "1" },
      });
      if (answer.status === 401) return signedOut();
      receive(await answer.text());
    } catch {
      tell(form, "Det blev ikke sendt: ingen forbindelse. Prøv igen.");
    } finally {
      button.removeAttribute("aria-disabled");
    }
  }

  function receive(html) {
    const page = new DOMParser().parseFromString(html, "text/html");
    if (page.querySelector("form[data-close]")) return open(page);
    const list = page.getElementById("alerts");
    if (!list) return say("Det gik ikke. Prøv igen.");
    $("dialog").close();
    say(list.dataset.message);
    put(html);
  }

  function tell(form, text) {
    if (!form.closest("dialog")) return say(text);
    let line = form.querySelector(".message");
    if (!line) {
      line = document.createElement("p");
      line.className = "message";
      line.setAttribute("role", "alert");
      form.querySelector("fieldset").before(line);
    }
    line.textContent = text;
  }

  function open(page) {
    const dialog = $("dialog");
    const kept = dialog.open ? new FormData(dialog.querySelector("form")) : null;
    dialog.replaceChildren(page.querySelector("form[data-close]"));
    if (kept) restore(dialog.querySelector("form"), kept);
    if (!dialog.open) dialog.showModal();
  }

  function restore(form, kept) {
    form.elements.text.value = kept.get("text") || "";
    for (const choice of form.querySelectorAll("[name=outcome]")) {
      choice.checked = choice.value === kept.get("outcome");
    }
  }

  async function ask(link) {
    try {
      const answer = await fetch(link.href, { cache: "no-store" });
      if (answer.status === 401) return signedOut();
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (page.querySelector("form[data-close]")) open(page);
      else refresh();
    } catch {
      say("Ingen forbindelse. Prøv igen.");
    }
  }

  document.addEventListener("submit", (event) => {
    if (!event.target.matches("[data-move], [data-close]")) return;
    event.preventDefault();
    send(event.target);
  });

  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-dialog], [data-cancel]");
    if (!link) return;
    event.preventDefault();
    if (link.matches("[data-cancel]")) $("dialog").close();
    else ask(link);
  });

  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState !== "visible") return;
    show();
    refresh();
    if (!source || source.readyState === EventSource.CLOSED || Date.now() - heard > SILENT) listen();
  });

  // ---------------------------------------------------------------- time passes

  function ago(since) {
    const minutes = Math.floor((Date.now() + skew - since) / 60_000);
    if (minutes < 1) return "lige nu";
    if (minutes < 60) return `for ${minutes} min siden`;
    const hours = Math.floor(minutes / 60);
    if (hours < 24) return minutes % 60 ? `for ${hours} t ${minutes % 60} min siden` : `for ${hours} t siden`;
    const days = Math.floor(hours / 24);
    return days > 1 ? `for ${days} dage siden` : "for 1 dag siden";
  }

  setInterval(() => {
    show();
    if (source && Date.now() - heard > 2 * SILENT && !$("banner").dataset.out) {
      if (source.readyState !== EventSource.CONNECTING) listen(); // open, but deaf
    }
  }, 2_000);
  setInterval(() => {
    for (const time of document.querySelectorAll("time[data-since]")) {
      const text = ago(Number(time.dataset.since));
      if (time.textContent !== text) time.textContent = text;
    }
  }, 10_000);
  setInterval(refresh, POLL);

  listen();
})();
