// What is too wide for the window scrolls within itself; then the keyboard must reach it.
(() => {
  const SCROLLS = "article .scrolls, article div.math, article pre, article mjx-container";
  function mark() {
    for (const each of document.querySelectorAll("article mjx-container:not([display])")) {
      each.classList.toggle("scrolls", each.offsetWidth > each.parentElement.clientWidth);
    }
    for (const each of document.querySelectorAll(SCROLLS)) {
      if (each.scrollWidth > each.clientWidth + 1 || each.scrollHeight > each.clientHeight + 1) each.tabIndex = 0;
      else each.removeAttribute("tabindex");
    }
  }
  addEventListener("resize", mark);
  addEventListener("click", () => setTimeout(mark)); // a fold may have been opened
  addEventListener("load", () => (window.MathJax?.startup?.promise ?? Promise.resolve()).then(mark));
})();
