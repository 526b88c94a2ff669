// Light or dark: as the system has it, until the button says otherwise.
const listeners = [];
function onTheme(listener) { listeners.push(listener); }
function themed(name) { return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim(); }
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;
  const changed = () => listeners.forEach((listener) => listener());
  document.getElementById("theme").addEventListener("click", () => {
    const isDark = root.dataset.theme ? root.dataset.theme === "dark" : dark.matches;
    root.dataset.theme = isDark ? "light" : "dark";
    changed();
  });
  dark.addEventListener("change", changed);
})();
