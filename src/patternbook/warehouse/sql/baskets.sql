-- One row a product in a basket, whatever the number of times it is scanned. What a basket is, basket_rules says.
WITH lines AS (
  SELECT
    events.customer_id,
    session_id,
    event_time,
    events.product_id,
    event_type = 'purchase' AS bought,
    quantity,
    amount,
    CASE WHEN unit = 'customer_day' THEN calendar.day END AS day
  FROM events
  JOIN products ON products.product_id = events.product_id
  JOIN calendar ON calendar.slot = floor(epoch(event_time) / 900)
  CROSS JOIN basket_rules
  WHERE (event_type = 'purchase' OR (event_type = 'cart' AND unit = 'session'))
    AND quantity > 0
    AND coalesce(event_name, '') <> 'cancellation'
    AND products.source_id NOT IN (SELECT source_id FROM basket_excluded)
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
    event_time,
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
    min(event_time) AS first_at,
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
