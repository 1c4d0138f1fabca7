-- One row an order that was not cancelled.
SELECT
  order_id,
  min(customer_id) AS customer_id,
  min(ordered_at) AS ordered_at,
  count(*) AS lines,
  count(DISTINCT product_id) AS products,
  CAST(sum(quantity) AS BIGINT) AS units,
  coalesce(sum(amount), 0) AS revenue
FROM order_lines
WHERE NOT cancelled
GROUP BY order_id
ORDER BY order_id
