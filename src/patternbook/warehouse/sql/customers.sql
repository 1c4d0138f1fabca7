-- One row a known customer.
WITH behaviour AS (
  SELECT
    customer_id,
    min(first_at) AS first_event_at,
    max(last_at) AS last_event_at,
    CAST(sum(events) AS BIGINT) AS events,
    CAST(sum(views) AS BIGINT) AS views,
    CAST(sum(carts) AS BIGINT) AS carts,
    CAST(sum(removals) AS BIGINT) AS removals,
    CAST(sum(purchases) AS BIGINT) AS purchases,
    min(first_view_at) AS first_view_at
  FROM activity
  WHERE customer_id IS NOT NULL
  GROUP BY customer_id
),
carting AS (
  SELECT customer_id, min(event_time) AS first_cart_at, max(event_time) AS last_cart_at
  FROM actions
  WHERE customer_id IS NOT NULL AND event_type = 'cart'
  GROUP BY customer_id
),
days AS (
  SELECT customer_id, calendar.day
  FROM activity
  JOIN calendar ON calendar.slot = activity.slot
  WHERE customer_id IS NOT NULL
  GROUP BY customer_id, calendar.day
),
active_days AS (
  SELECT customer_id, count(*) AS active_days
  FROM days
  GROUP BY customer_id
),
visits AS (
  SELECT customer_id, count(*) AS sessions
  FROM sessions
  WHERE customer_id IS NOT NULL
  GROUP BY customer_id
),
home AS (
  SELECT
    customer_id,
    max(CASE WHEN session_id = platform_session THEN platform END) AS platform,
    max(CASE WHEN session_id = device_session THEN device END) AS device,
    max(CASE WHEN session_id = channel_session THEN channel END) AS channel,
    max(CASE WHEN session_id = region_session THEN region END) AS region
  FROM (
    -- Sessions are numbered in the order of customer and time, so a customer's first has the lowest number.
    SELECT
      customer_id, session_id, platform, device, channel, region,
      min(CASE WHEN platform IS NOT NULL THEN session_id END) OVER (PARTITION BY customer_id) AS platform_session,
      min(CASE WHEN device IS NOT NULL THEN session_id END) OVER (PARTITION BY customer_id) AS device_session,
      min(CASE WHEN channel IS NOT NULL THEN session_id END) OVER (PARTITION BY customer_id) AS channel_session,
      min(CASE WHEN region IS NOT NULL THEN session_id END) OVER (PARTITION BY customer_id) AS region_session
    FROM sessions
    WHERE customer_id IS NOT NULL
      AND (platform IS NOT NULL OR device IS NOT NULL OR channel IS NOT NULL OR region IS NOT NULL)
  ) AS marked
  GROUP BY customer_id
),
orders AS (
  SELECT
    customer_id,
    min(ordered_at) FILTER (WHERE NOT cancelled) AS first_purchase_at,
    max(ordered_at) FILTER (WHERE NOT cancelled) AS last_purchase_at,
    count(DISTINCT CASE WHEN NOT cancelled THEN order_id END) AS orders,
    CAST(sum(quantity) AS BIGINT) AS units,
    coalesce(sum(amount), 0) AS revenue
  FROM order_lines
  WHERE customer_id IS NOT NULL
  GROUP BY customer_id
)
SELECT
  behaviour.customer_id,
  first_event_at,
  last_event_at,
  sessions,
  active_days,
  events,
  views,
  carts,
  removals,
  purchases,
  first_view_at,
  first_cart_at,
  last_cart_at,
  first_purchase_at,
  last_purchase_at,
  coalesce(orders, 0) AS orders,
  coalesce(units, 0) AS units,
  coalesce(revenue, 0) AS revenue,
  platform,
  device,
  channel,
  region
FROM behaviour
JOIN active_days ON active_days.customer_id = behaviour.customer_id
JOIN visits ON visits.customer_id = behaviour.customer_id
LEFT JOIN carting ON carting.customer_id = behaviour.customer_id
LEFT JOIN home ON home.customer_id = behaviour.customer_id
LEFT JOIN orders ON orders.customer_id = behaviour.customer_id
ORDER BY behaviour.customer_id
