-- Customers who visit (or buy) again, by the day of their first visit (or order) and their age since then.
WITH seen AS (
  SELECT DISTINCT 'visit' AS activity, customer_id, calendar.day
  FROM sessions
  JOIN calendar ON calendar.slot = floor(epoch(sessions.started_at) / 900)
  WHERE customer_id IS NOT NULL
  UNION ALL
  SELECT DISTINCT 'purchase' AS activity, customer_id, calendar.day
  FROM purchases
  JOIN calendar ON calendar.slot = floor(epoch(purchases.ordered_at) / 900)
  WHERE customer_id IS NOT NULL AND units > 0
),
aged AS (
  SELECT
    activity,
    customer_id,
    min(day) OVER (PARTITION BY activity, customer_id) AS first_day,
    CAST(
      (
        epoch(CAST(day AS TIMESTAMP))
        - epoch(CAST(min(day) OVER (PARTITION BY activity, customer_id) AS TIMESTAMP))
      ) / 86400 AS BIGINT
    ) AS days
  FROM seen
),
units AS (
  SELECT 'week' AS unit, 7 AS length
  UNION ALL
  SELECT 'month' AS unit, 30 AS length
),
ages AS (
  SELECT DISTINCT activity, unit, customer_id, first_day, CAST(floor(days / length) AS BIGINT) AS age
  FROM aged
  CROSS JOIN units
),
sold AS (
  -- Purchases alone: no line of a cancelled order, no returned line, no order that returns more than it sells.
  SELECT
    order_lines.customer_id,
    order_lines.product_id,
    order_lines.ordered_at,
    min(order_lines.ordered_at) OVER (PARTITION BY order_lines.customer_id) AS first_sold_at
  FROM order_lines
  JOIN purchases ON purchases.order_id = order_lines.order_id
  WHERE order_lines.customer_id IS NOT NULL
    AND NOT order_lines.cancelled AND order_lines.quantity > 0 AND purchases.units > 0
),
first_looks AS (
  SELECT 'visit' AS activity, events.customer_id, events.product_id
  FROM events
  JOIN customers ON customers.customer_id = events.customer_id
    AND customers.first_event_at = events.event_time
  UNION ALL
  SELECT 'purchase' AS activity, customer_id, product_id
  FROM sold
  WHERE ordered_at = first_sold_at
),
first_categories AS (
  SELECT activity, customer_id, min(split_part(category_code, '.', 1)) AS category
  FROM first_looks
  JOIN products ON products.product_id = first_looks.product_id
  WHERE category_code IS NOT NULL
  GROUP BY activity, customer_id
),
groupings AS (
  SELECT 'all' AS grouping_name
  UNION ALL
  SELECT 'platform' AS grouping_name
  UNION ALL
  SELECT 'category' AS grouping_name
),
placed AS (
  SELECT
    ages.activity,
    unit,
    first_day,
    age,
    grouping_name,
    CASE
      WHEN grouping_name = 'platform' THEN customers.platform
      WHEN grouping_name = 'category' THEN first_categories.category
      ELSE 'all'
    END AS group_name
  FROM ages
  JOIN customers ON customers.customer_id = ages.customer_id
  LEFT JOIN first_categories
    ON first_categories.customer_id = ages.customer_id AND first_categories.activity = ages.activity
  CROSS JOIN groupings
)
SELECT activity, unit, grouping_name, group_name, first_day, age, count(*) AS customers
FROM placed
WHERE group_name IS NOT NULL
GROUP BY activity, unit, grouping_name, group_name, first_day, age
ORDER BY activity, unit, grouping_name, group_name, first_day, age
