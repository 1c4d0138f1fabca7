"""What each result table and each of its columns means. A table that a notebook records has its entry here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from patternbook.formats import Unit


class Meaning(NamedTuple):
    """What a column holds. A column without a unit holds words, names or marks."""

    text: str
    unit: Unit | None = None


@dataclass(frozen=True)
class ResultTable:
    """A result table: what a row is, and its columns by name."""

    meaning: str
    columns: Mapping[str, Meaning]


_ACTIVITY = {
    "customers": Meaning("distinct known customers; null where they are fewer than privacy.minimum_group", "count"),
    "orders": Meaning("orders that start then; null where there are few customers", "count"),
    "revenue": Meaning("sum of amounts, net of returns; null where there are few customers", "currency"),
    "whole": Meaning("whether the data cover it from its start to its end"),
    "customers_average": Meaning("mean of customers over eda.trend_days rows up to this one", "number"),
    "revenue_average": Meaning("mean of revenue over eda.trend_days rows up to this one", "currency"),
}


def _rate(name: str, meaning: str) -> dict[str, Meaning]:
    return {
        name: Meaning(f"{meaning}; null where too few to publish", "share"),
        f"{name}_low": Meaning("lower end of its 95% interval (Wilson)", "share"),
        f"{name}_high": Meaning("upper end of its 95% interval (Wilson)", "share"),
    }


def _ends(column: str, unit: Unit) -> dict[str, Meaning]:
    """The ends of a column's interval."""
    return {f"{column}_{end}": Meaning(f"{end} end of the 95 % interval of {column}", unit) for end in ("low", "high")}


def _clustered(name: str, meaning: str) -> dict[str, Meaning]:
    """A share of sessions, with its interval by cluster of customers."""
    return {name: Meaning(f"{meaning}; null where too few to publish", "share"), **_ends(name, "share")}


def _monthly(column: str, meaning: str, unit: Unit) -> dict[str, Meaning]:
    """A measure by month, its change on the month before, and whether that is reliable."""
    return {
        column: Meaning(meaning, unit),
        **_ends(column, unit),
        f"{column}_change": Meaning(f"change of {column} on the month before", "share"),
        **_ends(f"{column}_change", "share"),
        f"{column}_shifted": Meaning("whether the change is reliable, all months and measures tested together"),
    }


_COMPARED = {
    "control_people": Meaning("people in the control group", "count"),
    "treated_people": Meaning("people in the arm", "count"),
    "control": Meaning("the metric in the control group", "number"),
    "treated": Meaning("the metric in the arm", "number"),
    "difference": Meaning("treated − control", "number"),
    **_ends("difference", "number"),
    "relative": Meaning("treated ÷ control − 1; null where one is not positive", "share"),
    **_ends("relative", "share"),
    "p": Meaning("two-sided p-value of no difference", "number"),
    "always_low": Meaning("lower end of the interval that holds at any look", "number"),
    "always_high": Meaning("upper end of it", "number"),
    "always_p": Meaning("p-value that holds at any look", "number"),
    "cuped": Meaning("difference with CUPED; null where nothing is known from before", "number"),
    **_ends("cuped", "number"),
    "variance_left": Meaning("variance of cuped ÷ variance of difference", "share"),
    "p_adjusted": Meaning("p, corrected for all rows of the experiment (Benjamini–Hochberg)", "number"),
}

RESULT_TABLES: dict[str, ResultTable] = {
    "basket.brands": ResultTable(
        "one row a scope: products of other categories beside a basket's dearest product (same), or in later baskets "
        "than the customer's first (later)",
        {
            "scope": Meaning("same or later"),
            "accessories": Meaning("products of other categories compared", "count"),
            "customers": Meaning("customers who bought them", "count"),
            "same": Meaning("share of them of the main product's brand", "share"),
            "expected": Meaning("share expected by the brand's share in each one's category, itself left out", "share"),
            "lift": Meaning("same ÷ expected; null where too few", "factor"),
            **_ends("lift", "factor"),
        },
    ),
    "basket.bundles": ResultTable(
        "one row a bundle of two or three products of pairs that are kept: the cheapest is offered with the rest",
        {
            "size": Meaning("products of the bundle", "count"),
            "item_1": Meaning("product_id of the dearest"),
            "item_2": Meaning("product_id of the other one of the rest; null in a bundle of two"),
            "added": Meaning("product_id of the one that is offered"),
            "rest": Meaning("names of the rest"),
            "offered": Meaning("name of the one that is offered"),
            "baskets_rest": Meaning("baskets with the rest", "count"),
            "baskets_all": Meaning("baskets with all of it", "count"),
            "customers": Meaning("customers who bought all of it", "count"),
            "attach": Meaning("baskets_all ÷ baskets_rest", "share"),
            **_ends("attach", "share"),
            "value": Meaning("mean revenue of the offered product in a basket that holds it", "currency"),
            "margin": Meaning("expected incremental margin of the offer over the baskets of the data", "currency"),
            **_ends("margin", "currency"),
            "bearable": Meaning("discount on the offered product at which the offer brings nothing", "share"),
        },
    ),
    "basket.check": ResultTable(
        "one row a task and method: how well it recommends on later baskets",
        {
            "task": Meaning("product (what else is in the basket) or customer (what is new to them in the next one)"),
            "method": Meaning("also bought (ours), or a simpler one"),
            "queries": Meaning("lists that were checked", "count"),
            "customers": Meaning("customers whose baskets these are", "count"),
            "hit_rate": Meaning("share of lists that hold something that is bought", "share"),
            **_ends("hit_rate", "share"),
            "mrr": Meaning("mean of 1 ÷ rank of the first that is bought; 0 where none is", "number"),
            **_ends("mrr", "number"),
            "ndcg": Meaning("mean normalised discounted cumulative gain", "number"),
            **_ends("ndcg", "number"),
            "coverage": Meaning("share of all products that are in some list", "share"),
            "gain": Meaning("hit rate of ours less that of this method", "share"),
            **_ends("gain", "share"),
        },
    ),
    "basket.pairs": ResultTable(
        "one row a pair of products, categories or brands that are bought together more often than by chance; at most "
        "the thousand leading ones of each",
        {
            "level": Meaning("product, category or brand"),
            "item_a": Meaning("item A: product_id, category_code or brand"),
            "name_a": Meaning("its name"),
            "item_b": Meaning("item B"),
            "name_b": Meaning("its name"),
            "baskets": Meaning("baskets with both", "count"),
            "customers": Meaning("customers with such a basket; without a known one, each basket counts", "count"),
            "baskets_a": Meaning("baskets with A", "count"),
            "baskets_b": Meaning("baskets with B", "count"),
            "support": Meaning("baskets with both ÷ all baskets that count", "share"),
            "confidence_ab": Meaning("baskets with both ÷ baskets with A", "share"),
            "confidence_ba": Meaning("baskets with both ÷ baskets with B", "share"),
            "lift": Meaning("baskets with both ÷ those expected if the two were independent", "factor"),
            **_ends("lift", "factor"),
            "lift_shrunk": Meaning("(baskets with both + k) ÷ (expected + k), k = basket.prior_baskets", "factor"),
            "leverage": Meaning("support − support expected if the two were independent", "share"),
            "conviction_ab": Meaning("(1 − share of B) ÷ (1 − confidence_ab); null where it has no bound", "factor"),
            "conviction_ba": Meaning("(1 − share of A) ÷ (1 − confidence_ba); null where it has no bound", "factor"),
            "p_value": Meaning("of Fisher's exact test, one-sided", "share"),
            "q_value": Meaning("the same, adjusted by Benjamini–Hochberg over all pairs tested", "share"),
            "stock_ab": Meaning("units of B in baskets with both ÷ units of A in all baskets", "number"),
            "stock_ba": Meaning("units of A in baskets with both ÷ units of B in all baskets", "number"),
        },
    ),
    "basket.recommendations": ResultTable(
        "one row a product and a companion to show beside it, the ten best that enough customers bought with it",
        {
            "product_id": Meaning("the product"),
            "name": Meaning("its name"),
            "rank": Meaning("place in the list", "count"),
            "other_id": Meaning("product_id of the companion"),
            "other_name": Meaning("its name"),
            "score": Meaning("what orders the list: probability of the companion, its popularity discounted", "number"),
            "baskets": Meaning("baskets with both", "count"),
        },
    ),
    "churn.horizons": ResultTable(
        "one row a horizon with a forecast of who will have left",
        {
            "days": Meaning("days from the end of the data", "days"),
            "expected": Meaning("customers still there who are expected to have left by then", "count"),
            "low": Meaning("lower end of its 95% interval", "count"),
            "high": Meaning("upper end of its 95% interval", "count"),
            "share": Meaning("expected ÷ customers still there", "share"),
            "method": Meaning("what the forecast is made with: the best of those compared"),
            "auc": Meaning("area under the ROC curve when tested; null where the data are too short to test", "number"),
            **_ends("auc", "number"),
        },
    ),
    "churn.importance": ResultTable(
        "one row a feature of the learned forecast of who leaves, the one that weighs most first",
        {
            "feature": Meaning("short name"),
            "meaning": Meaning("what it is"),
            "share": Meaning("its share of the absolute contributions (SHAP values) to the forecast", "share"),
            "auc": Meaning("area under the ROC curve of the feature alone, whichever way it points", "number"),
            **_ends("auc", "number"),
        },
    ),
    "churn.matrix": ResultTable(
        "one row a level of risk to leave and of value; numbers are null where too few to publish",
        {
            "risk": Meaning("high, medium or low: churn.high_risk and churn.medium_risk"),
            "value": Meaning("high, medium or low: churn.high_value and churn.medium_value"),
            "customers": Meaning("customers still there in both", "count"),
            "worth": Meaning("margin of twelve months expected of them if none who has not left did", "currency"),
            "at_stake": Meaning("of worth, what is expected to go with those who leave", "currency"),
            "low": Meaning("lower end of its 95% interval", "currency"),
            "high": Meaning("upper end of its 95% interval", "currency"),
            "measure": Meaning("what churn.prevention says to do"),
        },
    ),
    "churn.methods": ResultTable(
        "one row a way of telling who leaves, tested on a later period, each with a 95% interval by customer",
        {
            "method": Meaning("how it is told"),
            "auc": Meaning("area under the ROC curve", "number"),
            **_ends("auc", "number"),
            "f1": Meaning("harmonic mean of precision and recall", "number"),
            **_ends("f1", "number"),
            "precision": Meaning("share of those at high risk who left", "share"),
            **_ends("precision", "share"),
            "recall": Meaning("share of those who left who were at high risk", "share"),
            **_ends("recall", "share"),
            "calibration_error": Meaning("mean distance of forecast and outcome over ten groups", "number"),
            **_ends("calibration_error", "number"),
        },
    ),
    "churn.reliability": ResultTable(
        "one row a group of customers with like forecasts, in the tested period",
        {
            "lowest": Meaning("lowest probability in it", "share"),
            "highest": Meaning("highest probability in it", "share"),
            "customers": Meaning("customers in it", "count"),
            "expected": Meaning("mean probability that was forecast", "share"),
            "observed": Meaning("share who had left", "share"),
            "low": Meaning("lower end of its 95% interval (Wilson)", "share"),
            "high": Meaning("upper end of its 95% interval (Wilson)", "share"),
        },
    ),
    "churn.wait_groups": ResultTable(
        "one row a group of customers whose waits for the next purchase are followed",
        {
            "by": Meaning("what the groups are"),
            "group": Meaning("the group, known when the wait starts"),
            "customers": Meaning("customers in it, one wait each", "count"),
            "events": Meaning("those seen to buy again", "count"),
            "median": Meaning("days after which half have bought again; null where fewer are seen to", "days"),
            "p_value": Meaning(
                "log-rank test against all other groups, corrected for their number (Benjamini–Hochberg); null where "
                "a customer is in several groups",
                "number",
            ),
        },
    ),
    "churn.waits": ResultTable(
        "one row a group and number of days after which somebody bought again or was last observed",
        {
            "by": Meaning("what the groups are"),
            "group": Meaning("the group, known when the wait starts"),
            "days": Meaning("days since the purchase", "days"),
            "share": Meaning("share not yet seen to buy again (Kaplan–Meier)", "share"),
            "low": Meaning("lower end of its 95% interval", "share"),
            "high": Meaning("upper end of its 95% interval", "share"),
            "at_risk": Meaning("customers still observed and without another purchase just before", "count"),
        },
    ),
    "compaction.bytes": ResultTable(
        "one row a saving of compaction, in the order in which they add up",
        {
            "step": Meaning("the saving's short name"),
            "bytes_per_event": Meaning("bytes that an event takes after it", "bytes"),
            "label": Meaning("the saving as the chart names it"),
            "saved": Meaning("what it saves of the bytes before it; negative where it costs some", "share"),
        },
    ),
    "compaction.checks": ResultTable(
        "one row a rule of the section quality in the parameter file",
        {
            "check": Meaning("key of the rule"),
            "meaning": Meaning("what was seen in the row"),
            "action": Meaning("what happens to such rows: keep or reject"),
            "rows": Meaning("rows that break the rule", "count"),
            "revenue": Meaning("revenue in these rows", "currency"),
        },
    ),
    "compaction.files": ResultTable(
        "one row a source file; rows_read = rows_kept + rows_rejected + duplicates_dropped",
        {
            "file": Meaning("name of the file"),
            "bytes": Meaning("its size", "bytes"),
            "rows_read": Meaning("rows in it, without the header", "count"),
            "rows_kept": Meaning("rows that became events", "count"),
            "rows_rejected": Meaning("rows that could not be read, or that a rule rejects", "count"),
            "duplicates_dropped": Meaning("exact duplicates of another row, dropped", "count"),
            "duplicates_revenue": Meaning("revenue that the duplicates would have added", "currency"),
            "first_event": Meaning("earliest event, UTC", "time"),
            "last_event": Meaning("latest event, UTC", "time"),
            "parquet_bytes": Meaning("size of its events as Parquet", "bytes"),
        },
    ),
    "eda.coverage": ResultTable(
        "one row a column of the event log that the source fills",
        {
            "column": Meaning("the column"),
            "events": Meaning("events that could have a value", "count"),
            "filled": Meaning("events with a value (for product columns: whose product has one)", "count"),
            "share": Meaning("filled ÷ events", "share"),
        },
    ),
    "eda.daily": ResultTable(
        "one row a day from the first event to the last, in the shop's local time",
        {"at": Meaning("the day", "time"), **_ACTIVITY},
    ),
    "eda.hourly": ResultTable(
        "one row an hour from the first event to the last, in the shop's local time; where the data are short",
        {"at": Meaning("start of the hour", "time"), **_ACTIVITY},
    ),
    "eda.events": ResultTable(
        "one row an event type that occurs",
        {
            "event_type": Meaning("view, cart, remove_from_cart, purchase or other"),
            "events": Meaning("events of the type", "count"),
            "share": Meaning("their share of all events", "share"),
        },
    ),
    "eda.prices": ResultTable(
        "one row a price band; a product's price is the geometric middle of its lowest and highest",
        {
            "low": Meaning("lower end of the band; null for the lowest", "currency"),
            "high": Meaning("upper end of the band, not in it; null for the highest", "currency"),
            "products": Meaning("products at such prices", "count"),
            "revenue": Meaning("their revenue, net of returns", "currency"),
            "products_share": Meaning("their share of all products with a price", "share"),
            "revenue_share": Meaning("their share of the revenue of all products with a price", "share"),
        },
    ),
    "eda.top_products": ResultTable(
        "one row a product, those with most revenue first (those viewed most, where too few are sold); none with "
        "fewer buyers (viewers) than privacy.minimum_group",
        {
            "product": Meaning("its name, else the source's id"),
            "brand": Meaning("its brand"),
            "category": Meaning("its category path"),
            "buyers": Meaning("distinct known customers who ordered it", "count"),
            "viewers": Meaning("distinct known customers who viewed it", "count"),
            "units": Meaning("units sold, net of returns", "count"),
            "views": Meaning("view events", "count"),
            "revenue": Meaning("sum of amounts, net of returns", "currency"),
            "share": Meaning("its share of all revenue (of all views)", "share"),
        },
    ),
    "experiments.arms": ResultTable(
        "one row an arm of a finished experiment",
        {
            "experiment": Meaning("its name"),
            "arm": Meaning("the arm"),
            "people": Meaning("people in it", "count"),
            "all_people": Meaning("people of the experiment, all arms together", "count"),
            "share": Meaning("their part of all people of the experiment", "share"),
            "planned": Meaning("the part that was planned", "share"),
            "p": Meaning("p-value of the sample-ratio test; below 0.001 assignment went wrong", "number"),
        },
    ),
    "experiments.readout": ResultTable(
        "one row an arm and metric of a finished experiment, against its control group",
        {
            "experiment": Meaning("its name"),
            "arm": Meaning("the arm"),
            "metric": Meaning("the metric"),
            **_COMPARED,
        },
    ),
    "experiments.segments": ResultTable(
        "one row an arm and segment of a finished experiment, by its first metric, against its control group",
        {
            "experiment": Meaning("its name"),
            "arm": Meaning("the arm"),
            "segment": Meaning("the segment; none with fewer people in an arm than privacy.minimum_group"),
            "metric": Meaning("the metric"),
            **_COMPARED,
            "differ": Meaning("p-value of the same relative effect in all segments (Cochran's Q)", "number"),
        },
    ),
    "experiments.designs": ResultTable(
        "one row a design of the headline experiment",
        {
            "design": Meaning("what is different"),
            "level": Meaning("two-sided level of each comparison", "share"),
            "per_group": Meaning("people in the control group", "count"),
            "people": Meaning("people in all groups", "count"),
            "days": Meaning("days to the answer; null where so many never come", "days"),
        },
    ),
    "experiments.comparisons": ResultTable(
        "one row a number of treated arms and of metrics, and a way to read the comparisons; rates are of simulated "
        "experiments",
        {
            "arms": Meaning("treated arms", "count"),
            "metrics": Meaning("metrics", "count"),
            "comparisons": Meaning("treated arms times metrics", "count"),
            "correction": Meaning("how several comparisons are corrected"),
            "per_group": Meaning("people in the control group", "count"),
            "experiments": Meaning("simulated experiments", "count"),
            "familywise": Meaning("experiments without any effect that find one", "share"),
            **_ends("familywise", "share"),
            "partly": Meaning(
                "experiments whose first arm alone has the effect that find one elsewhere; null where there is no "
                "elsewhere",
                "share",
            ),
            **_ends("partly", "share"),
            "any": Meaning("experiments with the effect in every arm that find it in one or more", "share"),
            **_ends("any", "share"),
            "all": Meaning("experiments with the effect in every arm that find it everywhere", "share"),
            **_ends("all", "share"),
        },
    ),
    "experiments.detectable": ResultTable(
        "one row a number of weeks of enrolment",
        {
            "weeks": Meaning("weeks of enrolment", "count"),
            "people": Meaning("people who can be assigned within them", "number"),
            "plain": Meaning("smallest relative effect found with the planned power", "share"),
            "cuped": Meaning("the same with CUPED; null where what was before does not help", "share"),
        },
    ),
    "experiments.scenarios": ResultTable(
        "one row a plan: a way of testing, or none; amounts are net profit of the first year over simulated trials",
        {
            "plan": Meaning("the plan"),
            "profit": Meaning("mean net profit", "currency"),
            **_ends("profit", "currency"),
            "tenth": Meaning("10th percentile of net profit", "currency"),
            "median": Meaning("median of net profit", "currency"),
            "ninth": Meaning("90th percentile of net profit", "currency"),
            "loss": Meaning("share of trials that lose money", "share"),
            **_ends("loss", "share"),
            "wrong": Meaning("share of trials whose decision is not the one that earns more", "share"),
            **_ends("wrong", "share"),
            "better": Meaning("mean difference to the best plan without a test", "currency"),
            **_ends("better", "currency"),
            "days": Meaning("mean days to the decision", "days"),
            "type1": Meaning("share of experiments without an effect that find one; null without a test", "share"),
            **_ends("type1", "share"),
            "power": Meaning("share of experiments with the likely effect that find it; null without a test", "share"),
            **_ends("power", "share"),
        },
    ),
    "experiments.sizes": ResultTable(
        "one row a metric of the headline experiment, without and with CUPED",
        {
            "metric": Meaning("the metric"),
            "correlation": Meaning("its correlation with itself before, which CUPED uses", "number"),
            **_ends("correlation", "number"),
            "per_group": Meaning("people in the control group", "count"),
            "people": Meaning("people in all groups", "count"),
            "days": Meaning("days to the answer; null where so many never come", "days"),
            "detectable": Meaning("smallest relative effect that the planned people find", "share"),
        },
    ),
    "funnel.groups": ResultTable(
        "one row a group of customers by the column that funnel.by names; small groups stand together",
        {
            "group": Meaning("the group"),
            "visitors": Meaning("customers in it", "count"),
            **_rate("view_to_cart", "viewers with a cart event at or after their first view ÷ viewers"),
            **_rate("cart_to_purchase", "customers with a cart who buy at or after their first cart event ÷ those"),
            **_rate("conversion", "buyers ÷ visitors"),
        },
    ),
    "funnel.customer_groups": ResultTable(
        "one row a group of customers by what they do there: a step counts within the group's sessions, in a category "
        "or price group with its products. A customer may be in several groups",
        {
            "grouping": Meaning("what the groups are"),
            "group": Meaning("the group"),
            "customers": Meaning("distinct known customers in it", "count"),
            **_rate("view_to_cart", "viewers with a cart event at or after their first view ÷ viewers"),
            **_rate("cart_to_purchase", "customers with a cart who buy at or after their first cart event ÷ those"),
            **_rate("conversion", "buyers ÷ customers"),
            "p": Meaning("p-value of the same conversion as in the other groups of the grouping", "number"),
            "differs": Meaning("1 reliably above the others, -1 below, else 0; all groups tested together", "count"),
        },
    ),
    "funnel.carts": ResultTable(
        "one row a way that sessions with a cart go on",
        {
            "fate": Meaning(
                "ordered: a purchase in the session; bought later: a product of the cart, by the same customer in "
                "another session; other order: only of something else; emptied or left: no later order. Where few "
                "customers go a way, it stands with left"
            ),
            "carts": Meaning("sessions with a cart that go this way", "count"),
            "share": Meaning("their share of all of these", "share"),
            "low": Meaning("low end of its 95 % interval, by cluster of customers", "share"),
            "high": Meaning("high end of its 95 % interval, by cluster of customers", "share"),
        },
    ),
    "funnel.order_paths": ResultTable(
        "one row a way that orders come about",
        {
            "path": Meaning(
                "whether there was a cart event before the order, in its session or only in an earlier one"
            ),
            "orders": Meaning("orders", "count"),
            "share": Meaning("their share of all orders", "share"),
            "low": Meaning("low end of its 95 % interval, by cluster of customers", "share"),
            "high": Meaning("high end of its 95 % interval, by cluster of customers", "share"),
        },
    ),
    "funnel.session_groups": ResultTable(
        "one row a group of sessions; small groups, and those beyond the largest, stand together. A session is in a "
        "category or price group by the products that it deals with, and its steps there are those with such products",
        {
            "grouping": Meaning("what the groups are"),
            "group": Meaning("the group"),
            "customers": Meaning("distinct known customers (summed over groups that stand together)", "count"),
            "sessions": Meaning("sessions", "count"),
            **_clustered(
                "view_to_cart", "sessions with a cart event at or after the first view ÷ sessions with a view"
            ),
            **_clustered(
                "cart_to_purchase", "sessions with a purchase at or after the first cart event ÷ those with one"
            ),
            **_clustered("conversion", "sessions with a purchase ÷ sessions"),
            "p": Meaning("p-value of the same conversion as in the other groups of the grouping", "number"),
            "differs": Meaning("1 reliably above the others, -1 below, else 0; all groups tested together", "count"),
        },
    ),
    "funnel.signals": ResultTable(
        "one row a signal: an action in a session before its first purchase, or a circumstance of the session",
        {
            "kind": Meaning("Action, Device, Channel or Visit"),
            "signal": Meaning("the signal"),
            "sessions": Meaning("sessions with it", "count"),
            "share": Meaning("their share of all sessions", "share"),
            "conversion": Meaning("those with an order ÷ those", "share"),
            **_ends("conversion", "share"),
            "odds_ratio": Meaning("odds of an order with it ÷ odds without it", "factor"),
            **_ends("odds_ratio", "factor"),
            "lift": Meaning("conversion with it ÷ conversion of all sessions", "factor"),
            **_ends("lift", "factor"),
            "at_purchase": Meaning("share of its sessions with an order in which no view follows it", "share"),
            "p": Meaning("p-value of an odds ratio of one", "number"),
            "told": Meaning("whether the difference is reliable, all signals tested together"),
            "leak": Meaning("whether it is part of the purchase itself: at_purchase is nine tenths or more"),
        },
    ),
    "funnel.typical": ResultTable(
        "one row a measure that funnel.typical names: this shop beside others",
        {
            "measure": Meaning("the measure"),
            "value": Meaning("this shop's", "share"),
            "low": Meaning("low end of its 95 % interval", "share"),
            "high": Meaning("high end of its 95 % interval", "share"),
            "typical_low": Meaning("low end of what is typical, assumed", "share"),
            "typical_high": Meaning("high end of what is typical, assumed", "share"),
            "verdict": Meaning("where the whole interval lies against it"),
            "source": Meaning("who says that it is typical"),
        },
    ),
    "funnel.steps": ResultTable(
        "one row a step of the funnel that may be shown, in order; then all buyers, whichever way they took",
        {
            "step": Meaning("the step"),
            "customers": Meaning("customers who reached it", "count"),
            "share_of_visitors": Meaning("customers ÷ all visitors", "share"),
            "took": Meaning("those of base who took it in this order", "count"),
            "base": Meaning("customers who could have taken it", "count"),
            "of": Meaning("who base is"),
            "rate": Meaning("took ÷ base", "share"),
            "low": Meaning("lower end of the rate's 95% interval (Wilson)", "share"),
            "high": Meaning("upper end of the rate's 95% interval (Wilson)", "share"),
            "lost": Meaning("those of base who did not take it", "count"),
        },
    ),
    "lifetime.holdout": ResultTable(
        "one row a way of forecasting purchases in the hold-out period, each with a 95 % interval by customer",
        {
            "method": Meaning("how purchases were forecast"),
            "error": Meaning("forecast purchases ÷ actual ones, less one", "share"),
            **_ends("error", "share"),
            "r2": Meaning("share of the differences between customers that the forecast explains", "number"),
            **_ends("r2", "number"),
            "spearman": Meaning("rank correlation of forecast and actual purchases", "number"),
            **_ends("spearman", "number"),
            "captured": Meaning(
                "purchases of the tenth forecast highest ÷ those of the tenth that bought most", "share"
            ),
            **_ends("captured", "share"),
            "gain": Meaning("R² of BG/NBD less that of the method, same customers drawn for both", "number"),
            **_ends("gain", "number"),
        },
    ),
    "lifetime.horizons": ResultTable(
        "one row a horizon",
        {
            "months": Meaning("months from the end of the data", "months"),
            "value": Meaning("discounted margin expected until then, mean a customer", "currency"),
            "low": Meaning("low end of its 95 % interval", "currency"),
            "high": Meaning("high end of its 95 % interval", "currency"),
            "extrapolated": Meaning("whether the horizon is longer than the data"),
        },
    ),
    "propensity.audit": ResultTable(
        "one row a column of the model, the strongest alone first",
        {
            "feature": Meaning("the column"),
            "family": Meaning("kind of knowledge it belongs to"),
            "auc": Meaning("ROC-AUC of the column alone at the test cutoff, in its better direction", "number"),
            **_ends("auc", "number"),
            "why": Meaning("why it is known at the cutoff"),
        },
    ),
    "propensity.dependence": ResultTable(
        "one row a bin of a leading column, with as many customers as privacy.minimum_group or more",
        {
            "feature": Meaning("the column"),
            "value": Meaning("median of its values in the bin, in the column's own unit", "number"),
            "customers": Meaning("customers in the bin", "count"),
            "odds": Meaning("factor on the odds to buy: exponential of the mean contribution", "factor"),
        },
    ),
    "propensity.drift": ResultTable(
        "one row a rate of customers seen in the last 30 days, at the training cutoffs and at the end of the data",
        {
            "rate": Meaning("what is counted; purchases are those of the test period, against their forecast"),
            "before": Meaning("its value at the training cutoffs (purchases: buyers expected)", "number"),
            "now": Meaning("its value at the end of the data (purchases: buyers)", "number"),
            "change": Meaning("now ÷ before", "factor"),
            "low": Meaning("lower end of its interval, 95% for all rows together", "factor"),
            "high": Meaning("upper end of its interval, 95% for all rows together", "factor"),
        },
    ),
    "propensity.stability": ResultTable(
        "one row a column, customers seen in the last 30 days; the largest shift first",
        {
            "feature": Meaning("the column"),
            "psi": Meaning("population stability index from the training cutoffs to the end of the data", "number"),
        },
    ),
    "propensity.importance": ResultTable(
        "one row a column of the model, the most important first",
        {
            "feature": Meaning("the column"),
            "family": Meaning("kind of knowledge it belongs to"),
            "contribution": Meaning("mean size of its contribution to the log-odds (Shapley values)", "number"),
            "share": Meaning("its share of the sizes of all columns", "share"),
            "family_share": Meaning("share of its kind, contributions added before their size is taken", "share"),
        },
    ),
    "propensity.next_category": ResultTable(
        "one row a way of telling a buyer's next top category, at the test cutoff",
        {
            "method": Meaning("the forecast, or a rule"),
            "hit_rate": Meaning("buyers whose category it told ÷ buyers", "share"),
            "low": Meaning("lower end of its 95% interval (Wilson)", "share"),
            "high": Meaning("upper end of its 95% interval (Wilson)", "share"),
            "buyers": Meaning("buyers whose next purchase has a category", "count"),
        },
    ),
    "propensity.policies": ResultTable(
        "one row a way of choosing whom to contact, in the test period",
        {
            "policy": Meaning("who is contacted"),
            "customers": Meaning("how many", "count"),
            "profit": Meaning("margin that contacts bring, as assumed, less their cost", "currency"),
            **_ends("profit", "currency"),
        },
    ),
    "propensity.tiers": ResultTable(
        "one row a tier of intent; null where it speaks of fewer people than privacy.minimum_group",
        {
            "tier": Meaning("high (a contact brings twice its cost), medium (its cost) or low"),
            "customers": Meaning("customers at the test cutoff", "count"),
            "share": Meaning("customers ÷ all", "share"),
            "expected": Meaning("mean of their forecast probabilities", "share"),
            "observed": Meaning("share of them who bought", "share"),
            **_ends("observed", "share"),
            "profit": Meaning("expected profit of a contact, mean a customer", "currency"),
            "days_from": Meaning("a quarter of the tier's buyers had bought by then, calibration period", "days"),
            "days_to": Meaning("three quarters of them had", "days"),
            "customers_now": Meaning("customers at the end of the data", "count"),
        },
    ),
    "propensity.gains": ResultTable(
        "one row a method and percent of customers, those with the highest probability first",
        {
            "customers": Meaning("customers contacted ÷ all", "share"),
            "method": Meaning("what ranks them"),
            "found": Meaning("buyers among them ÷ all buyers", "share"),
        },
    ),
    "propensity.groups": ResultTable(
        "one row a group of customers at the test cutoff, where as many buy, and do not, as privacy.minimum_group",
        {
            "by": Meaning("what makes the groups"),
            "group": Meaning("the group"),
            "customers": Meaning("customers in it", "count"),
            "buyers": Meaning("those who buy within the horizon", "count"),
            "auc": Meaning("ROC-AUC of the forecast among them", "number"),
            **_ends("auc", "number"),
            "expected": Meaning("mean of their forecast probabilities", "share"),
            "observed": Meaning("buyers ÷ customers", "share"),
            **_ends("observed", "share"),
        },
    ),
    "propensity.learning": ResultTable(
        "one row a part of the training customers, the model learned from it alone",
        {
            "share": Meaning("the part", "share"),
            "customers": Meaning("rows learned from: a customer at one cutoff each", "count"),
            "auc": Meaning("ROC-AUC at the test cutoff", "number"),
            **_ends("auc", "number"),
            "gain": Meaning("ROC-AUC that the model learned from all has more", "number"),
            **_ends("gain", "number"),
        },
    ),
    "propensity.methods": ResultTable(
        "one row a way of telling who will buy, at the test cutoff",
        {
            "method": Meaning("the model, a baseline, or the base rate for everybody"),
            "auc": Meaning("area under the ROC curve: a buyer ranks above somebody else", "number"),
            **_ends("auc", "number"),
            "pr_auc": Meaning("area under the curve of precision by recall", "number"),
            **_ends("pr_auc", "number"),
            "brier": Meaning("mean squared error of the probabilities", "number"),
            **_ends("brier", "number"),
            "calibration_error": Meaning("mean distance of expected and observed share over ten bins", "share"),
            **_ends("calibration_error", "share"),
            "lift_at_5pct": Meaning("share of buyers among the 5 % ranked highest ÷ among all", "factor"),
            **_ends("lift_at_5pct", "factor"),
        },
    ),
    "propensity.reliability": ResultTable(
        "one row a bin of customers by forecast probability, with alike many expected buyers",
        {
            "lowest": Meaning("lowest probability in it", "share"),
            "highest": Meaning("highest probability in it", "share"),
            "customers": Meaning("customers in it", "count"),
            "expected": Meaning("mean of their forecast probabilities", "share"),
            "observed": Meaning("share of them who buy", "share"),
            "low": Meaning("lower end of its 95% interval (Wilson)", "share"),
            "high": Meaning("upper end of its 95% interval (Wilson)", "share"),
        },
    ),
    "propensity.tops": ResultTable(
        "one row a share of customers, those ranked highest at the test cutoff",
        {
            "top": Meaning("the share", "share"),
            "precision": Meaning("buyers among them ÷ them", "share"),
            **_ends("precision", "share"),
            "recall": Meaning("buyers among them ÷ all buyers", "share"),
            **_ends("recall", "share"),
            "lift": Meaning("precision ÷ share of buyers among all", "factor"),
            **_ends("lift", "factor"),
        },
    ),
    "retention.cohorts": ResultTable(
        "one row a cohort and age that the data cover for the whole cohort; the latest cohorts, by weeks and by months",
        {
            "unit": Meaning("week (ages of 7 days) or month (ages of 30 days)"),
            "span": Meaning("calendar span whose newcomers are a cohort: week or month"),
            "cohort": Meaning("first day of that week or month", "time"),
            "age": Meaning("whole units since each customer's own first day", "count"),
            "customers": Meaning("customers of the cohort", "count"),
            "back": Meaning("those who are there at this age; null where too few to publish", "count"),
            "share": Meaning("back ÷ customers; null where too few to publish", "share"),
            "low": Meaning("lower end of its 95% interval (Wilson)", "share"),
            "high": Meaning("upper end of its 95% interval (Wilson)", "share"),
        },
    ),
    "retention.curves": ResultTable(
        "one row a group and week since the first day, only customers observed up to the last week",
        {
            "by": Meaning("what the groups are: first platform or category"),
            "group": Meaning("the group; the largest ones"),
            "age": Meaning("whole weeks since each customer's own first day", "count"),
            "customers": Meaning("customers of the group", "count"),
            "back": Meaning("those who are there in this week; null where too few to publish", "count"),
            "share": Meaning("back ÷ customers; null where too few to publish", "share"),
            "low": Meaning("lower end of its 95% interval (Wilson)", "share"),
            "high": Meaning("upper end of its 95% interval (Wilson)", "share"),
        },
    ),
    "retention.second_purchase": ResultTable(
        "one row a number of days after which a second purchase was seen, or a buyer was last observed",
        {
            "days": Meaning("days since the first purchase", "days"),
            "share": Meaning("share of buyers who have bought on a second day by then (Kaplan–Meier)", "share"),
            "low": Meaning("lower end of its 95% interval", "share"),
            "high": Meaning("upper end of its 95% interval", "share"),
            "at_risk": Meaning("buyers still observed and without a second purchase just before", "count"),
        },
    ),
    "roi.actions": ResultTable(
        "one row an action, the most profitable first; amounts are those of the first year, rolled out at once",
        {
            "action": Meaning("the action"),
            "audience": Meaning("customers in its audience at the end of the data, none in two audiences", "count"),
            "a_month": Meaning("customers who come into it in a month", "number"),
            "contacts": Meaning("contacts in the first year", "number"),
            "baseline": Meaning("share that buys within roi.horizon_days without being contacted", "share"),
            **_ends("baseline", "share"),
            "spend": Meaning("mean revenue a person within roi.horizon_days without being contacted", "currency"),
            "customers": Meaning("buyers won, median of what was simulated; null where orders grow instead", "number"),
            **_ends("customers", "number"),
            "cost": Meaning("set-up, contacts and discounts", "currency"),
            "profit": Meaning("net profit, median of what was simulated", "currency"),
            **_ends("profit", "currency"),
            "roi": Meaning("profit ÷ cost; null where it costs nothing", "share"),
            "loss": Meaning("probability of a loss", "share"),
            **_ends("loss", "share"),
            "break_even": Meaning("effect at which it earns nothing; null where a discount eats all margin", "share"),
            "highest_contact_cost": Meaning("what a contact may cost before it loses money", "currency"),
            "cost_per_customer": Meaning("cost ÷ buyers won", "currency"),
            "value_now": Meaning("expected net profit without a test, or zero if that is more", "currency"),
            "value_of_test": Meaning("expected net profit with a test first; null where none is possible", "currency"),
            "perfect_information": Meaning("what knowing the effect would be worth at most", "currency"),
            "test_people": Meaning("people in the test; null where none is possible", "count"),
            "test_days": Meaning("days until the test is read", "days"),
            "go_above": Meaning("effect seen in the test from which on it is rolled out; null where none is", "share"),
            "decision": Meaning("go, test first or no go, whichever is worth most"),
            "effect_low": Meaning("assumed: lowest effect thought possible", "share"),
            "effect": Meaning("assumed: likely effect, as a share of what the audience buys anyway", "share"),
            "effect_high": Meaning("assumed: highest effect thought possible", "share"),
            "effort": Meaning("assumed: low, medium or high"),
            "first_step": Meaning("who does what first"),
        },
    ),
    "roi.roadmap": ResultTable(
        "one row an action that is worth its money, the earliest roll-out first",
        {
            "action": Meaning("the action"),
            "decision": Meaning("go or test first"),
            "first_step": Meaning("who does what first"),
            "starts": Meaning("the Monday after the data end"),
            "begins": Meaning("first contact, after roi.preparation_weeks"),
            "people": Meaning("people in the test or held out of the roll-out; null where none is possible", "count"),
            "days": Meaning("from the first contact to the last outcome", "days"),
            "finds": Meaning("smallest effect that so many find with the planned power", "share"),
            "decides": Meaning("day on which the outcome is known"),
            "rolls_out": Meaning("day from which on all are contacted; after a test, if it says so"),
        },
    ),
    "roi.metrics": ResultTable(
        "one row an action of the roadmap: what it is measured by",
        {
            "action": Meaning("the action"),
            "metric": Meaning("bought: share that buys within roi.horizon_days; spend: mean revenue a person"),
            "value": Meaning("of such people without the action", "number"),
            **_ends("value", "number"),
            "target": Meaning("assumed: value at the action's likely effect", "number"),
            "target_low": Meaning("assumed: value at its lowest effect", "number"),
            "target_high": Meaning("assumed: value at its highest effect", "number"),
            "decides": Meaning("day on which it is known"),
        },
    ),
    "roi.assumptions": ResultTable(
        "one row an assumption",
        {
            "assumption": Meaning("what is assumed"),
            "value": Meaning("its value, as text"),
            "source": Meaning("where it comes from"),
        },
    ),
    "roi.roi": ResultTable(
        "one row a scenario of the programme, a percentile of what was simulated; intervals: what the data leave open",
        {
            "scenario": Meaning("conservative, realistic or optimistic"),
            "percentile": Meaning("percentile of net profit, ROI and present value", "share"),
            "cost": Meaning("cost of the first year, median", "currency"),
            **_ends("cost", "currency"),
            "net_profit": Meaning("net profit of the first year", "currency"),
            **_ends("net_profit", "currency"),
            "roi": Meaning("net profit ÷ cost of the first year", "share"),
            **_ends("roi", "share"),
            "npv_3y": Meaning("net present value of three years", "currency"),
            **_ends("npv_3y", "currency"),
            "payback_months": Meaning("months until it has paid back; null where not within three years", "months"),
            **_ends("payback_months", "months"),
        },
    ),
    "roi.running": ResultTable(
        "one row a month, from the start",
        {
            "month": Meaning("months since the start", "months"),
            "conservative": Meaning("money so far, 10th percentile of what was simulated", "currency"),
            "realistic": Meaning("money so far, median", "currency"),
            "optimistic": Meaning("money so far, 90th percentile", "currency"),
        },
    ),
    "roi.tornado": ResultTable(
        "one row an assumption, the one that matters most first",
        {
            "assumption": Meaning("what is varied"),
            "low": Meaning("lowest net profit of the first year when it is", "currency"),
            "high": Meaning("highest net profit of the first year when it is", "currency"),
            "width": Meaning("high − low", "currency"),
        },
    ),
    "segmentation.segments": ResultTable(
        "one row a segment of buyers, in the order of segmentation.rules; those of fewer customers than "
        "privacy.minimum_group stand together",
        {
            "segment": Meaning("name of the segment"),
            "customers": Meaning("buyers in it", "count"),
            "share": Meaning("customers ÷ all buyers", "share"),
            "mean_spend": Meaning("mean money a buyer, net of returns", "currency"),
            "median_spend": Meaning("median money a buyer, net of returns", "currency"),
            "median_recency": Meaning("median of days since the last order", "days"),
            "mean_frequency": Meaning("mean number of days with an order", "number"),
            "revenue_share": Meaning("its share of the revenue of all buyers", "share"),
            "value_at_risk": Meaning("margin of the next 12 months that drop-out may cost, modelled", "currency"),
            "value_at_risk_low": Meaning("lower end of its 95% interval", "currency"),
            "value_at_risk_high": Meaning("upper end of its 95% interval", "currency"),
            "at_risk": Meaning("whether the rules mark it as at risk"),
            "action": Meaning("what the rules say to do"),
        },
    ),
    "segmentation.behaviour": ResultTable(
        "one row a segment, the largest first: how its buyers buy; null where fewer than privacy.minimum_group say",
        {
            "segment": Meaning("name of the segment"),
            "customers": Meaning("buyers in it", "count"),
            "discount_share": Meaning("mean share of lines bought at a discount, where products have one", "share"),
            "discount_sensitivity": Meaning("that less what all buyers have for the same products, mean", "share"),
            **_ends("discount_sensitivity", "share"),
            "preferred_hour": Meaning("hour of local time that most of them prefer", "count"),
            "preferred_weekday": Meaning("weekday that most of them prefer, 1 Monday", "count"),
            "repeat_interval": Meaning("median of mean days between days with an order", "days"),
            "categories": Meaning("mean number of top-level categories bought from", "number"),
            "platforms": Meaning("mean number of platforms visited", "number"),
        },
    ),
    "segmentation.space": ResultTable(
        "one row a segment and cell of recency, frequency and money with privacy.minimum_group customers or more",
        {
            "segment": Meaning("name of the segment"),
            "customers": Meaning("buyers of the segment in the cell", "count"),
            "recency": Meaning("geometric mean of days since the last order, plus one", "days"),
            "frequency": Meaning("geometric mean of days with an order", "number"),
            "monetary": Meaning("geometric mean of money, net of returns", "currency"),
        },
    ),
    "segmentation.migration": ResultTable(
        "one row a move between two windows of time that lie next to each other; small groups stand together",
        {
            "from": Meaning("segment in the earlier window"),
            "to": Meaning("segment in the later window, by the earlier one's cut points"),
            "customers": Meaning("customers who made the move", "count"),
        },
    ),
    "segmentation.windows": ResultTable(
        "one row a window of time at the end of the data: segments by it against those by all data",
        {
            "months": Meaning("length of the window", "months"),
            "customers": Meaning("buyers in the window", "count"),
            **_rate("same", "share of them in the same segment"),
            "adjusted_rand": Meaning("adjusted Rand index: 1 the same grouping, 0 no more alike than chance", "number"),
        },
    ),
    "segmentation.grid": ResultTable(
        "one row a pair of scores with as many customers as privacy.minimum_group or more",
        {
            "recency_score": Meaning("1 (bought longest ago) to 5", "count"),
            "frequency_score": Meaning("1 (fewest order days) to 5", "count"),
            "customers": Meaning("buyers", "count"),
            "median_spend": Meaning("their median money, net of returns", "currency"),
        },
    ),
    "segmentation.clusters": ResultTable(
        "one row a cluster, the largest first; null where it has fewer customers than privacy.minimum_group",
        {
            "cluster": Meaning("its number", "count"),
            "customers": Meaning("buyers in it", "count"),
            "median_recency": Meaning("median of days since the last order", "days"),
            "mean_frequency": Meaning("mean number of days with an order", "number"),
            "median_order_value": Meaning("median money a day with an order", "currency"),
            "revenue_share": Meaning("its share of the revenue of all clusters", "share"),
        },
    ),
    "segmentation.silhouettes": ResultTable(
        "one row a number of clusters",
        {
            "k": Meaning("number of clusters", "count"),
            "silhouette": Meaning("mean silhouette of a sample of buyers: 1 far apart, 0 none", "number"),
        },
    ),
    "temporal.days": ResultTable(
        "one row a whole day with events: what happened, and what weekday, trend and payday lead to expect",
        {
            "day": Meaning("the day, in the shop's local time", "time"),
            "count": Meaning(
                "orders (sessions, where there is no order); null where few people are behind it", "count"
            ),
            "expected": Meaning("what the model expects; a day that stands out does not pull it", "number"),
            "factor": Meaning("count ÷ expected", "factor"),
            "p": Meaning("p-value of a day so far from what is expected; null where count is", "number"),
            "odd": Meaning("whether it stands out, at temporal.false_discovery_rate for all days together"),
        },
    ),
    "temporal.hourly": ResultTable(
        "one row an hour of the week, in the shop's local time; rates are those of the temporal.window_hours around it",
        {
            "weekday": Meaning("1 = Monday to 7 = Sunday", "count"),
            "hour": Meaning("0 to 23", "count"),
            "hours": Meaning("how often the data cover this hour of the week", "count"),
            "customers": Meaning("distinct known customers with a session that starts then; null if too few", "count"),
            "sessions": Meaning("sessions that start then; null if too few customers", "count"),
            "orders": Meaning("orders that start then; null if too few customers", "count"),
            "revenue": Meaning("sum of amounts then, net of returns; null if too few customers", "currency"),
            "rate": Meaning("orders (sessions, where there is no order) an hour ÷ those of the average hour", "factor"),
            "rate_low": Meaning("low end of its 95 % interval, which holds for all hours at once", "factor"),
            "rate_high": Meaning("high end of its 95 % interval, which holds for all hours at once", "factor"),
            "conversion": Meaning("sessions with an order ÷ sessions", "share"),
            **_ends("conversion", "share"),
        },
    ),
    "temporal.months": ResultTable(
        "one row a calendar month that the data cover whole; intervals by cluster of customers",
        {
            "month": Meaning("its first day", "time"),
            "customers": Meaning("distinct known customers", "count"),
            **_monthly("orders_a_day", "orders of sessions that start in the month, a day", "number"),
            **_monthly("conversion", "directed buying: sessions with an order ÷ sessions", "share"),
            **_monthly("categories", "exploration: distinct categories a customer", "number"),
        },
    ),
    "temporal.payday": ResultTable(
        "one row a day of the month, weekday and trend held fixed",
        {
            "day": Meaning("day of the month", "count"),
            "factor": Meaning("orders (sessions, where there is no order) ÷ those expected off payday", "factor"),
            "low": Meaning("low end of its 95 % interval", "factor"),
            "high": Meaning("high end of its 95 % interval", "factor"),
            "days": Meaning("such days in the data", "count"),
            "payday": Meaning("whether temporal.payday_days names it"),
        },
    ),
    "temporal.send_windows": ResultTable(
        "one row a group of customers: the hours whose conversion is reliably above that of the rest of the week",
        {
            "grouping": Meaning("what the groups are"),
            "group": Meaning("the group; the largest ones"),
            "sessions": Meaning("sessions of the group", "count"),
            "conversion": Meaning("sessions with an order ÷ sessions", "share"),
            "windows": Meaning("the hours above the rest; empty where there are none"),
            "hours": Meaning("how many hours of the week these are", "count"),
            "lift": Meaning(
                "conversion in hours chosen by the other half of customers ÷ conversion in all other hours", "factor"
            ),
            **_ends("lift", "factor"),
        },
    ),
    "temporal.weekday": ResultTable(
        "one row a weekday, in the shop's local time",
        {
            "weekday": Meaning("1 = Monday to 7 = Sunday", "count"),
            "days": Meaning("such days that the data cover", "days"),
            "a_day": Meaning("orders (sessions, where there is no order) a day; null if too few customers", "number"),
            "rate": Meaning("a_day ÷ that of the average day", "factor"),
            "rate_low": Meaning("low end of its 95 % interval, which holds for all seven at once", "factor"),
            "rate_high": Meaning("high end of its 95 % interval, which holds for all seven at once", "factor"),
            "revenue_a_day": Meaning("revenue a day, net of returns", "currency"),
            "conversion": Meaning("sessions with an order ÷ sessions", "share"),
            **_ends("conversion", "share"),
        },
    ),
}


def _value_columns(months: int) -> dict[str, Meaning]:
    name = f"value_{months}m"
    return {
        name: Meaning(f"discounted margin expected over the next {months} months", "currency"),
        f"{name}_loadings": Meaning("how it moves with one standard error of each parameter of the models", "currency"),
        f"{name}_variance": Meaning("variance of its own future, the parameters given, in squared currency"),
    }


# Results with a row a customer, under customer/: handed on to other notebooks, never published.
CUSTOMER_TABLES: dict[str, ResultTable] = {
    "lifetime": ResultTable(
        "one row a buyer: what lifetime value knows and expects of each",
        {
            "customer_id": Meaning("the customer"),
            "first": Meaning("first day with an order, local time", "time"),
            "last": Meaning("last day with an order, local time", "time"),
            "transactions": Meaning("days with an order", "count"),
            "x": Meaning("repeat transactions: transactions less one", "count"),
            "t_x": Meaning("from first to last transaction, in lifetime.time_unit"),
            "T": Meaning("from first transaction to the end of the data, in lifetime.time_unit"),
            "revenue": Meaning("money, net of returns", "currency"),
            "mean_spend": Meaning("money a transaction; null where it is not above zero", "currency"),
            "p_alive": Meaning("probability of being still a customer (BG/NBD)", "share"),
            "expected_orders_12m": Meaning("transactions expected in the next 12 months", "number"),
            **_value_columns(3),
            **_value_columns(6),
            **_value_columns(12),
            "loss_12m": Meaning("margin of the next 12 months that drop-out is expected to cost", "currency"),
            "loss_12m_loadings": Meaning("how it moves with one standard error of each parameter besides", "currency"),
            "loss_12m_low": Meaning("it by the parameters that give all customers the smallest loss", "currency"),
            "loss_12m_high": Meaning("it by the parameters that give all customers the largest loss", "currency"),
            **_value_columns(24),
            **_value_columns(60),
        },
    ),
    "propensity": ResultTable(
        "one row a customer known at the end of the data, the likeliest to buy first",
        {
            "customer_id": Meaning("the customer"),
            "probability": Meaning("probability to buy within propensity.horizon_days", "share"),
            "score": Meaning("0 to 100: percentile of the probability among customers of the test", "count"),
            "tier": Meaning("high (a contact is expected to bring twice its cost), medium (its cost) or low"),
            "confidence": Meaning(
                "A: the forecast held in the test for such probabilities, and the customer is like those that it was "
                "learned from; B: one of the two; C: none"
            ),
            **{
                f"reason_{place}": Meaning("what moves the forecast, + towards a purchase, − away from it; by size")
                for place in (1, 2, 3)
            },
            "next_category": Meaning("likeliest top category of the next purchase, of those worth a contact"),
        },
    ),
    "propensity_test": ResultTable(
        "one row a customer of the forecast's test: what it said of them then",
        {
            "customer_id": Meaning("the customer"),
            "cutoff": Meaning("first day that the forecast did not look at"),
            "probability": Meaning("probability to buy within the horizon, as forecast then", "share"),
            "tier": Meaning("high, medium or low, as in propensity"),
        },
    ),
    "recommendations": ResultTable(
        "one row a customer and a product to show them, the ten best that they have not bought",
        {
            "customer_id": Meaning("the customer"),
            "rank": Meaning("place in the list", "count"),
            "product_id": Meaning("the product"),
            "score": Meaning(
                "mean over what they bought of the share of its baskets with the product, shrunk", "share"
            ),
        },
    ),
    "churn": ResultTable(
        "one row a buyer: whether each has left, and how likely they are to leave",
        {
            "customer_id": Meaning("the customer"),
            "silence": Meaning("days since the last order", "days"),
            "limit": Meaning(
                "silence after which the customer counts as having left; null where there is none", "days"
            ),
            "left": Meaning("whether the customer has left, by churn.definition"),
            **{
                f"p_left_{days}d": Meaning(
                    f"probability of having left in {days} days; null for who has left already", "share"
                )
                for days in (30, 60, 90, 180)
            },
            **{f"factor_{place}": Meaning(f"what speaks most for leaving, place {place}") for place in (1, 2, 3)},
            "risk": Meaning("risk level by churn's limits"),
        },
    ),
    "behaviour": ResultTable(
        "one row a buyer: how each buys; null where nothing can be said",
        {
            "customer_id": Meaning("the customer"),
            "discount_share": Meaning(
                "share of lines bought at a discount, of products sold with and without", "share"
            ),
            "discount_sensitivity": Meaning("that less what all buyers have for the same products", "share"),
            "orders": Meaning("orders that were not cancelled", "count"),
            "preferred_hour": Meaning("most common hour of local time, from three orders on", "count"),
            "preferred_weekday": Meaning("most common weekday, 1 Monday, from three orders on", "count"),
            "repeat_interval": Meaning("mean days between days with an order", "days"),
            "categories": Meaning("top-level categories bought from", "count"),
            "platforms": Meaning("platforms visited", "count"),
        },
    ),
    "segmentation": ResultTable(
        "one row a buyer: scores and groups",
        {
            "customer_id": Meaning("the customer"),
            "recency": Meaning("days since the last order", "days"),
            "frequency": Meaning("days with an order", "count"),
            "monetary": Meaning("money, net of returns", "currency"),
            "recency_score": Meaning("1 (bought longest ago) to 5", "count"),
            "frequency_score": Meaning("1 (fewest days with an order) to 5", "count"),
            "monetary_score": Meaning("1 (least money) to 5", "count"),
            "segment": Meaning("segment by segmentation.rules"),
            "cluster": Meaning("number of the cluster; null where there are none", "count"),
        },
    ),
}
