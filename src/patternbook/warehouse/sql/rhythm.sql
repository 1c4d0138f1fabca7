-- Sessions, orders and revenue by hour of the week, by groups of customers and by cluster of customers.
WITH visits AS (
  SELECT
    sessions.customer_id,
    abs(coalesce(sessions.customer_id, sessions.session_id)) % 499 AS cluster,
    calendar.weekday,
    calendar.hour,
    CASE
      WHEN sessions.customer_id IS NULL THEN NULL
      WHEN sessions.started_at = customers.first_event_at THEN 'first visit'
      ELSE 'returning'
    END AS newness,
    sessions.platform,
    CASE
      WHEN customers.sessions >= 5 THEN '5 visits or more'
      WHEN customers.sessions >= 2 THEN '2 to 4 visits'
      WHEN customers.sessions = 1 THEN '1 visit'
    END AS frequency,
    sessions.session_id
  FROM sessions
  JOIN calendar ON calendar.slot = floor(epoch(sessions.started_at) / 900)
  LEFT JOIN customers ON customers.customer_id = sessions.customer_id
),
groupings AS (
  SELECT 'all' AS grouping_name
  UNION ALL
  SELECT 'newness' AS grouping_name
  UNION ALL
  SELECT 'platform' AS grouping_name
  UNION ALL
  SELECT 'frequency' AS grouping_name
),
grouped AS (
  SELECT
    grouping_name,
    CASE
      WHEN grouping_name = 'newness' THEN newness
      WHEN grouping_name = 'platform' THEN visits.platform
      WHEN grouping_name = 'frequency' THEN frequency
      ELSE 'all'
    END AS group_name,
    cluster,
    weekday,
    hour,
    visits.customer_id,
    CASE WHEN purchases.order_id IS NULL THEN 0 ELSE 1 END AS buying
  FROM visits
  LEFT JOIN purchases ON purchases.order_id = visits.session_id
  CROSS JOIN groupings
),
people AS (
  SELECT
    grouping_name,
    group_name,
    cluster,
    weekday,
    hour,
    customer_id,
    count(*) AS sessions,
    sum(buying) AS buying
  FROM grouped
  WHERE group_name IS NOT NULL
  GROUP BY grouping_name, group_name, cluster, weekday, hour, customer_id
),
visiting AS (
  SELECT
    grouping_name,
    group_name,
    cluster,
    weekday,
    hour,
    count(customer_id) AS customers,
    CAST(sum(sessions) AS BIGINT) AS sessions,
    CAST(sum(buying) AS BIGINT) AS buying_sessions,
    count(CASE WHEN buying > 0 THEN customer_id END) AS session_buyers
  FROM people
  GROUP BY grouping_name, group_name, cluster, weekday, hour
),
ordering AS (
  SELECT
    abs(coalesce(customer_id, order_id)) % 499 AS cluster,
    calendar.weekday,
    calendar.hour,
    count(DISTINCT customer_id) AS buyers,
    count(*) AS orders
  FROM purchases
  JOIN calendar ON calendar.slot = floor(epoch(purchases.ordered_at) / 900)
  GROUP BY abs(coalesce(customer_id, order_id)) % 499, calendar.weekday, calendar.hour
),
earning AS (
  SELECT
    abs(coalesce(customer_id, order_id)) % 499 AS cluster,
    calendar.weekday,
    calendar.hour,
    coalesce(sum(amount), 0) AS revenue
  FROM order_lines
  JOIN calendar ON calendar.slot = floor(epoch(order_lines.ordered_at) / 900)
  GROUP BY abs(coalesce(customer_id, order_id)) % 499, calendar.weekday, calendar.hour
),
stacked AS (
  SELECT
    grouping_name, group_name, cluster, weekday, hour,
    customers, sessions, buying_sessions, session_buyers, 0 AS buyers, 0 AS orders, CAST(0 AS DECIMAL(38, 4)) AS revenue
  FROM visiting
  UNION ALL
  SELECT 'all', 'all', cluster, weekday, hour, 0, 0, 0, 0, buyers, orders, CAST(0 AS DECIMAL(38, 4))
  FROM ordering
  UNION ALL
  SELECT 'all', 'all', cluster, weekday, hour, 0, 0, 0, 0, 0, 0, revenue
  FROM earning
)
SELECT
  grouping_name,
  group_name,
  cluster,
  weekday,
  hour,
  CAST(sum(customers) AS BIGINT) AS customers,
  CAST(sum(sessions) AS BIGINT) AS sessions,
  CAST(sum(buying_sessions) AS BIGINT) AS buying_sessions,
  CAST(sum(session_buyers) AS BIGINT) AS session_buyers,
  CAST(sum(buyers) AS BIGINT) AS buyers,
  CAST(sum(orders) AS BIGINT) AS orders,
  sum(revenue) AS revenue
FROM stacked
GROUP BY grouping_name, group_name, cluster, weekday, hour
ORDER BY grouping_name, group_name, cluster, weekday, hour
