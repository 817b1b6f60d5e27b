// The page of an import that is still moving: its bar and figures, until there is something else to show.

import { keepAsking } from "./live.js";

const page = document.querySelector("#import");

keepAsking(page, (moment) => {
  if (moment.state !== page.dataset.state) return void location.reload();
  document.querySelector("#import-percent").value = moment.percent;
  document.querySelector("#import-figures").innerHTML = moment.figures; // from our own templates
});
