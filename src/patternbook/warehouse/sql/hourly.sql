-- One row an hour with events, in the shop's local time.
WITH activity AS (
  SELECT
    calendar.day, calendar.hour, min(calendar.weekday) AS weekday,
    count(*) AS events,
    count(*) FILTER (WHERE event_type = 'view') AS views,
    count(*) FILTER (WHERE event_type = 'cart') AS carts,
    count(*) FILTER (WHERE event_type = 'remove_from_cart') AS removals,
    count(*) FILTER (WHERE event_type = 'purchase') AS purchases,
    count(DISTINCT customer_id) AS customers,
    coalesce(sum(amount), 0) AS revenue
  FROM events
  JOIN calendar ON calendar.slot = floor(epoch(events.event_time) / 900)
  GROUP BY calendar.day, calendar.hour
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
  activity.day, activity.hour,
  weekday,
  events,
  views,
  carts,
  removals,
  purchases,
  customers,
  coalesce(sessions, 0) AS sessions,
  coalesce(orders, 0) AS orders,
  revenue
FROM activity
LEFT JOIN visits ON visits.day = activity.day AND visits.hour = activity.hour
LEFT JOIN orders ON orders.day = activity.day AND orders.hour = activity.hour
ORDER BY activity.day, activity.hour
