// A button beside what is told once; without this script the text can be marked and copied by hand.
"use strict";

for (const field of document.querySelectorAll("[data-copy]")) {
  field.addEventListener("focus", () => field.select());
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button";
  button.textContent = "Kopiér";
  button.addEventListener("click", async () => {
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
      button.textContent = "Kopieret";
    } catch {
      button.textContent = "Markeret: tryk Ctrl+C";
    }
  });
  if (navigator.clipboard) field.after(button);
}
