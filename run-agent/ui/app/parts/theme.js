/** Light and dark: as the system has it, unless the reader chose. */

/** @typedef {"light" | "dark"} Theme */

const KEY = "conductor.theme";
const dark = matchMedia("(prefers-color-scheme: dark)");

/** @returns {Theme | undefined} */
function chosen() {
  try {
    const theme = localStorage.getItem(KEY);
    return theme === "light" || theme === "dark" ? theme : undefined;
  } catch {
    return undefined;
  }
}

function apply() {
  document.documentElement.dataset.theme = theme();
}

/** @returns {Theme} */
export function theme() {
  return chosen() ?? (dark.matches ? "dark" : "light");
}

export function startTheme() {
  apply();
  dark.addEventListener("change", apply);
}

export function toggleTheme() {
  const next = theme() === "dark" ? "light" : "dark";
  try {
    localStorage.setItem(KEY, next);
  } catch {
    // Where nothing can be kept it holds for this page.
  }
  document.documentElement.dataset.theme = next;
}
