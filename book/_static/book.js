// What is too wide for the window scrolls within itself; then the keyboard must reach it.
(() => {
  const SCROLLS = "article :is(.scrolls, .math, pre, mjx-container)";
  function mark() {
    for (const each of document.querySelectorAll(SCROLLS)) {
      const high = each.scrollHeight > each.clientHeight + 1 && getComputedStyle(each).overflowY !== "hidden";
      if (high || each.scrollWidth > each.clientWidth + 1) each.tabIndex = 0;
      else each.removeAttribute("tabindex");
    }
  }
  addEventListener("resize", mark);
  addEventListener("click", () => setTimeout(mark)); // a fold may have been opened
  addEventListener("load", () => (window.MathJax?.startup?.promise ?? Promise.resolve()).then(mark));
})();
