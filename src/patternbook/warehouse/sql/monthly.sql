-- What customers did in each calendar month, in the shop's local time, by cluster of customers.
WITH visits AS (
  SELECT
    sessions.customer_id,
    abs(coalesce(sessions.customer_id, sessions.session_id)) % 499 AS cluster,
    CAST(date_trunc('month', calendar.day) AS DATE) AS month,
    CASE WHEN purchases.order_id IS NULL THEN 0 ELSE 1 END AS buying
  FROM sessions
  JOIN calendar ON calendar.slot = floor(epoch(sessions.started_at) / 900)
  LEFT JOIN purchases ON purchases.order_id = sessions.session_id
),
people AS (
  SELECT month, cluster, customer_id, count(*) AS sessions, sum(buying) AS buying
  FROM visits
  GROUP BY month, cluster, customer_id
),
visiting AS (
  SELECT
    month,
    cluster,
    count(customer_id) AS customers,
    CAST(sum(sessions) AS BIGINT) AS sessions,
    CAST(sum(buying) AS BIGINT) AS buying_sessions,
    count(CASE WHEN buying > 0 THEN customer_id END) AS buyers
  FROM people
  GROUP BY month, cluster
),
categories AS (
  SELECT product_id, dense_rank() OVER (ORDER BY coalesce(category_code, category_id)) AS category
  FROM products
  WHERE coalesce(category_code, category_id) IS NOT NULL
),
months AS (
  SELECT slot, CAST(date_trunc('month', day) AS DATE) AS month
  FROM calendar
),
interests AS (
  SELECT months.month, events.customer_id, categories.category
  FROM events
  JOIN months ON months.slot = floor(epoch(events.event_time) / 900)
  JOIN categories ON categories.product_id = events.product_id
  WHERE events.customer_id IS NOT NULL
  GROUP BY months.month, events.customer_id, categories.category
),
explorers AS (
  SELECT month, customer_id, count(*) AS categories
  FROM interests
  GROUP BY month, customer_id
),
exploring AS (
  SELECT month, abs(customer_id) % 499 AS cluster, count(*) AS explorers, CAST(sum(categories) AS BIGINT) AS categories
  FROM explorers
  GROUP BY month, abs(customer_id) % 499
)
SELECT
  visiting.month,
  visiting.cluster,
  customers,
  sessions,
  buying_sessions,
  buyers,
  coalesce(explorers, 0) AS explorers,
  coalesce(categories, 0) AS categories
FROM visiting
LEFT JOIN exploring ON exploring.month = visiting.month AND exploring.cluster = visiting.cluster
ORDER BY visiting.month, visiting.cluster
