// A form is sent once. The server takes a second press for the first anyway; this spares the wait.

const FORGET_AFTER_MS = 10_000; // an answer that never comes must not lock the form for ever

for (const form of document.querySelectorAll("form[data-once]")) {
  let sentAt = -Infinity;

  form.addEventListener("submit", (event) => {
    if (Date.now() - sentAt < FORGET_AFTER_MS) {
      event.preventDefault();
      return;
    }
    sentAt = Date.now();
    // Not disabled: a disabled button would not be sent with the form.
    const button = event.submitter ?? form.querySelector("[type=submit], button:not([type])");
    showBusy(form, button, true);
    setTimeout(() => showBusy(form, button, false), FORGET_AFTER_MS);
  });

  // The back button may bring the page back as it was left.
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    sentAt = -Infinity;
    for (const button of form.querySelectorAll("button")) showBusy(form, button, false);
  });
}

function showBusy(form, button, busy) {
  if (!button) return;
  const label = button.querySelector(".way-name") ?? button;
  if (busy) {
    button.setAttribute("aria-busy", "true");
    if (form.dataset.busy) {
      label.dataset.label ??= label.textContent;
      label.textContent = form.dataset.busy;
    }
  } else {
    button.removeAttribute("aria-busy");
    if (label.dataset.label) label.textContent = label.dataset.label;
  }
}
