-- One row a session with a cart event: what was in the cart, and what became of it.
WITH lines AS (
  SELECT
    session_id,
    product_id,
    min(customer_id) AS customer_id,
    min(CASE WHEN event_type = 'cart' THEN event_time END) AS carted_at,
    max(CASE WHEN event_type = 'cart' THEN event_time END) AS last_carted_at,
    max(CASE WHEN event_type = 'cart' THEN price END) AS price,
    max(CASE WHEN event_type = 'remove_from_cart' THEN event_time END) AS removed_at,
    max(
      CASE WHEN event_type = 'purchase' AND coalesce(event_name, '') <> 'cancellation' THEN event_time END
    ) AS bought_at
  FROM actions
  WHERE event_type IN ('cart', 'remove_from_cart', 'purchase')
  GROUP BY session_id, product_id
),
carted AS (
  SELECT
    session_id,
    product_id,
    customer_id,
    carted_at,
    coalesce(price, 0) AS price,
    CASE
      WHEN bought_at >= carted_at THEN 'bought'
      WHEN removed_at >= last_carted_at THEN 'removed'
      ELSE 'left'
    END AS fate
  FROM lines
  WHERE carted_at IS NOT NULL
),
later AS (
  SELECT DISTINCT carted.session_id, carted.product_id
  FROM carted
  JOIN order_lines ON order_lines.customer_id = carted.customer_id
    AND order_lines.product_id = carted.product_id
    AND order_lines.ordered_at > carted.carted_at
    AND order_lines.order_id <> carted.session_id
    AND NOT order_lines.cancelled
  WHERE carted.fate = 'left'
),
ordered AS (
  SELECT order_id, max(ordered_at) AS ordered_at
  FROM order_lines
  WHERE NOT cancelled
  GROUP BY order_id
),
filled AS (
  SELECT
    carted.session_id,
    min(carted.customer_id) AS customer_id,
    min(carted_at) AS carted_at,
    count(*) AS products,
    count(CASE WHEN fate = 'bought' THEN 1 END) AS products_bought,
    count(CASE WHEN fate = 'removed' THEN 1 END) AS products_removed,
    count(CASE WHEN fate = 'left' THEN 1 END) AS products_left,
    count(later.session_id) AS products_bought_later,
    coalesce(sum(CASE WHEN fate = 'left' THEN price END), 0) AS value_left,
    coalesce(sum(CASE WHEN later.session_id IS NOT NULL THEN price END), 0) AS value_bought_later
  FROM carted
  LEFT JOIN later ON later.session_id = carted.session_id AND later.product_id = carted.product_id
  GROUP BY carted.session_id
),
next_orders AS (
  SELECT filled.session_id, min(purchases.ordered_at) AS next_order_at
  FROM filled
  JOIN purchases ON purchases.customer_id = filled.customer_id
    AND purchases.ordered_at > filled.carted_at
    AND purchases.order_id <> filled.session_id
  GROUP BY filled.session_id
)
SELECT
  filled.session_id,
  customer_id,
  filled.carted_at,
  coalesce(ordered.ordered_at >= filled.carted_at, false) AS ordered,
  next_order_at,
  products,
  products_bought,
  products_removed,
  products_left,
  products_bought_later,
  value_left,
  value_bought_later
FROM filled
LEFT JOIN ordered ON ordered.order_id = filled.session_id
LEFT JOIN next_orders ON next_orders.session_id = filled.session_id
ORDER BY filled.session_id
