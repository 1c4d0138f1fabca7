-- One row a day with events, in the shop's local time.
WITH customer_days AS (
  SELECT
    calendar.day,
    customer_id,
    sum(events) AS events,
    sum(views) AS views,
    sum(carts) AS carts,
    sum(removals) AS removals,
    sum(purchases) AS purchases,
    sum(revenue) AS revenue
  FROM activity
  JOIN calendar ON calendar.slot = activity.slot
  GROUP BY calendar.day, customer_id
),
days AS (
  SELECT
    day,
    CAST(sum(events) AS BIGINT) AS events,
    CAST(sum(views) AS BIGINT) AS views,
    CAST(sum(carts) AS BIGINT) AS carts,
    CAST(sum(removals) AS BIGINT) AS removals,
    CAST(sum(purchases) AS BIGINT) AS purchases,
    count(customer_id) AS customers,
    count(CASE WHEN purchases > 0 THEN customer_id END) AS buyers,
    sum(revenue) AS revenue
  FROM customer_days
  GROUP BY day
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
  days.day,
  events,
  views,
  carts,
  removals,
  purchases,
  customers,
  buyers,
  coalesce(new_customers, 0) AS new_customers,
  coalesce(sessions, 0) AS sessions,
  coalesce(orders, 0) AS orders,
  revenue
FROM days
LEFT JOIN arrivals ON arrivals.day = days.day
LEFT JOIN visits ON visits.day = days.day
LEFT JOIN orders ON orders.day = days.day
ORDER BY days.day
