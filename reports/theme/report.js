/* What moves in the report: charts are drawn when they come near the screen, and each number says where it comes from.
   Without this script the charts stand as images, and the numbers as links with a title. */
"use strict";

(() => {
  const NEAR = "100% 0px"; // one screen above and below what is seen

  /* Charts ------------------------------------------------------------------------------------------------------ */

  // Plotly is most of the file's bytes: it lies packed at the end of the page and starts when a chart is due.
  let started;
  const plotly = () => (started ??= window.Plotly ? Promise.resolve() : unpacked());

  async function unpacked() {
    const source = document.getElementById("plotly").getAttribute("src");
    const bytes = Uint8Array.from(atob(source.slice(source.indexOf(",") + 1)), (char) => char.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(stream).text();
    document.head.append(script);
  }

  async function draw(plot) {
    await plotly();
    const { data, layout, config } = JSON.parse(plot.querySelector("script").textContent);
    const chart = plot.querySelector(".chart");
    const heading = headingOf(layout);
    await document.fonts.ready;
    await window.Plotly.newPlot(chart, data, { ...layout, ...fitted(heading, layout, chart) }, config);
    plot.classList.add("drawn");
    window.addEventListener("resize", () => {
      if (chart.offsetWidth) window.Plotly.relayout(chart, fitted(heading, layout, chart));
    });
  }

  /* A chart's heading comes on lines for a telephone (charts.drawing.finished); it takes as many as the chart's width asks for. */

  const HEAD_LINE = 22; // pixels of a line
  const SUBTITLE = /<br>(<span style="font-size:[^>]*>)(.*?)<\/span>(?=<br><span style="font-size|$)/g;
  const pen = document.createElement("canvas").getContext("2d");

  // Title and subtitle of a layout as markup on one line each; undefined where the heading is of another kind.
  function headingOf(layout) {
    const text = layout.title?.text ?? "";
    const below = [...text.matchAll(SUBTITLE)];
    const title = text.replace(SUBTITLE, "");
    if (!title.startsWith("<b>") || layout.margin?.t === undefined) return undefined;
    return {
      title: title.replaceAll("</b><br><b>", " "),
      style: below[0]?.[1],
      below: below.map((line) => line[2]).join(" "),
      lines: title.split("<br>").length + below.length,
    };
  }

  function fitted(heading, layout, chart) {
    if (!heading) return {};
    const { size } = layout.title.font;
    const width = chart.offsetWidth - 2 * (layout.title.pad?.l ?? 0);
    const family = layout.template?.layout?.font?.family ?? layout.font?.family;
    const title = lines(heading.title, `600 ${size}px ${family}`, width);
    const below = heading.below ? lines(heading.below, `400 13px ${family}`, width) : [];
    const more = (title.length + below.length - heading.lines) * HEAD_LINE;
    const text = title.join("<br>") + (below.length ? `<br>${heading.style}${below.join("<br>")}</span>` : "");
    const height = layout.height + more;
    chart.style.height = `${height}px`;
    return { title: { ...layout.title, text }, margin: { ...layout.margin, t: layout.margin.t + more }, height };
  }

  // Markup in lines no wider than `width`: tags take no room, and a number of cases stays whole.
  function lines(markup, font, width) {
    pen.font = font;
    const wide = (text) => pen.measureText(text.replace(/<[^>]*>/g, "").replace(/&[^;\s]+;/g, "m")).width;
    const words = markup.replace(/n = /g, "n\u00a0=\u00a0").replace(/ (?=[^<>]*>)/g, "\0").split(" ");
    const result = [];
    for (const word of words) {
      const last = result.at(-1);
      if (last !== undefined && wide(`${last} ${word}`) <= width) result[result.length - 1] = `${last} ${word}`;
      else result.push(word);
    }
    return result.map((line) => line.replaceAll("\0", " "));
  }

  function drawWhenNear() {
    const watch = new IntersectionObserver(
      (entries) => {
        for (const { target } of entries.filter((entry) => entry.isIntersecting)) {
          watch.unobserve(target);
          draw(target);
        }
      },
      { rootMargin: NEAR },
    );
    document.querySelectorAll(".plot:has(.chart)").forEach((plot) => watch.observe(plot));
  }

  /* Numbers: a card with label, identifier, kind, interval and n ------------------------------------------------- */

  const card = document.createElement("div");
  card.id = "number-card";
  card.setAttribute("role", "tooltip");
  card.hidden = true;
  let shown; // the number that the card is about
  let leaving; // timer: the pointer may cross over from the number to its card

  const KINDS = ["measured", "modelled", "assumed"];
  const GAP = 8; // pixels between a number and its card

  function show(number) {
    clearTimeout(leaving);
    if (shown === number) return;
    hide();
    shown = number;
    const [label, id, ...rest] = number.dataset.home.split(" · ");
    const kind = KINDS.find((word) => number.classList.contains(word));
    card.replaceChildren(
      line("label", label),
      ...rest.map((text) => (text === kind ? line(`kind ${kind}`, text) : line("basis", text))),
      line("id", id),
      line("place", `${number.hash.startsWith("#par-") ? "Listed" : "Computed"} in ${decodeURI(number.pathname).replace(/^.*\/|\.html$/g, "")}, ${number.hash.slice(1)}`),
    );
    number.setAttribute("aria-describedby", card.id);
    card.hidden = false;
    const at = number.getClientRects()[0];
    const wide = document.documentElement.clientWidth;
    const left = Math.max(GAP, Math.min(at.left, wide - card.offsetWidth - GAP));
    const above = at.top - card.offsetHeight - GAP;
    card.style.left = `${left + window.scrollX}px`;
    card.style.top = `${(above > 0 ? above : at.bottom + GAP) + window.scrollY}px`;
  }

  function hide() {
    clearTimeout(leaving);
    shown?.removeAttribute("aria-describedby");
    shown = undefined;
    card.hidden = true;
  }

  function line(name, text) {
    const element = document.createElement("p");
    element.className = name;
    element.textContent = text;
    return element;
  }

  function explainNumbers() {
    const numberAt = (event) => event.target.closest?.("a.finding[data-home]");
    for (const number of document.querySelectorAll("a.finding[title]")) {
      number.dataset.home = number.title;
      number.removeAttribute("title"); // the browser's own tooltip would cover the card
    }
    document.querySelector("main").append(card);
    document.addEventListener("pointerover", (event) => {
      if (event.pointerType !== "mouse") return;
      if (numberAt(event)) show(numberAt(event));
      else if (card.contains(event.target)) clearTimeout(leaving);
      else if (shown && shown !== document.activeElement) {
        clearTimeout(leaving);
        leaving = setTimeout(hide, 200);
      }
    });
    document.addEventListener("focusin", (event) => (numberAt(event) ? show(numberAt(event)) : hide()));
    document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
    // A finger cannot point without pressing: the first tap shows the card, the second follows the link.
    let touched;
    document.addEventListener("pointerdown", (event) => {
      const number = numberAt(event);
      touched = event.pointerType === "touch" && number && number !== shown ? number : undefined;
      if (!number && !card.contains(event.target)) hide();
    });
    document.addEventListener("click", (event) => {
      const number = numberAt(event);
      if (!number || number !== touched) return;
      event.preventDefault();
      show(number);
    });
  }

  /* Tables wider than the screen are scrolled by key, too -------------------------------------------------------- */

  function letKeysScroll() {
    for (const box of document.querySelectorAll(".float-tbl > div, .float-tbl, .quarto-float-tbl")) {
      if (box.scrollWidth <= box.clientWidth) continue;
      box.tabIndex = 0;
      box.setAttribute("role", "group");
      box.setAttribute("aria-label", box.closest("figure")?.querySelector("figcaption")?.textContent ?? "Table");
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    const contents = document.querySelector(".contents details");
    if (contents && window.matchMedia("(max-width: 67.99rem)").matches) contents.open = false;
    letKeysScroll();
    window.addEventListener("resize", letKeysScroll);
    explainNumbers();
    drawWhenNear();
  });
})();
