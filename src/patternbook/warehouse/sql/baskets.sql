-- One row a product in a basket, whatever the number of times it is scanned. What a basket is, basket_rules says.
WITH taken AS (
  SELECT customer_id, order_id AS session_id, ordered_at AS taken_at, product_id, true AS bought, quantity, amount
  FROM order_lines
  WHERE quantity > 0 AND NOT cancelled
  UNION ALL
  SELECT
    customer_id, session_id, event_time AS taken_at, product_id, false AS bought, quantity, CAST(NULL AS DECIMAL(18, 4))
  FROM actions
  JOIN basket_rules ON basket_rules.also_holds = actions.event_type
),
lines AS (
  SELECT
    customer_id,
    session_id,
    taken_at,
    taken.product_id,
    bought,
    quantity,
    amount,
    CASE WHEN unit = 'customer_day' THEN calendar.day END AS day
  FROM taken
  JOIN products ON products.product_id = taken.product_id
  JOIN calendar ON calendar.slot = floor(epoch(taken_at) / 900)
  CROSS JOIN basket_rules
  WHERE products.source_id NOT IN (SELECT source_id FROM basket_excluded)
),
placed AS (
  SELECT
    CASE
      WHEN day IS NULL THEN session_id
      ELSE dense_rank() OVER (
        ORDER BY coalesce(customer_id, 0), day, CASE WHEN customer_id IS NULL THEN session_id ELSE 0 END
      )
    END AS basket_id,
    customer_id,
    taken_at,
    product_id,
    bought,
    quantity,
    amount
  FROM lines
),
items AS (
  SELECT
    basket_id,
    min(customer_id) AS customer_id,
    min(taken_at) AS first_at,
    product_id,
    CAST(coalesce(sum(quantity) FILTER (WHERE bought), sum(quantity)) AS BIGINT) AS units,
    coalesce(sum(amount), 0) AS revenue
  FROM placed
  GROUP BY basket_id, product_id
)
SELECT
  basket_id,
  customer_id,
  min(first_at) OVER (PARTITION BY basket_id) AS started_at,
  product_id,
  units,
  revenue,
  count(*) OVER (PARTITION BY basket_id) AS products
FROM items
ORDER BY basket_id, product_id
