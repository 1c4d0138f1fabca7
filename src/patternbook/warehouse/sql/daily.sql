-- One row a day with events, in the shop's local time.
WITH activity AS (
  SELECT
    calendar.day,
    count(*) AS events,
    count(*) FILTER (WHERE event_type = 'view') AS views,
    count(*) FILTER (WHERE event_type = 'cart') AS carts,
    count(*) FILTER (WHERE event_type = 'remove_from_cart') AS removals,
    count(*) FILTER (WHERE event_type = 'purchase') AS purchases,
    count(DISTINCT customer_id) AS customers,
    coalesce(sum(amount), 0) AS revenue
  FROM events
  JOIN calendar ON calendar.slot = floor(epoch(events.event_time) / 900)
  GROUP BY calendar.day
),
arrivals AS (
  SELECT calendar.day, count(*) AS new_customers
  FROM customers
  JOIN calendar ON calendar.slot = floor(epoch(customers.first_event_at) / 900)
  GROUP BY calendar.day
),
visits AS (
  SELECT calendar.day, count(*) AS sessions
  FROM sessions
  JOIN calendar ON calendar.slot = floor(epoch(sessions.started_at) / 900)
  GROUP BY calendar.day
),
orders AS (
  SELECT calendar.day, count(*) AS orders
  FROM purchases
  JOIN calendar ON calendar.slot = floor(epoch(purchases.ordered_at) / 900)
  GROUP BY calendar.day
)
SELECT
  activity.day,
  events,
  views,
  carts,
  removals,
  purchases,
  customers,
  coalesce(new_customers, 0) AS new_customers,
  coalesce(sessions, 0) AS sessions,
  coalesce(orders, 0) AS orders,
  revenue
FROM activity
LEFT JOIN arrivals ON arrivals.day = activity.day
LEFT JOIN visits ON visits.day = activity.day
LEFT JOIN orders ON orders.day = activity.day
ORDER BY activity.day
