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
visiting AS (
  SELECT
    month,
    cluster,
    count(DISTINCT customer_id) AS customers,
    count(*) AS sessions,
    CAST(sum(buying) AS BIGINT) AS buying_sessions,
    count(DISTINCT CASE WHEN buying = 1 THEN customer_id END) AS buyers
  FROM visits
  GROUP BY month, cluster
),
interests AS (
  SELECT DISTINCT
    CAST(date_trunc('month', calendar.day) AS DATE) AS month,
    events.customer_id,
    coalesce(products.category_code, products.category_id) AS category
  FROM events
  JOIN calendar ON calendar.slot = floor(epoch(events.event_time) / 900)
  JOIN products ON products.product_id = events.product_id
  WHERE events.customer_id IS NOT NULL AND coalesce(products.category_code, products.category_id) IS NOT NULL
),
exploring AS (
  SELECT
    month,
    abs(customer_id) % 499 AS cluster,
    count(DISTINCT customer_id) AS explorers,
    count(*) AS categories
  FROM interests
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
