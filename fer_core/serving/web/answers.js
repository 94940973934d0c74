// What the networks say about a face: a column of bars for each network, and the cards below the page.

export const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)} %`;

/** An element with text or children. */
export function element(name, options = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(options)) {
    if (key === "class") made.className = value;
    else if (key.startsWith("aria-") || key.startsWith("data-") || key === "scope" || key === "role") made.setAttribute(key, value);
    else made[key] = value;
  }
  made.append(...children);
  return made;
}

/** The expression with the highest probability, and whether it is probable enough to be said. */
export function verdict(card, probabilities, threshold) {
  const best = probabilities.indexOf(Math.max(...probabilities));
  return { name: card.expressions[best], place: best, share: probabilities[best], sure: probabilities[best] >= threshold };
}

/** A network's probabilities as bars, with a button for its map. */
export function column(card, probabilities, threshold, onMap) {
  const { name, place, share, sure } = verdict(card, probabilities, threshold);
  const rows = card.expressions.map((expression, at) => {
    const bar = element("div");
    bar.style.width = percent(probabilities[at]).replace(" ", "");
    return element(
      "tr",
      { class: at === place ? "first" : "", "data-expression": expression, "data-probability": probabilities[at] },
      element("th", { scope: "row" }, expression),
      element("td", { class: "bar", "aria-hidden": "true" }, bar),
      element("td", {}, percent(probabilities[at])),
    );
  });
  const said = sure
    ? [element("strong", {}, name), ` ${percent(share)}`]
    : [element("strong", {}, "not sure"), element("span", { class: "unsure" }, ` (most probable: ${name}, ${percent(share)})`)];
  const button = element("button", { type: "button", "aria-pressed": "false" }, "Show the map");
  const line = element("p", { role: "status" }, "What does the prediction depend on?");
  button.addEventListener("click", () => onMap(card, place, button, line));
  return element(
    "article",
    { "aria-label": card.title, "data-network": card.name },
    element("h2", {}, card.title),
    element("p", { class: "verdict" }, ...said),
    element("table", { class: "bars" }, element("tbody", {}, ...rows)),
    element("div", { class: "map" }, button, line),
  );
}

/** A network's card: what it is, its figures with their intervals, and where they come from. */
export function about(card) {
  const figures = card.figures.map(({ data, n, rows, note }) =>
    element(
      "table",
      {},
      element("caption", { class: "note" }, note), // HTML wants it first; the style puts it below
      element("thead", {}, element("tr", {}, element("th", { scope: "col" }, data), element("th", { scope: "col" }, `n = ${n.toLocaleString("en")}`))),
      element("tbody", {}, ...rows.map(([figure, value, interval]) =>
        element("tr", {}, element("th", { scope: "row" }, figure), element("td", {}, value, " ", element("span", { class: "interval" }, interval))),
      )),
    ),
  );
  const facts = card.facts.map(([what, value]) =>
    element("tr", {}, element("th", { scope: "row" }, what), element("td", {}, value)),
  );
  return element(
    "details",
    {},
    element("summary", {}, card.title, element("span", {}, card.short ? `: ${card.short}` : "")),
    element("table", {}, element("tbody", {}, ...facts)),
    ...figures,
  );
}
