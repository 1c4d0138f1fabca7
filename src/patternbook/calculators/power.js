// Sample size, days and detectable effect of a test of two shares: the pooled z test of analysis/experiments.py.
patternbook.calculator("power-calculator", (v, form) => {
  if (v.alpha >= v.power) throw new RangeError("False positives allowed: must be below the power.");
  const ratio = v.treated / (v.arms - 1) / (1 - v.treated), groups = 1 + (v.arms - 1) * ratio;
  const zLevel = form.dataset.correction === "dunnett"
    ? patternbook.dunnettCritical(v.arms - 1, v.alpha, ratio)
    : patternbook.normalQuantile(1 - v.alpha / (v.arms - 1) / 2);
  const zPower = patternbook.normalQuantile(v.power);
  const size = (effect) => {
    const treated = v.baseline + effect, common = (v.baseline + ratio * treated) / (1 + ratio);
    const none = common * (1 - common) * (1 + 1 / ratio);
    const some = v.baseline * (1 - v.baseline) + treated * (1 - treated) / ratio;
    return (zLevel * Math.sqrt(none) + zPower * Math.sqrt(some)) ** 2 / effect ** 2;
  };
  if (v.baseline * (1 + v.effect) > 1) throw new RangeError("Share that buys: with the effect it is more than everybody.");
  const people = (number) => Math.ceil(number - 1e-6);
  const control = size(v.baseline * v.effect), all = people(control * groups);
  const missing = all - v.stock;
  const enrolment = missing <= 0 ? v.shortest : v.a_day > 0 ? Math.max(v.shortest, Math.ceil(missing / v.a_day)) : NaN;
  // The smallest effect that the people of `weeks` weeks find, by halving: size falls as the effect grows.
  const have = (v.stock + 7 * v.weeks * v.a_day) / groups;
  let low = 1e-9, high = 1 - v.baseline - 1e-9;
  const found = have > 0 && size(high) <= have;
  for (let step = 0; step < 100 && found; step++) {
    const middle = (low + high) / 2;
    if (size(middle) > have) low = middle; else high = middle;
  }
  const none = [];
  if (Number.isNaN(enrolment)) none.push("So many people never come.");
  if (!found) none.push("The people of the weeks at hand find no effect that is possible.");
  return { note: none.join(" "), control: people(control), people: all, days: enrolment + v.horizon, detectable: found ? high / v.baseline : NaN };
});
