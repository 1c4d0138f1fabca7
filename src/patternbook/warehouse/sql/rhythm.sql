-- Sessions, orders and revenue by hour of the week, by groups of customers and by cluster of customers.
WITH platforms AS (
  SELECT platform, 10 + row_number() OVER (ORDER BY platform) AS group_id
  FROM sessions
  WHERE platform IS NOT NULL
  GROUP BY platform
),
-- Groups have numbers until the last step: names as keys of tens of millions of rows would cost most of the time.
groups AS (
  SELECT 0 AS group_id, 'all' AS grouping_name, 'all' AS group_name
  UNION ALL
  SELECT 1, 'newness', 'first visit'
  UNION ALL
  SELECT 2, 'newness', 'returning'
  UNION ALL
  SELECT 3, 'frequency', '1 visit'
  UNION ALL
  SELECT 4, 'frequency', '2 to 4 visits'
  UNION ALL
  SELECT 5, 'frequency', '5 visits or more'
  UNION ALL
  SELECT group_id, 'platform', platform
  FROM platforms
),
visits AS (
  SELECT
    sessions.customer_id,
    abs(coalesce(sessions.customer_id, sessions.session_id)) % 499 AS cluster,
    calendar.weekday * 24 + calendar.hour AS week_hour,
    CASE
      WHEN sessions.customer_id IS NULL THEN NULL
      WHEN sessions.started_at = customers.first_event_at THEN 1
      ELSE 2
    END AS newness,
    CASE
      WHEN customers.sessions >= 5 THEN 5
      WHEN customers.sessions >= 2 THEN 4
      WHEN customers.sessions = 1 THEN 3
    END AS frequency,
    platforms.group_id AS platform,
    CASE WHEN purchases.order_id IS NULL THEN 0 ELSE 1 END AS buying
  FROM sessions
  JOIN calendar ON calendar.slot = floor(epoch(sessions.started_at) / 900)
  LEFT JOIN customers ON customers.customer_id = sessions.customer_id
  LEFT JOIN platforms ON platforms.platform = sessions.platform
  LEFT JOIN purchases ON purchases.order_id = sessions.session_id
),
grouped AS (
  SELECT 0 AS group_id, cluster, week_hour, customer_id, buying
  FROM visits
  UNION ALL
  SELECT newness AS group_id, cluster, week_hour, customer_id, buying
  FROM visits
  WHERE newness IS NOT NULL
  UNION ALL
  SELECT frequency AS group_id, cluster, week_hour, customer_id, buying
  FROM visits
  WHERE frequency IS NOT NULL
  UNION ALL
  SELECT platform AS group_id, cluster, week_hour, customer_id, buying
  FROM visits
  WHERE platform IS NOT NULL
),
people AS (
  SELECT group_id, cluster, week_hour, customer_id, count(*) AS sessions, sum(buying) AS buying
  FROM grouped
  GROUP BY group_id, cluster, week_hour, customer_id
),
cells AS (
  SELECT
    group_id,
    cluster,
    week_hour,
    count(customer_id) AS customers,
    CAST(sum(sessions) AS BIGINT) AS sessions,
    CAST(sum(buying) AS BIGINT) AS buying_sessions,
    count(CASE WHEN buying > 0 THEN customer_id END) AS session_buyers
  FROM people
  GROUP BY group_id, cluster, week_hour
),
visiting AS (
  SELECT
    grouping_name,
    group_name,
    cluster,
    CAST(floor(week_hour / 24) AS INTEGER) AS weekday,
    week_hour % 24 AS hour,
    customers,
    sessions,
    buying_sessions,
    session_buyers
  FROM cells
  JOIN groups ON groups.group_id = cells.group_id
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
