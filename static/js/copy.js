// Keys and links into the clipboard. Without script the text can be selected.

for (const button of document.querySelectorAll("[data-copy]")) {
  const key = button.closest("li").querySelector("[data-key]");
  offer(button, () => copy(key.textContent, key));
}
for (const button of document.querySelectorAll("[data-copy-all]")) {
  offer(button, () => copy(keysNear(button).join("\n")));
}
for (const button of document.querySelectorAll("[data-copy-link]")) {
  const address = document.querySelector("#order").dataset.url;
  offer(button, () => copy(new URL(address, location.href).href));
}

function keysNear(button) {
  const keys = button.closest("[data-keys]").querySelectorAll("[data-key]");
  return [...keys].map((key) => key.textContent);
}

/** Show the button; after `action` has worked, say so on it and to screen readers. */
function offer(button, action) {
  const label = button.innerHTML;
  let reset;
  button.hidden = false;
  button.addEventListener("click", async () => {
    if (!(await action())) return;
    button.textContent = button.dataset.done;
    button.classList.add("is-done");
    document.querySelector("#announcer").textContent = button.dataset.done;
    clearTimeout(reset);
    reset = setTimeout(() => {
      button.innerHTML = label;
      button.classList.remove("is-done");
      document.querySelector("#announcer").textContent = "";
    }, 2000);
  });
}

async function copy(text, element) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyTheOldWay(text, element); // no https, or an in-app browser without the permission
  }
}

function copyTheOldWay(text, element) {
  const area = document.createElement("textarea");
  area.value = text;
  area.readOnly = true;
  area.className = "visually-hidden";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done && element) getSelection().selectAllChildren(element);
  return done;
}
