// The frame of the page: areas, theme. An area is a module with mount(main); a new one is a line in AREAS.

import { h, fill } from "./dom.js";

const AREAS = {
  explore: { label: "Explore", load: () => import("./explore/page.js") },
  play: { label: "Play", load: () => import("./play/page.js") },
  runs: { label: "Runs and leagues", load: () => import("./runs/page.js") },
};

const theme = localStorage.getItem("pokerlab.theme");
if (theme) document.documentElement.dataset.theme = theme;
document.getElementById("theme").addEventListener("click", () => {
  const dark = document.documentElement.dataset.theme
    ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("pokerlab.theme", document.documentElement.dataset.theme);
});

let mounted = null;

async function show() {
  const name = location.hash.slice(2).split("?")[0];
  const area = AREAS[name] ? name : "explore";
  fill(document.getElementById("areas"), Object.entries(AREAS).map(([key, { label }]) =>
    h("a", { href: `#/${key}`, "aria-current": key === area ? "page" : null }, label)));
  if (mounted !== area) {
    mounted = area;
    const page = await AREAS[area].load();
    if (mounted === area) page.mount(document.getElementById("main")); // else somebody has gone on meanwhile
  }
}

addEventListener("hashchange", show);
show();
