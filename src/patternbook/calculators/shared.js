// What both calculators share. A form's fields are its inputs by name; results go into its outputs by name.
const patternbook = {
  // Quantile of the normal distribution: rational approximation of P. J. Acklam, relative error below 1.2e-9.
  normalQuantile(p) {
    const a = [-39.69683028665376, 220.9460984245205, -275.9285104469687, 138.357751867269, -30.66479806614716, 2.506628277459239];
    const b = [-54.47609879822406, 161.5858368580409, -155.6989798598866, 66.80131188771972, -13.28068155288572, 1];
    const c = [-0.007784894002430293, -0.3223964580411365, -2.400758277161838, -2.549732539343734, 4.374664141464968, 2.938163982698783];
    const d = [0.007784695709041462, 0.3224671290700398, 2.445134137142996, 3.754408661907416, 1];
    const at = (coefficients, x) => coefficients.reduce((sum, one) => sum * x + one, 0);
    if (p > 0.5) return -patternbook.normalQuantile(1 - p);
    if (p < 0.02425) { const q = Math.sqrt(-2 * Math.log(p)); return at(c, q) / at(d, q); }
    const q = p - 0.5;
    return q * at(a, q * q) / at(b, q * q);
  },

  // Distribution function of the normal distribution, by its series (Marsaglia 2004).
  normalShare(x) {
    if (Math.abs(x) > 8) return x > 0 ? 1 : 0;
    let sum = x, term = x;
    for (let odd = 3; Math.abs(term) > 1e-17 * Math.abs(sum); odd += 2) { term *= x * x / odd; sum += term; }
    return 0.5 + sum * Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);
  },

  // What the largest score of several arms against one control exceeds with probability alpha: analysis/corrections.py.
  dunnettCritical(arms, alpha, ratio) {
    const share = patternbook.normalShare, shift = Math.sqrt(ratio / (1 + ratio)), own = Math.sqrt(1 / (1 + ratio)), step = 0.02;
    const exceeded = (critical) => {
      let inside = 0;
      for (let x = -8; x <= 8; x += step) inside += Math.exp(-x * x / 2) * (share((critical + shift * x) / own) - share((shift * x - critical) / own)) ** arms;
      return 1 - inside * step / Math.sqrt(2 * Math.PI);
    };
    let low = 0, high = patternbook.normalQuantile(1 - alpha / arms / 2) + 1e-6;
    for (let halving = 0; halving < 40; halving++) {
      const middle = (low + high) / 2;
      if (exceeded(middle) > alpha) low = middle; else high = middle;
    }
    return high;
  },

  // Run `calculate(values, form)` on every change; it returns results by name, with a `note` on those that are none, or
  // throws a RangeError that says what is wrong.
  calculator(id, calculate) {
    const form = document.getElementById(id);
    const write = {
      count: new Intl.NumberFormat(form.dataset.locale, { maximumFractionDigits: 0 }),
      share: new Intl.NumberFormat(form.dataset.locale, { style: "percent", maximumSignificantDigits: 4 }),
      currency: new Intl.NumberFormat(form.dataset.locale, { style: "currency", currency: form.dataset.currency }),
    };
    const update = () => {
      let results = {}, message = "";
      try {
        const values = {};
        for (const input of form.querySelectorAll("input")) {
          if (!input.checkValidity() || input.value === "") throw new RangeError(`${input.dataset.label}: ${input.validationMessage || "a number is missing"}`);
          values[input.name] = input.valueAsNumber / (input.dataset.percent ? 100 : 1);
        }
        results = calculate(values, form);
        message = results.note;
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        message = error.message;
      }
      for (const output of form.querySelectorAll("output[name]")) {
        const value = results[output.name];
        const known = Number.isFinite(value);
        output.dataset.value = known ? value : "";
        output.textContent = known ? write[output.dataset.unit].format(value).replace("-", "−") : "—";
      }
      form.querySelector("[role=status]").textContent = message;
    };
    form.addEventListener("input", update);
    form.addEventListener("submit", (event) => event.preventDefault());
    update();
  },
};
