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
    await window.Plotly.newPlot(plot.querySelector(".chart"), data, layout, config);
    plot.classList.add("drawn");
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
    document.body.append(card);
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

  document.addEventListener("DOMContentLoaded", () => {
    explainNumbers();
    drawWhenNear();
  });
})();
