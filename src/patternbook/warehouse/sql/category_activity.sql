-- One row a session, quarter of an hour and top category of the products that it deals with.
WITH categories AS (
  SELECT product_id, split_part(category_code, '.', 1) AS category
  FROM products
  WHERE category_code IS NOT NULL
)
SELECT
  session_id,
  CAST(floor(epoch(event_time) / 900) AS BIGINT) AS slot,
  category,
  min(customer_id) AS customer_id,
  max(event_time) AS last_at,
  count(*) FILTER (WHERE event_type = 'view') AS views,
  count(*) FILTER (WHERE event_type = 'cart') AS carts,
  count(*) FILTER (WHERE event_type = 'purchase') AS purchases,
  min(event_time) FILTER (WHERE event_type = 'view') AS first_view_at,
  max(event_time) FILTER (WHERE event_type = 'purchase') AS last_purchase_at
FROM events
JOIN categories ON categories.product_id = events.product_id
GROUP BY session_id, CAST(floor(epoch(event_time) / 900) AS BIGINT), category
ORDER BY session_id, slot, category
