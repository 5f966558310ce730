// What a reader would stumble over on a page as it is shown now; book/check_pages.py runs it at several widths.
(() => {
  const LETTERS = 9; // pixels, of the smallest letters in a figure
  const LINES = 2; // that an interval in a table may take
  const width = document.documentElement.clientWidth; // innerWidth grows with what sticks out
  const wide = width > 600;
  const faults = [];
  const place = (element) => {
    const near = element.closest("[id]:not([id^=MathJax], [id^=codecell], [id^=table-])");
    const text = (element.alt || element.textContent || "").trim().replace(/\s+/g, " ").slice(0, 60);
    return `#${near ? near.id : ""} "${text}"`;
  };
  const say = (rule, element, what = "") => faults.push({ rule, where: `${place(element)} ${what}`.trim() });
  const all = (selector) => [...document.querySelectorAll(selector)].filter((each) => each.checkVisibility());
  const overflows = (element) => element.scrollWidth > element.clientWidth + 1;

  if (overflows(document.documentElement)) say("page-scrolls-sideways", document.body, `${document.documentElement.scrollWidth} px`);

  // What is wider than the window must lie in something that scrolls.
  for (const element of all("article pre, article table, article img, article svg, article mjx-container, article audio, article h1, article h2, article h3, article dt")) {
    let edge = element.getBoundingClientRect().right;
    for (let box = element; box !== document.body; box = box.parentElement) {
      if (["auto", "scroll"].includes(getComputedStyle(box).overflowX)) edge = Math.min(edge, box.getBoundingClientRect().right);
    }
    if (edge > width + 1 && !element.closest(".sr-only, .visually-hidden")) say("cut-off", element, `ends at ${Math.round(edge)} px`);
  }
  if (wide) {
    for (const code of all("article .cell_input pre, article .highlight pre")) {
      if (overflows(code)) say("code-scrolls", code, `${code.scrollWidth} > ${code.clientWidth} px`);
    }
    for (const equation of all("article mjx-container[display=true]")) {
      if (overflows(equation)) say("equation-scrolls", equation, `${equation.scrollWidth} > ${equation.clientWidth} px`);
    }
    for (const figure of all("article .scrolls:has(img)")) {
      if (overflows(figure)) say("figure-scrolls", figure.querySelector("img"), `${figure.scrollWidth} > ${figure.clientWidth} px`);
    }
  }
  for (const number of all("article .eqno")) {
    const equation = number.parentElement.querySelector("mjx-container");
    const [left, right] = [equation, number].map((each) => each.getBoundingClientRect());
    const apart = left.right <= right.left + 1 || left.bottom <= right.top || right.bottom <= left.top;
    if (!apart) say("equation-under-its-number", number.parentElement);
  }
  // A figure says by data-letters how high its smallest letters are at its natural size.
  for (const image of all("article img[data-letters]")) {
    const source = image.parentElement.querySelector("source");
    const { letters } = (source && matchMedia(source.media).matches ? source : image).dataset;
    const height = Number(letters) * image.clientWidth / image.naturalWidth;
    if (height < LETTERS - 0.05) say("small-letters", image, `${height.toFixed(1)} px`);
  }
  for (const cell of all("article td")) {
    for (const found of cell.textContent.matchAll(/\[[-+−\d][^\[\]a-z]*,[^\[\]a-z]*\d%?\]|\d\S* to \d\S*/g)) {
      const range = document.createRange();
      const texts = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
      let at = 0, begun = false;
      while (texts.nextNode()) {
        const text = texts.currentNode, end = at + text.length;
        if (!begun && found.index < end) { range.setStart(text, found.index - at); begun = true; }
        if (begun && found.index + found[0].length <= end) { range.setEnd(text, found.index + found[0].length - at); break; }
        at = end;
      }
      const lines = new Set([...range.getClientRects()].map((each) => Math.round(each.top / 4)));
      if (lines.size > LINES) say("interval-in-many-lines", cell, `${lines.size} lines`);
    }
  }
  return faults;
})()
