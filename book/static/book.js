// Small repairs for readers who listen to the page or have no mouse: names and roles that theme and Sphinx leave out.
document.addEventListener("DOMContentLoaded", () => {
  const sidebar = document.querySelector(".bd-sidebar-primary");
  sidebar?.setAttribute("role", "region");
  sidebar?.setAttribute("aria-label", "Book");
  for (const summary of document.querySelectorAll(".bd-links summary")) {
    const link = summary.closest("li")?.querySelector("a");
    summary.setAttribute("aria-label", `Sections of ${link?.textContent.trim() ?? "this chapter"}`);
  }
  // Sphinx marks bibliographies with roles that have since been withdrawn.
  for (const entry of document.querySelectorAll(".citation[role]")) entry.setAttribute("role", "listitem");
});
// A formula wider than the screen scrolls; the keyboard has to reach it.
window.addEventListener("load", async () => {
  await window.MathJax?.startup?.promise;
  for (const formula of document.querySelectorAll("mjx-container[display='true']")) {
    if (formula.scrollWidth > formula.clientWidth) formula.tabIndex = 0;
  }
});
