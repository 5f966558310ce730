// What is too wide for the window scrolls within itself; then the keyboard must reach it.
(() => {
  const SCROLLS = "article :is(.scrolls, .math, pre, mjx-container)";
  const scrolls = (overflow) => overflow === "auto" || overflow === "scroll";
  function mark() {
    for (const each of document.querySelectorAll("article span.math")) {
      each.classList.toggle("scrolls", each.firstElementChild?.offsetWidth > each.clientWidth + 1);
    }
    for (const each of document.querySelectorAll(SCROLLS)) {
      const { overflowX, overflowY } = getComputedStyle(each);
      const wide = scrolls(overflowX) && each.scrollWidth > each.clientWidth + 1;
      const high = scrolls(overflowY) && each.scrollHeight > each.clientHeight + 1;
      if (wide || high) each.tabIndex = 0;
      else each.removeAttribute("tabindex");
    }
  }
  addEventListener("resize", mark);
  addEventListener("click", () => setTimeout(mark)); // a fold may have been opened
  addEventListener("load", () => (window.MathJax?.startup?.promise ?? Promise.resolve()).then(mark));
})();
