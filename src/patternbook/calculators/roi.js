// First year of an action: the money of analysis/roi.py, with zero effect minus the cost.
patternbook.calculator("roi-calculator", (v) => {
  const given = v.discount * v.redemption;
  const gain = v.spend * (v.margin - given), burden = v.contact_cost + v.spend * given;
  const profit = v.contacts * (v.effect * gain - burden) - v.setup_cost;
  const cost = v.setup_cost + v.contacts * (v.contact_cost + v.spend * (1 + v.effect) * given);
  const a_contact = v.contacts > 0 ? v.setup_cost / v.contacts : NaN;
  const none = [];
  if (cost === 0) none.push("It costs nothing, so there is no ROI.");
  if (gain <= 0) none.push("The discount takes all that is earned, so no effect breaks even.");
  return {
    note: none.join(" "),
    revenue: v.contacts * v.spend * v.effect,
    cost,
    profit,
    roi: cost > 0 ? profit / cost : NaN,
    break_even: gain > 0 ? (burden + a_contact) / gain : NaN,
    highest_contact_cost: Math.max(0, v.effect * gain - v.spend * given - a_contact),
  };
});
