-- One row an hour with events, in the shop's local time.
WITH customer_hours AS (
  SELECT
    calendar.day,
    calendar.hour,
    customer_id,
    min(calendar.weekday) AS weekday,
    sum(events) AS events,
    sum(views) AS views,
    sum(carts) AS carts,
    sum(removals) AS removals,
    sum(purchases) AS purchases,
    sum(revenue) AS revenue
  FROM activity
  JOIN calendar ON calendar.slot = activity.slot
  GROUP BY calendar.day, calendar.hour, customer_id
),
hours AS (
  SELECT
    day,
    hour,
    min(weekday) AS weekday,
    CAST(sum(events) AS BIGINT) AS events,
    CAST(sum(views) AS BIGINT) AS views,
    CAST(sum(carts) AS BIGINT) AS carts,
    CAST(sum(removals) AS BIGINT) AS removals,
    CAST(sum(purchases) AS BIGINT) AS purchases,
    count(customer_id) AS customers,
    count(CASE WHEN purchases > 0 THEN customer_id END) AS buyers,
    sum(revenue) AS revenue
  FROM customer_hours
  GROUP BY day, hour
),
visits AS (
  SELECT calendar.day, calendar.hour, count(*) AS sessions
  FROM sessions
  JOIN calendar ON calendar.slot = floor(epoch(sessions.started_at) / 900)
  GROUP BY calendar.day, calendar.hour
),
orders AS (
  SELECT calendar.day, calendar.hour, count(*) AS orders
  FROM purchases
  JOIN calendar ON calendar.slot = floor(epoch(purchases.ordered_at) / 900)
  GROUP BY calendar.day, calendar.hour
)
SELECT
  hours.day,
  hours.hour,
  weekday,
  events,
  views,
  carts,
  removals,
  purchases,
  customers,
  buyers,
  coalesce(sessions, 0) AS sessions,
  coalesce(orders, 0) AS orders,
  revenue
FROM hours
LEFT JOIN visits ON visits.day = hours.day AND visits.hour = hours.hour
LEFT JOIN orders ON orders.day = hours.day AND orders.hour = hours.hour
ORDER BY hours.day, hours.hour
